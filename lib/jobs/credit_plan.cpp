// toml++ is used as headers alone here: the program links no library that --help would have to wait
// for.
#include "lib/jobs/credit_plan.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "lib/core/error.h"
#include "sora/embedded_plans.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

struct EmbeddedFile {
  std::string_view name;
  std::string_view text;
};
constexpr EmbeddedFile kPlans[] = {{"local", kLocalPlan}, {"plus", kPlusPlan}, {"pro", kProPlan}};
constexpr EmbeddedFile kPriceTables[] = {{"december-2024", kPricesDecember2024}};

// Reads the members of a table; what nobody asked for is an error.
class PlanReader {
 public:
  PlanReader(const toml::table& table, const std::string& file) : table_(table), file_(file) {}

  [[noreturn]] void complain(const toml::node& node, const std::string& what) const {
    fail(ErrorKind::Input, "{}: line {}: {}", file_, node.source().begin.line, what);
  }

  const toml::node* find(const std::string& key) {
    known_.insert(key);
    return table_.get(key);
  }

  template <typename T, typename Target>
  void read(const std::string& key, Target& target, const std::string& wanted) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto value = node->value<T>();
    if (!value) complain(*node, fmt::format("'{}' is to be {}", key, wanted));
    target = *value;
  }

  // A number above 0.
  template <typename Target>
  void read_positive(const std::string& key, Target& target) {
    double value = 1;
    read<double>(key, value, "a number above 0");
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (!(value > 0 && value < 1e12))
      complain(*node, fmt::format("'{}' is to be a number above 0", key));
    target = static_cast<typename ValueOf<Target>::Type>(value);
  }

  void read_size(const std::string& key, Size& size) {
    std::string text;
    read<std::string>(key, text, "a size such as \"1280x720\"");
    const toml::node* node = find(key);
    if (node == nullptr) return;
    try {
      size = parse_size(text);
    } catch (const Error& error) {
      complain(*node, error.what());
    }
  }

  void check_all_known() const {
    for (const auto& [key, node] : table_) {
      if (known_.count(std::string(key.str())) == 0)
        complain(node, fmt::format("there is no setting '{}' here", key.str()));
    }
  }

  const std::string& file() const { return file_; }

 private:
  template <typename T>
  struct ValueOf {
    using Type = T;
  };
  template <typename T>
  struct ValueOf<std::optional<T>> {
    using Type = T;
  };

  const toml::table& table_;
  std::string file_;
  std::set<std::string> known_;
};

toml::table parse_toml(std::string_view text, const std::string& file) {
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::Input, "{}: line {}: {}", file, error.source().begin.line, error.description());
  }
}

PriceClass price_class_from(const toml::table& table, const std::string& file) {
  PriceClass price_class;
  PlanReader reader(table, file);
  reader.read<std::string>("name", price_class.name, "a text");
  reader.read_size("size", price_class.size);
  const toml::node* rates = reader.find("credits_per_second");
  if (price_class.size.width == 0 || rates == nullptr || !rates->is_array() ||
      rates->as_array()->empty())
    reader.complain(table,
                    "a class of prices needs 'size' and 'credits_per_second', a list of numbers");
  for (const toml::node& rate : *rates->as_array()) {
    const auto value = rate.value<double>();
    if (!value || !(*value >= 0 && *value < 1e9))
      reader.complain(rate, "a rate is a number of 0 or more");
    price_class.credits_per_second.push_back(*value);
  }
  reader.check_all_known();
  if (price_class.name.empty()) price_class.name = to_string(price_class.size);
  return price_class;
}

PriceTable prices_from(const toml::table& table, const std::string& file) {
  PriceTable prices;
  PlanReader reader(table, file);
  reader.read<std::string>("label", prices.label, "a text");
  reader.read_positive("bracket_s", prices.bracket_s);
  const toml::node* classes = reader.find("class");
  if (classes == nullptr || !classes->is_array_of_tables())
    reader.complain(table, "a table of prices needs classes, written as [[class]]");
  for (const toml::node& row : *classes->as_array())
    prices.classes.push_back(price_class_from(*row.as_table(), file));
  reader.check_all_known();
  return prices;
}

