// Against transformers' UMT5EncoderModel on random weights: tests/data/umt5.
#include "lib/text/umt5.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/relative_error.h"
#include "tests/scratch_directory.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kData = fs::path(SORA_TEST_DATA) / "umt5";

struct Case {
  std::vector<std::vector<int64_t>> ids;  // real tokens only
  std::vector<at::Tensor> wanted_TD;
  std::vector<at::Tensor> wanted_bf16_TD;
};

Case read_case(const fs::path& path) {
  const auto file = SafetensorsFile::open(path);
  const at::Tensor ids_BT = file->get("input_ids");
  const at::Tensor mask_BT = file->get("attention_mask");
  Case result;
  for (int64_t b = 0; b < ids_BT.size(0); ++b) {
    const int64_t num_real = mask_BT[b].sum().item<int64_t>();
    const at::Tensor real = ids_BT[b].slice(0, 0, num_real).contiguous();
    result.ids.emplace_back(real.const_data_ptr<int64_t>(),
                            real.const_data_ptr<int64_t>() + num_real);
    result.wanted_TD.push_back(file->get("hidden_states")[b].slice(0, 0, num_real));
    result.wanted_bf16_TD.push_back(file->get("hidden_states_bf16")[b].slice(0, 0, num_real));
  }
  return result;
}

class Umt5 : public ::testing::TestWithParam<std::string> {
 protected:
  fs::path form_ = kData / GetParam();
};

TEST_P(Umt5, EqualsTransformersInF32) {
  const Umt5Encoder encoder = Umt5Encoder::open(form_ / "model", at::kFloat, test_device());
  Observer observer;
  for (const std::string name : {"prompt", "long", "empty", "two_padded"}) {
    const Case c = read_case(form_ / (name + ".safetensors"));
    const std::vector<at::Tensor> found = encoder.encode(c.ids, observer);
    ASSERT_EQ(found.size(), c.ids.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].sizes(), c.wanted_TD[i].sizes());
      EXPECT_EQ(found[i].device(), test_device());
      EXPECT_LT(relative_error(found[i].cpu(), c.wanted_TD[i]), 2e-6) << name << " " << i;
    }
  }
}

// Over all cases of a form together: the error of a single token of 20 numbers says little.
TEST_P(Umt5, StaysWithinTransformersOwnRoundingInBf16) {
  const Umt5Encoder encoder = Umt5Encoder::open(form_ / "model", at::kBFloat16, test_device());
  Observer observer;
  std::vector<at::Tensor> found_TD, wanted_TD, reference_TD;
  for (const std::string name : {"prompt", "long", "empty", "two_padded"}) {
    const Case c = read_case(form_ / (name + ".safetensors"));
    for (const at::Tensor& x_TD : encoder.encode(c.ids, observer)) {
      EXPECT_EQ(x_TD.scalar_type(), at::kBFloat16);
      found_TD.push_back(x_TD.cpu());
    }
    wanted_TD.insert(wanted_TD.end(), c.wanted_TD.begin(), c.wanted_TD.end());
    reference_TD.insert(reference_TD.end(), c.wanted_bf16_TD.begin(), c.wanted_bf16_TD.end());
  }
  const double yardstick = relative_error(at::cat(reference_TD), at::cat(wanted_TD));
  EXPECT_LT(relative_error(at::cat(found_TD), at::cat(wanted_TD)), 1.1 * yardstick);
  EXPECT_LT(relative_error(at::cat(found_TD), at::cat(reference_TD)), 1.1 * yardstick);
}

INSTANTIATE_TEST_SUITE_P(Forms, Umt5,
                         ::testing::Values("encoder", "other_buckets", "sharded", "ungated_relu"));

nlohmann::json config_of(const std::string& form) {
  return read_json_file(kData / form / "model" / "config.json");
}

// A copy of a model whose config and weights can be spoiled.
void copy_model(const ScratchDirectory& to, const std::string& form) {
  fs::copy(kData / form / "model", to.path(), fs::copy_options::recursive);
}

TEST(Umt5Encoder, AcceptsTheEmbeddingUnderItsSecondNameAndUnderBoth) {
  const auto original = SafetensorsFile::open(kData / "encoder" / "model" / "model.safetensors");
  Observer observer;
  const std::vector<std::vector<int64_t>> ids = {{5, 17, 3, 1}};
  const at::Tensor wanted =
      Umt5Encoder::open(kData / "encoder" / "model", at::kFloat).encode(ids, observer)[0];
  for (const bool both : {false, true}) {
    ScratchDirectory scratch;
    copy_model(scratch, "encoder");
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for (const TensorInfo& info : original->tensors()) {
      const bool is_table = info.name == "shared.weight";
      if (!is_table || both) tensors.emplace_back(info.name, original->get(info.name));
      if (is_table) tensors.emplace_back("encoder.embed_tokens.weight", original->get(info.name));
    }
    fs::remove(scratch / "model.safetensors");
    write_safetensors(scratch / "model.safetensors", tensors);
    EXPECT_TRUE(
        Umt5Encoder::open(scratch.path(), at::kFloat).encode(ids, observer)[0].equal(wanted));
  }
}

