// Against WanTransformer3DModel of diffusers on the same weights and inputs:
// tests/data/transformer.
#include "lib/models/wan/transformer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/config_reader.h"
#include "lib/core/json_file.h"
#include "lib/nn/tensor_memory.h"
#include "lib/tensor_io/checkpoint.h"
#include "tests/error_of.h"
#include "tests/relative_error.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

fs::path folder() { return fs::path(SORA_TEST_DATA) / "transformer"; }

WanTransformer open_model(const fs::path& directory, at::ScalarType dtype) {
  const Weights weights(std::make_shared<const Checkpoint>(Checkpoint::open(directory)), dtype,
                        test_device());
  WanTransformer model(
      WanTransformerConfig::from_config(ConfigReader::open(directory / "config.json")), weights);
  weights.check_all_used();
  return model;
}

// Inputs and outputs of one forward.
struct Case {
  explicit Case(const fs::path& path)
      : tensors(Checkpoint::open(fs::path(path).replace_extension(".safetensors"))),
        description(read_json_file(path)),
        model(path.parent_path() / "model") {}

  // Rows of zeros at the end of a text are padding.
  std::vector<int64_t> num_tokens() const {
    const at::Tensor text = tensors.get("encoder_hidden_states");
    std::vector<int64_t> counts;
    for (int64_t b = 0; b < text.size(0); ++b) {
      int64_t real = text.size(1);
      while (real > 0 && text[b][real - 1].eq(0).all().item<bool>()) --real;
      counts.push_back(real);
    }
    return counts;
  }

  at::Tensor run(const WanTransformer& transformer) const { return run(transformer, num_tokens()); }
  at::Tensor run(const WanTransformer& transformer, const std::vector<int64_t>& counts) const {
    const at::Tensor image = tensors.has("encoder_hidden_states_image")
                                 ? placed("encoder_hidden_states_image")
                                 : at::Tensor();
    const WanTextContext context =
        transformer.prepare_text(placed("encoder_hidden_states"), counts, image);
    WanControl control;
    if (tensors.has("control_hidden_states")) {
      const at::Tensor scales = tensors.get("control_hidden_states_scale");
      control = {placed("control_hidden_states"), scales[0].item<double>()};
    }
    const at::Tensor output =
        transformer(placed("hidden_states"), tensors.get("timestep"), context, control);
    EXPECT_EQ(output.device(), test_device());
    return output.cpu();
  }
  at::Tensor placed(const char* name) const { return tensors.get(name).to(test_device()); }

