// Damaged files against the verdicts of the reference reader: tests/data/hostile, made by scripts/reference.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/tensor_io/dtype.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

// {name: [dtype, shape, bytes]}, as the fixture has it; null where the file is refused, with the `sentence` that says why.
nlohmann::json read(const std::filesystem::path& path, std::string& sentence) {
  try {
    const auto file = SafetensorsFile::open(path);
    nlohmann::json tensors = nlohmann::json::object();
    for (const TensorInfo& info : file->tensors()) {
      const at::Tensor values = file->get(info.name).contiguous();
      const std::string_view bytes(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
      tensors[info.name] = {dtype_name(info.dtype), info.shape, to_hex(bytes)};
    }
    return tensors;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input) << error.what();
    EXPECT_NE(std::string(error.what()).find("damaged.safetensors"), std::string::npos) << error.what();
    sentence = error.what();
    return nullptr;
  }
}

TEST(HostileSafetensors, AreAcceptedAndRefusedAsTheReferenceReaderDoes) {
  const nlohmann::json fixture =
      read_json_file(std::filesystem::path(SORA_TEST_DATA) / "hostile" / "safetensors.json");
  const ScratchDirectory scratch;
  size_t num_accepted = 0, num_named_twice = 0;
  for (const nlohmann::json& each : fixture["cases"]) {
    const std::filesystem::path path = scratch.write("damaged.safetensors", from_hex(each["file"]));
    num_accepted += each["tensors"].is_null() ? 0 : 1;
    std::string sentence;
    const nlohmann::json tensors = read(path, sentence);
    if (sentence.find("twice") != std::string::npos) {  // of two tensors of one name the reader takes the last; here one would be lost
      ++num_named_twice;
      continue;
    }
    EXPECT_EQ(tensors, each["tensors"]) << from_hex(each["file"]);
  }
  EXPECT_GE(num_named_twice, 1u);
  EXPECT_GT(num_accepted, 50u);
  EXPECT_GT(fixture["cases"].size(), 500u);
}

}  // namespace
}  // namespace sora
