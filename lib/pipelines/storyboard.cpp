// Strict: an unknown key is more often a typing error than a wish for nothing.
#include "lib/pipelines/storyboard.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/core/utf8.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr size_t kMaxCards = 200;
constexpr int64_t kMaxBytes = 1 << 20;

// One object of the file: its keys, each read once.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) fail(ErrorKind::Input, "{} is no list of keys and values", where_);
  }

  std::string text(const char* key) {
    const json* value = find(key);
    if (!value || value->is_null()) return "";
    if (!value->is_string()) fail(ErrorKind::Input, "{}: '{}' is not a text", where_, key);
    if (!is_valid_utf8(value->get<std::string>()))
      fail(ErrorKind::Input, "{}: '{}' is not UTF-8", where_, key);
    return value->get<std::string>();
  }

  std::optional<double> seconds(const char* key) {
    const json* value = find(key);
    if (!value || value->is_null()) return {};
    if (!value->is_number())
      fail(ErrorKind::Input, "{}: '{}' is not a number of seconds", where_, key);
    const auto seconds = value->get<double>();
    if (!(seconds >= 0 && std::isfinite(seconds)))
      fail(ErrorKind::Input, "{}: '{}' is {}; times begin at 0", where_, key, seconds);
    return seconds;
  }

  const json* find(const char* key) {
    known_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  void check_all_known() const {
    for (const auto& [key, value] : object_.items()) {
      if (known_.count(key)) continue;
      std::string known;
      for (const std::string& name : known_) known += (known.empty() ? "" : ", ") + name;
      fail(ErrorKind::Input, "{} has an unknown key '{}'; it can have {}", where_, key, known);
    }
  }

  const std::string& where() const { return where_; }

 private:
  const json& object_;
  std::string where_;
  std::set<std::string> known_;
};

Card read_card(const json& object, const std::string& where) {
  Fields fields(object, where);
  Card card;
  const std::optional<double> at = fields.seconds("at");
  if (!at) fail(ErrorKind::Input, "{} does not say when: give 'at' in seconds", where);
  card.at_s = *at;
  card.for_s = fields.seconds("for");
  card.text = fields.text("text");
  card.image = fields.text("image");
  card.video = fields.text("video");
  const std::optional<double> from = fields.seconds("from");
  card.from_s = from.value_or(0);
  card.to_s = fields.seconds("to");
  fields.check_all_known();
  if (card.text.empty() && card.image.empty() && card.video.empty()) {
    fail(ErrorKind::Input, "{} shows nothing: give it a text, an image or a video", where);
  }
  if (!card.image.empty() && !card.video.empty())
    fail(ErrorKind::Input, "{} has both an image and a video; give one of them", where);
  if (card.video.empty() && (from || card.to_s))
    fail(ErrorKind::Input, "{}: 'from' and 'to' are parts of a video, which it has not", where);
  if (card.to_s && !(card.from_s < *card.to_s)) {
    fail(ErrorKind::Input, "{}: the part from {} s to {} s holds nothing", where, card.from_s,
         *card.to_s);
  }
  if (card.for_s && *card.for_s == 0) fail(ErrorKind::Input, "{}: 'for' is 0 s", where);
  return card;
}

}  // namespace

Storyboard parse_storyboard(std::string_view text, const std::string& name) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool is_json = first != text.npos && text[first] == '{';
  const json document = is_json ? parse_json(text, name) : yaml_to_json(text, name);
  Fields fields(document, name);
  Storyboard storyboard;
  storyboard.duration_s = fields.seconds("duration");
  storyboard.style = fields.text("style");
  const json* cards = fields.find("cards");
  fields.check_all_known();
  if (!cards || !cards->is_array() || cards->empty())
    fail(ErrorKind::Input, "{} has no list of 'cards'", name);
  if (cards->size() > kMaxCards)
    fail(ErrorKind::Input, "{} has {} cards; at most {} are taken", name, cards->size(), kMaxCards);
  for (size_t i = 0; i < cards->size(); ++i) {
    const std::string where = fmt::format("{}: card {}", name, i + 1);
    Card card = read_card((*cards)[i], where);
    if (!storyboard.cards.empty()) {
      const Card& before = storyboard.cards.back();
      if (!(card.at_s > before.at_s)) {
        fail(ErrorKind::Input, "{} is at {} s, which is not after the card before it at {} s",
             where, card.at_s, before.at_s);
      }
      if (before.for_s && before.at_s + *before.for_s > card.at_s + 1e-9) {
        fail(ErrorKind::Input, "{} begins at {} s, before the one before it has ended at {} s",
             where, card.at_s, before.at_s + *before.for_s);
      }
    }
    storyboard.cards.push_back(std::move(card));
  }
  if (storyboard.duration_s && !(*storyboard.duration_s > storyboard.cards.back().at_s)) {
    fail(ErrorKind::Input, "{}: the duration of {} s ends before the last card, which is at {} s",
         name, *storyboard.duration_s, storyboard.cards.back().at_s);
  }
  return storyboard;
}

json to_json(const Storyboard& storyboard) {
  json cards = json::array();
  for (const Card& card : storyboard.cards) {
    json object = {{"at", card.at_s}};
    if (card.for_s) object["for"] = *card.for_s;
    if (!card.text.empty()) object["text"] = card.text;
    if (!card.image.empty()) object["image"] = card.image;
    if (!card.video.empty()) {
      object["video"] = card.video;
      object["from"] = card.from_s;
      if (card.to_s) object["to"] = *card.to_s;
    }
    cards.push_back(object);
  }
  json object = {{"cards", cards}};
  if (storyboard.duration_s) object["duration"] = *storyboard.duration_s;
  if (!storyboard.style.empty()) object["style"] = storyboard.style;
  return object;
}

Storyboard read_storyboard(const std::string& path) {
  Storyboard storyboard = parse_storyboard(read_file(path, kMaxBytes), path);
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (Card& card : storyboard.cards) {
    for (std::string* file : {&card.image, &card.video}) {
      if (file->empty()) continue;
      *file = (folder / *file).string();
      if (!std::filesystem::exists(*file))
        fail(ErrorKind::NotFound, "{}: the card at {} s shows {}, which does not exist", path,
             card.at_s, *file);
    }
  }
  return storyboard;
}

}  // namespace sora