  Checkpoint tensors;
  nlohmann::json description;
  fs::path model;
};

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder())) {
    if (entry.path().extension() != ".json" || entry.path().parent_path().filename() == "model")
      continue;
    names.push_back(fs::relative(entry.path(), folder()).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class WanTransformerParity : public testing::TestWithParam<std::string> {
 protected:
  const c10::InferenceMode guard_;
};

TEST_P(WanTransformerParity, EqualsDiffusersInF32) {
  const Case given(folder() / GetParam());
  const at::Tensor output = given.run(open_model(given.model, at::kFloat));
  const at::Tensor wanted = given.tensors.get("output");
  ASSERT_EQ(output.sizes(), wanted.sizes());
  EXPECT_LT(relative_error(output, wanted), 2e-6);
}

TEST_P(WanTransformerParity, IsNoFurtherFromF32InBf16ThanDiffusers) {
  const Case given(folder() / GetParam());
  const at::Tensor output = given.run(open_model(given.model, at::kBFloat16));
  const double theirs = given.description["bf16_relative_error"].get<double>();
  EXPECT_LT(relative_error(output, given.tensors.get("output")), 1.1 * theirs);
}

TEST_P(WanTransformerParity, AttendsToPaddingAsIfEveryPaddedTokenWereThere) {
  const Case given(folder() / GetParam());
  const WanTransformer model = open_model(given.model, at::kFloat);
  const std::vector<int64_t> all(given.num_tokens().size(),
                                 given.tensors.get("encoder_hidden_states").size(1));
  // Both may be as far from diffusers as EqualsDiffusersInF32 allows; they differ in the order of
  // their sums alone.
  EXPECT_LT(relative_error(given.run(model), given.run(model, all)), 2e-6);
}

TEST_P(WanTransformerParity, GivesTheSameBytesAtAnyNumberOfThreads) {
  if (!test_device().is_cpu()) GTEST_SKIP() << "threads are of processors";
  const Case given(folder() / GetParam());
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const WanTransformer model = open_model(given.model, dtype);
    const int before = at::get_num_threads();
    at::set_num_threads(1);
    const at::Tensor once = given.run(model);
    at::set_num_threads(3);
    EXPECT_TRUE(at::equal(once, given.run(model)));
    at::set_num_threads(before);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, WanTransformerParity, testing::ValuesIn(case_names()),
                         [](const auto& param) {
                           std::string name = fs::path(param.param).replace_extension().string();
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(WanTransformerMemory, AfterTheFirstStepNothingLargeComesFromTheSystem) {
  const c10::InferenceMode inference;
  for (const bool in_int8 : {false, true}) {
    const auto checkpoint =
        std::make_shared<Checkpoint>(Checkpoint::open(folder() / "t2v" / "model"));
    const Weights weights(checkpoint, at::kBFloat16);
    const WanTransformerConfig config = WanTransformerConfig::from_config(
        ConfigReader::open(folder() / "t2v" / "model" / "config.json"));
    const WanTransformer model(config, weights, {.dtype = at::kBFloat16, .int8_products = in_int8});
    const WanTextContext text =
        model.prepare_text(at::randn({1, 8, config.text_dim}).to(at::kBFloat16), {8});
    const at::Tensor latents =
        at::randn({1, config.in_channels, 6, 64, 64});  // 6144 tokens: more than 1 MiB a tensor
    const auto step = [&](double timestep) {
      return model(latents, at::full({1}, timestep, at::kFloat), text);
    };
    keep_tensor_memory(int64_t{256} << 20);
    step(900);
    const int64_t after_first = fresh_tensor_blocks();
    EXPECT_GT(after_first, 0);
    step(600);
    step(300);
    EXPECT_EQ(fresh_tensor_blocks(), after_first) << (in_int8 ? "int8" : "bf16");
    keep_tensor_memory(0);
  }
}

class WanTransformerErrors : public testing::Test {
 protected:
  const c10::InferenceMode guard_;
  nlohmann::json config_ = read_json_file(folder() / "t2v" / "model" / "config.json");

  Error config_error() {
    return error_of(
        [&] { WanTransformerConfig::from_config(ConfigReader(config_, "config.json")); });
  }
};

TEST_F(WanTransformerErrors, NameAnUnknownConfigField) {
  config_["window_size"] = 4;
  const Error error = config_error();
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_NE(std::string(error.what()).find("window_size"), std::string::npos) << error.what();
}

TEST_F(WanTransformerErrors, NameAHeadWidthThatCannotBeTurned) {
  config_["attention_head_dim"] = 15;
  EXPECT_NE(std::string(config_error().what()).find("attention_head_dim is 15"), std::string::npos);
}

TEST_F(WanTransformerErrors, NameHalfAnImageBranch) {
  config_["image_dim"] = 24;
  EXPECT_NE(std::string(config_error().what()).find("added_kv_proj_dim"), std::string::npos);
}

TEST_F(WanTransformerErrors, NameATensorOfAnotherShape) {
  config_["ffn_dim"] = config_["ffn_dim"].get<int64_t>() + 1;
  const auto config = WanTransformerConfig::from_config(ConfigReader(config_, "config.json"));
  const Weights weights(
      std::make_shared<const Checkpoint>(Checkpoint::open(folder() / "t2v" / "model")), at::kFloat);
  const Error error = error_of([&] { WanTransformer(config, weights); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_NE(std::string(error.what()).find("blocks.0.ffn.net.0.proj.weight"), std::string::npos)
      << error.what();
}

TEST_F(WanTransformerErrors, NameASizeWithMoreTokensThanPositions) {
  const WanTransformer model = open_model(folder() / "t2v" / "model", at::kFloat);
  const int64_t most = model.config().rope_max_seq_len;
  const WanTextContext text = model.prepare_text(at::zeros({1, 4, model.config().text_dim}), 0);
  const Error error = error_of([&] {
    model(at::zeros({1, 16, most + 1, 2, 2}), at::zeros({1}), text);
  });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_NE(std::string(error.what()).find(std::to_string(most)), std::string::npos)
      << error.what();
}

TEST_F(WanTransformerErrors, AskForTheImageThatTheModelNeeds) {
  const WanTransformer model = open_model(folder() / "image" / "model", at::kFloat);
  const Error error = error_of([&] {
    model.prepare_text(at::zeros({1, 4, model.config().text_dim}), 0);
  });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
}

TEST_F(WanTransformerErrors, NameControlLayersThatDoNotRiseFromTheFirst) {
  config_ = read_json_file(folder() / "vace" / "model" / "config.json");
  for (const std::vector<int64_t>& layers :
       std::vector<std::vector<int64_t>>{{}, {1, 2}, {0, 2, 2}, {0, 3, 1}, {0, 4}, {-1, 0}}) {
    config_["vace_layers"] = layers;
    const Error error = config_error();
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_NE(std::string(error.what()).find("vace_layers"), std::string::npos) << error.what();
  }
}

TEST(WanTransformerConfig, TakesNullOutChannelsForAsManyAsComeIn) {
  nlohmann::json config = read_json_file(folder() / "t2v" / "model" / "config.json");
  config["in_channels"] = 20;
  config["out_channels"] = nullptr;
  EXPECT_EQ(WanTransformerConfig::from_config(ConfigReader(config, "config.json")).out_channels,
            20);
  config.erase("out_channels");
  EXPECT_EQ(WanTransformerConfig::from_config(ConfigReader(config, "config.json")).out_channels,
            16);
}

class WanTransformerStreamed : public testing::TestWithParam<const char*> {};

TEST_P(WanTransformerStreamed, GivesTheSameBytes) {
  const c10::InferenceMode guard;
  const Case each(folder() / GetParam());
  const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(each.model));
  const WanTransformerConfig config =
      WanTransformerConfig::from_config(ConfigReader::open(each.model / "config.json"));
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const WanTransformer whole(config, Weights(checkpoint, dtype, test_device()));
    const Weights weights(checkpoint, dtype, test_device());
    const WanTransformer streamed(config, weights, {}, {.num_layers = 0});
    weights.check_all_used();
    EXPECT_TRUE(at::equal(each.run(whole), each.run(streamed)));
    const WanTransformer half(
        config, weights, {},
        {.num_layers = config.num_layers / 2, .host_copies = !test_device().is_cpu()});
    for (int pass = 0; pass < 2; ++pass) EXPECT_TRUE(at::equal(each.run(whole), each.run(half)));
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, WanTransformerStreamed,
                         testing::Values("t2v_sharded/video.json", "vace/control.json"),
                         [](const auto& param) { return std::string(param.param).substr(0, 4); });

TEST(WanTransformerStreaming, FindsAMissingWeightBeforeTheFirstStep) {
  const fs::path model = folder() / "t2v_sharded" / "model";
  const Checkpoint stored = Checkpoint::open(model);
  const auto checkpoint =
      std::make_shared<const Checkpoint>(stored.renamed([](const std::string& name) {
        return name == "blocks.2.ffn.net.2.weight" ? std::string() : name;
      }));
  const WanTransformerConfig config =
      WanTransformerConfig::from_config(ConfigReader::open(model / "config.json"));
  const Error error = error_of(
      [&] { WanTransformer(config, Weights(checkpoint, at::kFloat), {}, {.num_layers = 0}); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_NE(std::string(error.what()).find("blocks.2.ffn.net.2.weight"), std::string::npos);
}

}  // namespace
}  // namespace sora