PriceTable prices_named(std::string_view name, const PlanReader& reader, const toml::node& node) {
  for (const EmbeddedFile& table : kPriceTables) {
    if (table.name == name)
      return prices_from(parse_toml(table.text, std::string(name)), std::string(name));
  }
  reader.complain(node, fmt::format("there is no price table '{}'; there is december-2024", name));
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Empty where neither variable is set.
fs::path configuration() {
  if (const std::string config = variable("XDG_CONFIG_HOME"); !config.empty())
    return fs::path(config) / "sora";
  if (const std::string home = variable("HOME"); !home.empty())
    return fs::path(home) / ".config" / "sora";
  return {};
}

std::string read_text(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream || fs::is_directory(path))
    fail(ErrorKind::NotFound, "the file {} cannot be read", path.string());
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

std::string plan_of_configuration() {
  const fs::path path = configuration() / "config.toml";
  if (!path.is_absolute() || !fs::exists(path)) return "";
  const toml::table table = parse_toml(read_text(path), path.string());
  PlanReader reader(table, path.string());
  std::string plan;
  reader.read<std::string>("plan", plan, "the name or file of a plan");
  reader.check_all_known();
  return plan;
}

}  // namespace

CreditPlan plan_from_toml(std::string_view text, const std::string& file) {
  const toml::table table = parse_toml(text, file);
  PlanReader reader(table, file);
  CreditPlan plan;
  plan.name = fs::path(file).stem().string();
  reader.read<std::string>("name", plan.name, "a text");
  reader.read<std::string>("label", plan.label, "a text");
  reader.read_positive("credits_per_month", plan.credits_per_month);
  if (reader.find("max_size") != nullptr) reader.read_size("max_size", plan.max_size.emplace());
  reader.read_positive("max_duration_s", plan.max_duration_s);
  reader.read_positive("max_concurrent", plan.max_concurrent);
  plan.relaxed = !plan.credits_per_month;  // who counts has to say so
  reader.read<bool>("relaxed", plan.relaxed, "true or false");
  std::string watermark = "none";
  reader.read<std::string>("watermark", watermark, "a text");
  try {
    plan.watermark = parse_watermark(watermark);
  } catch (const Error& error) {
    reader.complain(*reader.find("watermark"), error.what());
  }
  const toml::node* prices = reader.find("prices");
  if (prices != nullptr && prices->is_table()) {
    plan.prices = prices_from(*prices->as_table(), file);
  } else {
    std::string name = "december-2024";
    reader.read<std::string>("prices", name, "the name of a price table, or a table [prices]");
    plan.prices = prices_named(name, reader, prices != nullptr ? *prices : table);
  }
  reader.check_all_known();
  return plan;
}

OutputSpec CreditPlan::with_watermark(OutputSpec output) const {
  const bool visible = has_visible(output.watermark) || has_visible(watermark);
  const bool invisible = has_invisible(output.watermark) || has_invisible(watermark);
  output.watermark = visible && invisible ? Watermark::Both
                     : visible            ? Watermark::Visible
                     : invisible          ? Watermark::Invisible
                                          : Watermark::None;
  return output;
}

CreditPlan load_plan(const std::string& wish) {
  std::string name = !wish.empty() ? wish : variable("SORA_PLAN");
  if (name.empty()) name = plan_of_configuration();
  if (name.empty()) name = "local";
  const auto from_file = [](const fs::path& path) {
    CreditPlan plan = plan_from_toml(read_text(path), path.string());
    plan.file = fs::absolute(path).lexically_normal().string();
    return plan;
  };
  if (name.find('/') != std::string::npos || fs::path(name).extension() == ".toml")
    return from_file(name);
  const fs::path own = configuration() / "plans" / (name + ".toml");
  if (own.is_absolute() && fs::exists(own)) return from_file(own);
  for (const EmbeddedFile& plan : kPlans) {
    if (plan.name == name) return plan_from_toml(plan.text, std::string(plan.name));
  }
  fail(ErrorKind::NotFound,
       "there is no plan '{}'; there are {}, or name a file that ends in .toml", name,
       fmt::join(plan_names(), ", "));
}

std::vector<std::string> plan_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& plan : kPlans) names.emplace_back(plan.name);
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(configuration() / "plans", none)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".toml" &&
        std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  }
  return names;
}

}  // namespace sora
