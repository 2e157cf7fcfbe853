#include "lib/jobs/name_template.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <vector>

#include "lib/core/ascii.h"
#include "lib/core/error.h"

namespace sora {
namespace {

constexpr size_t kMaxPartBytes = 48;

// Digits, with a point among them or without.
bool is_number(std::string_view value) {
  double number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number, std::chars_format::fixed);
  return error == std::errc() && stop == end && std::isdigit(static_cast<unsigned char>(value[0]));
}

std::string zero_padded(const std::string& value, std::string_view width, std::string_view field) {
  const bool is_width =
      width.size() >= 2 && width.size() <= 3 &&
      std::all_of(width.begin(), width.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!is_width)
    fail(ErrorKind::Usage,
         "the form '{}' of {{{}}} in the output template is unknown; it is slug or a width such as "
         "04",
         width, field);
  if (!is_number(value))
    fail(ErrorKind::Usage, "{{{0}:{1}}} wants a number, and this job's {0} is '{2}'; write {{{0}}}",
         field, width, value);
  const size_t digits = std::stoul(std::string(width));
  return std::string(value.size() < digits ? digits - value.size() : 0, '0') + value;
}

}  // namespace

std::string name_part(std::string_view text) {
  std::string part;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || c == '_' || c == '.')) {
      if (c != '.' || part.empty() || part.back() != '.') part += ascii_lower(c);
    } else if (!part.empty() && part.back() != '-') {
      part += '-';
    }
    if (part.size() >= kMaxPartBytes) break;
  }
  while (!part.empty() && (part.back() == '-' || part.back() == '.')) part.pop_back();
  part.erase(0, part.find_first_not_of(".-") == std::string::npos ? part.size()
                                                                  : part.find_first_not_of(".-"));
  return part.empty() ? "clip" : part;
}

std::string fill_name(std::string_view name_template,
                      const std::map<std::string, std::string>& fields) {
  std::string name;
  for (size_t i = 0; i < name_template.size(); ++i) {
    const char c = name_template[i];
    if ((c == '{' || c == '}') && i + 1 < name_template.size() && name_template[i + 1] == c) {
      name += c;
      ++i;
      continue;
    }
    if (c != '{') {
      if (c == '}')
        fail(ErrorKind::Usage,
             "a }} without a {{ is in the output template {}; write }}}} for the sign itself",
             name_template);
      name += c;
      continue;
    }
    const size_t close = name_template.find('}', i);
    if (close == std::string_view::npos)
      fail(ErrorKind::Usage, "a {{ is never closed in the output template {}", name_template);
    const std::string_view inside = name_template.substr(i + 1, close - i - 1);
    const size_t colon = inside.find(':');
    const std::string field(inside.substr(0, colon));
    const auto found = fields.find(field);
    if (found == fields.end()) {
      std::string known;
      for (const auto& [other, value] : fields) known += (known.empty() ? "" : ", ") + other;
      fail(ErrorKind::Usage,
           "the output template asks for {{{}}}, which this job does not have; it has {}", field,
           known);
    }
    const std::string_view form =
        colon == std::string_view::npos ? "slug" : inside.substr(colon + 1);
    name += form == "slug" ? name_part(found->second) : zero_padded(found->second, form, field);
    i = close;
  }
  return name;
}

}  // namespace sora