TEST(Umt5Encoder, NamesATensorThatIsMissingUnusedOrOfAnotherShape) {
  ScratchDirectory scratch;
  copy_model(scratch, "encoder");
  nlohmann::json config = config_of("encoder");
  config["num_layers"] = 3;
  scratch.write("config.json", config.dump());
  EXPECT_THAT(error_of([&] { Umt5Encoder::open(scratch.path(), at::kFloat); }).what(),
              HasSubstr("encoder.block.2.layer.0"));
  config["num_layers"] = 1;
  scratch.write("config.json", config.dump());
  EXPECT_THAT(error_of([&] { Umt5Encoder::open(scratch.path(), at::kFloat); }).what(),
              HasSubstr("no place in this model"));
  config["num_layers"] = 2;
  config["d_ff"] = 29;
  scratch.write("config.json", config.dump());
  EXPECT_THAT(error_of([&] { Umt5Encoder::open(scratch.path(), at::kFloat); }).what(),
              HasSubstr("expected [29, 20]"));
}

TEST(Umt5Encoder, NamesAConfigFieldItDoesNotKnowOrCannotHonour) {
  const auto message = [](const char* field, const nlohmann::json& value) {
    nlohmann::json config = config_of("encoder");
    config[field] = value;
    return std::string(
        error_of([&] { Umt5Config::read(ConfigReader(config, "config.json")); }).what());
  };
  EXPECT_THAT(message("rotary", true), HasSubstr("unknown field \"rotary\""));
  EXPECT_THAT(message("is_decoder", true), HasSubstr("is_decoder"));
  EXPECT_THAT(message("model_type", "t5"), HasSubstr("only \"umt5\""));
  EXPECT_THAT(message("dense_act_fn", "mish"), HasSubstr("\"mish\""));
  EXPECT_THAT(message("num_heads", 0), HasSubstr("num_heads"));
  EXPECT_THAT(message("d_model", "20"), HasSubstr("d_model"));
  EXPECT_THAT(message("relative_attention_num_buckets", 2), HasSubstr("2 buckets"));
}

TEST(Umt5Encoder, ReadsThePublishedConfig) {
  const ConfigReader reader(
      parse_json(R"({"architectures":["UMT5EncoderModel"],"classifier_dropout":0.0,"d_ff":10240,
    "d_kv":64,"d_model":4096,"decoder_start_token_id":0,"dense_act_fn":"gelu_new","dropout_rate":0.1,"eos_token_id":1,
    "feed_forward_proj":"gated-gelu","initializer_factor":1.0,"is_encoder_decoder":true,"is_gated_act":true,
    "layer_norm_epsilon":1e-06,"model_type":"umt5","num_decoder_layers":24,"num_heads":64,"num_layers":24,
    "output_past":true,"pad_token_id":0,"relative_attention_max_distance":128,"relative_attention_num_buckets":32,
    "scalable_attention":true,"tie_word_embeddings":false,"tokenizer_class":"T5Tokenizer","torch_dtype":"bfloat16",
    "transformers_version":"4.48.0","use_cache":true,"vocab_size":256384})",
                 "config.json"),
      "config.json");
  const Umt5Config config = Umt5Config::read(reader);
  EXPECT_EQ(config.width, 4096);
  EXPECT_EQ(config.num_heads * config.head_width, 4096);
  EXPECT_EQ(config.activation, Umt5Activation::GeluTanh);
}

TEST(Umt5Encoder, RefusesIdsBeyondItsVocabulary) {
  const Umt5Encoder encoder = Umt5Encoder::open(kData / "encoder" / "model", at::kFloat);
  Observer observer;
  EXPECT_THAT(error_of([&] {
                encoder.encode({{3, 910}}, observer);
              }).what(),
              HasSubstr("token 910"));
  EXPECT_EQ(error_of([&] { encoder.encode({{-1}}, observer); }).kind(), ErrorKind::Input);
}

class StopAfter : public Observer {
 public:
  explicit StopAfter(int64_t steps) : steps_(steps) {}
  void advance(Phase, int64_t done) override { done_ = done; }
  bool stop_requested() const override { return done_ >= steps_; }
  int64_t done_ = 0;

 private:
  int64_t steps_;
};

TEST(Umt5Encoder, StopsBetweenLayers) {
  const Umt5Encoder encoder = Umt5Encoder::open(kData / "encoder" / "model", at::kFloat);
  StopAfter observer(1);
  EXPECT_EQ(error_of([&] { encoder.encode({{3, 1}}, observer); }).kind(), ErrorKind::Cancelled);
  EXPECT_EQ(observer.done_, 1);
}

}  // namespace
}  // namespace sora
