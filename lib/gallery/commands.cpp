// Operations other than generate have timelines and sources that a line of flags says poorly: they
// are repeated by recipe.
#include "lib/gallery/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "lib/gallery/html.h"

namespace sora {
namespace {

using nlohmann::json;
using pointer = json::json_pointer;

struct Flag {
  const char* where;  // in the manifest's request
  const char* option;
};

constexpr Flag kGenerateFlags[] = {
    {"/arguments/image", "--image"},
    {"/arguments/last_image", "--last-image"},
    {"/video/size", "--size"},
    {"/video/num_frames", "--frames"},
    {"/video/fps", "--fps"},
    {"/video/native", "--native"},
    {"/sampling/seed", "--seed"},
    {"/sampling/steps", "--steps"},
    {"/sampling/guidance_scale", "--guidance"},
    {"/sampling/guidance_scale_2", "--guidance-2"},
    {"/sampling/negative_prompt", "--negative"},
    {"/sampling/scheduler", "--scheduler"},
    {"/sampling/shift", "--shift"},
    {"/sampling/guidance_interval", "--guidance-interval"},
    {"/sampling/cache_threshold", "--cache"},
    {"/model", "--model"},
    {"/dtype", "--dtype"},
    {"/files/transformer_2", "--low-noise"},
    {"/files/vace", "--vace"},
    {"/files/vae", "--vae"},
    {"/files/text_encoder", "--text-encoder"},
    {"/files/tokenizer", "--tokenizer"},
    {"/files/image_encoder", "--image-encoder"},
    {"/files/models_dir", "--models-dir"},
    {"/files/tiny_vae", "--tiny-vae"},
    {"/files/draft", "--draft"},
    {"/attention", "--attention"},
};

// What a command says otherwise, or would say of this machine alone.
constexpr const char* kSaidOtherwise[] = {"/operation", "/arguments/prompt", "/files/turbo",
                                          "/device"};

// Whether a generate request asks for something that no flag above says.
bool has_more(const json& request) {
  const json leaves = request.flatten();
  return std::any_of(leaves.items().begin(), leaves.items().end(), [&](const auto& leaf) {
    const auto is_it = [&](const char* where) { return leaf.key() == where; };
    return !leaf.value().is_object() &&  // an empty one
           std::none_of(std::begin(kSaidOtherwise), std::end(kSaidOtherwise), is_it) &&
           std::none_of(std::begin(kGenerateFlags), std::end(kGenerateFlags),
                        [&](const Flag& flag) { return is_it(flag.where); });
  });
}

std::string generate_command(const json& request, const std::string& prompt) {
  std::string command = "sora generate";
  if (!prompt.starts_with('-')) command += " " + shell_word(prompt);
  for (const Flag& flag : kGenerateFlags) {
    const pointer where(flag.where);
    if (!request.contains(where)) continue;
    const json& value = request.at(where);
    command += std::string(" ") + flag.option;
    if (value.is_boolean()) continue;
    command += " " + shell_word(value.is_string() ? value.get<std::string>() : value.dump());
  }
  if (const json turbo = request.value(pointer("/files/turbo"), json()); turbo.is_boolean())
    command += turbo.get<bool>() ? " --turbo" : " --no-turbo";
  if (prompt.starts_with('-')) command += " -- " + shell_word(prompt);
  return command;
}

}  // namespace

std::string again_command(const GalleryClip& clip) {
  if (!clip.manifest.is_object() || !clip.manifest.contains("request")) return "";
  const json& request = clip.manifest.at("request");
  try {
    const bool is_plain = clip.operation == "generate" && request.contains("arguments") &&
                          request.at("arguments").is_object() && !has_more(request);
    if (is_plain) return generate_command(request, clip.prompt);
  } catch (const json::exception&) {  // it came from elsewhere and may hold anything
  }
  return fmt::format("sora generate --recipe gallery:{}", clip.id);
}

std::string remix_command(const GalleryClip& clip) {
  return fmt::format("sora remix gallery:{} {}", clip.id, shell_word("the same at night"));
}

}  // namespace sora
