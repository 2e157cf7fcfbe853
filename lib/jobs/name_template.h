// Output names from a template: "{index:03}-{prompt:slug}-{seed}.mp4".
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace sora {

// `fields` by name: index, seed, date, prompt, model, and any option of the job. {name:slug} is the
// value as a plain file name, which {prompt} and every text are anyway; {index:03} is a number with
// leading zeros; {{ and }} are braces. A value never makes a folder: slashes in it become dashes.
// Throws Error(Usage) naming an unknown field or form.
std::string fill_name(std::string_view name_template,
                      const std::map<std::string, std::string>& fields);

// ASCII letters, digits, dot, dash and underscore of a text, others as one dash; at most 48 bytes,
// no dot or dash at the ends; "clip" where nothing is left.
std::string name_part(std::string_view text);

}  // namespace sora
