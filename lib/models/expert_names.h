// The two experts of a Wan 2.2 model in files of their own, which differ by "high" and "low" in the
// name of the file or of its folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sora {

// The last `from` of a name made `to`, in the case it is written in: "a_High_b" -> "a_Low_b"; empty
// where there is none.
std::string swap_expert(const std::string& name, std::string_view from, std::string_view to);

// Whether a name in lower case says that it is an expert: "high_noise", "high-noise", "highnoise".
bool says_noise(std::string_view name, std::string_view level);

// The file of the other expert beside `file`, or in the folder beside its own; empty where there is
// none.
std::filesystem::path other_expert(const std::filesystem::path& file, std::string_view from,
                                   std::string_view to);

}  // namespace sora
