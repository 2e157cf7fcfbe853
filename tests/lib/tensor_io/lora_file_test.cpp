#include "lib/tensor_io/lora_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/core/model_files.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LoraNames, AreTakenApart) {
  const struct {
    const char* name;
    const char* module;
    LoraRole role;
    bool flattened, low_noise;
  } kCases[] = {
      {"diffusion_model.blocks.3.self_attn.q.lora_A.weight", "blocks.3.self_attn.q", LoraRole::Down,
       false, false},
      {"transformer.blocks.3.attn1.to_q.lora_B.weight", "blocks.3.attn1.to_q", LoraRole::Up, false,
       false},
      {"transformer_2.blocks.3.attn1.to_q.lora_B.weight", "blocks.3.attn1.to_q", LoraRole::Up,
       false, true},
      {"lora_unet_blocks_3_ffn_0.lora_down.weight", "blocks_3_ffn_0", LoraRole::Down, true, false},
      {"lora_unet_blocks_16.cross_attn.q.alpha", "blocks_16.cross_attn.q", LoraRole::Alpha, true,
       false},
      {"base_model.model.blocks.0.ffn.2.lora_A.default.weight", "blocks.0.ffn.2", LoraRole::Down,
       false, false},
      {"blocks.0.norm3.diff", "blocks.0.norm3", LoraRole::WeightDifference, false, false},
      {"diffusion_model.head.head.diff_b", "head.head", LoraRole::BiasDifference, false, false},
      {"diffusion_model.blocks.0.diff_m", "blocks.0", LoraRole::ModulationDifference, false, false},
      {"transformer.blocks.0.attn1.to_q.lora_B.bias", "blocks.0.attn1.to_q", LoraRole::UpBias,
       false, false},
      {"diffusion_model.blocks.0.self_attn.q.lora_linear_layer.down.weight", "blocks.0.self_attn.q",
       LoraRole::Down, false, false},
      {"diffusion_model.blocks.0.self_attn.q.lora_linear_layer.up.weight", "blocks.0.self_attn.q",
       LoraRole::Up, false, false},
      {"pipe.dit.blocks.0.ffn.0.lora_A.default.weight", "blocks.0.ffn.0", LoraRole::Down, false,
       false},
      {"lycoris_blocks_0_ffn_0.lora_up.weight", "blocks_0_ffn_0", LoraRole::Up, true, false},
      {"blocks.0.norm3.weight", "", LoraRole::Down, false, false},
      {"", "", LoraRole::Down, false, false},
  };
  for (const auto& each : kCases) {
    const LoraName name = parse_lora_name(each.name, "x");
    EXPECT_EQ(name.module, each.module) << each.name;
    if (name.module.empty()) continue;
    EXPECT_EQ(name.role, each.role) << each.name;
    EXPECT_EQ(name.flattened, each.flattened) << each.name;
    EXPECT_EQ(name.low_noise, each.low_noise) << each.name;
  }
}

TEST(LoraNames, OfOtherKindsOfAdaptersAreRefused) {
  for (const char* name :
       {"blocks.0.ffn.0.hada_w1_a", "lora_unet_blocks_0_ffn_0.lokr_w1", "blocks.0.ffn.0.dora_scale",
        "blocks.0.ffn.0.lora_magnitude_vector", "base_model.model.blocks.0.ffn.0.lora_E"}) {
    const Error error = error_of([&] { parse_lora_name(name, "x.safetensors"); });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_THAT(error.what(), HasSubstr("no LoRA"));
  }
}

class BadLora : public testing::Test {
 protected:
  std::string message_of(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
    write_safetensors(scratch_ / "model.safetensors", {{"a.weight", at::ones({4, 6})}});
    write_safetensors(scratch_ / "lora.safetensors", tensors, metadata_);
    const Checkpoint model = Checkpoint::open(scratch_ / "model.safetensors");
    TensorChanges changes;
    const Error error = error_of([&] {
      read_lora(
          scratch_ / "lora.safetensors", 1.0, false, model,
          [](const LoraName& name) { return name.module; }, changes);
    });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return error.what();
  }
  ScratchDirectory scratch_;
  std::map<std::string, std::string> metadata_;
};

TEST_F(BadLora, IsRefused) {
  const at::Tensor down = at::ones({2, 6}), up = at::ones({4, 2});
  EXPECT_THAT(message_of({{"a.lora_A.weight", down}}), HasSubstr("only one half"));
  EXPECT_THAT(message_of({{"a.lora_A.weight", down}, {"a.lora_B.weight", at::ones({4, 3})}}),
              HasSubstr("another size"));
  EXPECT_THAT(message_of({{"a.lora_A.weight", at::ones({2, 5})}, {"a.lora_B.weight", up}}),
              HasSubstr("another size"));
  EXPECT_THAT(
      message_of({{"a.lora_A.weight", at::ones({0, 6})}, {"a.lora_B.weight", at::ones({4, 0})}}),
      HasSubstr("another size"));
  EXPECT_THAT(
      message_of({{"a.lora_A.weight", down}, {"a.lora_B.weight", up}, {"a.alpha", at::ones({2})}}),
      HasSubstr("expected one"));
  EXPECT_THAT(message_of({{"a.diff", at::ones({4, 5})}}), HasSubstr("has shape [4, 5]"));
}

TEST_F(BadLora, OfAnotherKindByItsMetadataIsRefused) {
  metadata_ = {
      {"lora_adapter_metadata", R"({"transformer.lora_alpha": 4, "transformer.use_dora": true})"}};
  EXPECT_THAT(
      message_of({{"a.lora_A.weight", at::ones({2, 6})}, {"a.lora_B.weight", at::ones({4, 2})}}),
      HasSubstr("DoRA"));
}

// The factor of the only pair of a LoRA of rank 4 with this config of PEFT.
double scale_with(const std::string& config) {
  const ScratchDirectory scratch;
  write_safetensors(scratch / "model.safetensors", {{"blocks.0.a.weight", at::ones({4, 6})}});
  write_safetensors(scratch / "lora.safetensors",
                    {{"transformer.blocks.0.a.lora_A.weight", at::ones({4, 6})},
                     {"transformer.blocks.0.a.lora_B.weight", at::ones({4, 4})}},
                    {{"lora_adapter_metadata", config}});
  TensorChanges changes;
  read_lora(
      scratch / "lora.safetensors", 1.0, false, Checkpoint::open(scratch / "model.safetensors"),
      [](const LoraName& name) { return name.module; }, changes);
  return changes.at("blocks.0.a.weight").low_rank.at(0).scale;
}

TEST(Lora, TakesAlphaFromTheMetadataThatDiffusersWrites) {
  EXPECT_EQ(scale_with("{}"), 1);
  EXPECT_EQ(scale_with(R"({"transformer.lora_alpha": 2, "transformer.r": 4})"), 0.5);
  EXPECT_EQ(scale_with(R"({"lora_alpha": 2})"), 0.5);
  EXPECT_EQ(scale_with(R"({"transformer.lora_alpha": 2, "transformer.use_rslora": true})"), 1);
  EXPECT_EQ(scale_with(R"({"lora_alpha": 2, "alpha_pattern": {"0.a": 12, "b": 4}})"), 3);
  EXPECT_EQ(scale_with(R"({"transformer_2.lora_alpha": 2})"), 1);
}

TEST(Lora, ThatIsStoredWithScalesIsExpanded) {
  const ScratchDirectory scratch;
  write_safetensors(scratch / "model.safetensors", {{"a.weight", at::ones({4, 6})}});
  write_safetensors(scratch / "lora.safetensors",
                    {{"a.lora_A.weight", at::full({2, 6}, 3, at::kChar)},
                     {"a.lora_A.weight_scale", at::full({1}, 0.5)},
                     {"a.lora_B.weight", at::ones({4, 2})}});
  TensorChanges changes;
  read_lora(
      scratch / "lora.safetensors", 1.0, false, Checkpoint::open(scratch / "model.safetensors"),
      [](const LoraName& name) { return name.module; }, changes);
  EXPECT_TRUE(at::equal(changes.at("a.weight").low_rank.at(0).down_RK, at::full({2, 6}, 1.5)));
}

TEST(Lora, OfAModelWithOtherInputsFitsButForItsPatches) {
  const ScratchDirectory scratch;
  write_safetensors(scratch / "model.safetensors",
                    {{"patch_embedding.weight", at::ones({4, 36, 1, 2, 2})},
                     {"patch_embedding.bias", at::ones({4})},
                     {"scale_shift_table", at::ones({1, 2, 4})},
                     {"a.weight", at::ones({4, 6})}});
  write_safetensors(scratch / "lora.safetensors",
                    {{"patch_embedding.diff", at::ones({4, 16, 1, 2, 2})},
                     {"patch_embedding.diff_b", at::ones({4})},
                     {"head.diff_m", at::ones({1, 2, 4})},
                     {"a.diff", at::ones({4, 6})}});
  TensorChanges changes;
  const LoraMatch match = read_lora(
      scratch / "lora.safetensors", 1.0, false, Checkpoint::open(scratch / "model.safetensors"),
      [](const LoraName& name) {
        return name.module == "head.modulation" ? "scale_shift_table" : name.module;
      },
      changes);
  EXPECT_EQ(match.num_matched, 2);
  EXPECT_EQ(match.unmatched.size(), 2u);
  EXPECT_EQ(changes.count("a.weight") + changes.count("scale_shift_table"), 2u);
}

TEST(Lora, AnAlphaWithoutItsPairHasNoPlace) {
  const ScratchDirectory scratch;
  write_safetensors(scratch / "model.safetensors",
                    {{"a.weight", at::ones({4, 6})}, {"b.weight", at::ones({4, 6})}});
  write_safetensors(scratch / "lora.safetensors", {{"a.alpha", at::ones({})},
                                                   {"b.alpha", at::ones({})},
                                                   {"b.lora_A.weight", at::ones({2, 6})},
                                                   {"b.lora_B.weight", at::ones({4, 2})}});
  TensorChanges changes;
  const LoraMatch match = read_lora(
      scratch / "lora.safetensors", 1.0, false, Checkpoint::open(scratch / "model.safetensors"),
      [](const LoraName& name) { return name.module; }, changes);
  EXPECT_EQ(match.num_matched, 3);
  EXPECT_THAT(match.unmatched, ElementsAre("a.alpha"));
}

TEST(LoraChoices, AreParsedFromTheRight) {
  EXPECT_EQ(parse_lora_choice("a.safetensors"), (LoraChoice{"a.safetensors", 1.0, ""}));
  EXPECT_EQ(parse_lora_choice("a.safetensors:0.5"), (LoraChoice{"a.safetensors", 0.5, ""}));
  EXPECT_EQ(parse_lora_choice("C:a:-1:low"), (LoraChoice{"C:a", -1.0, "low"}));
  EXPECT_EQ(parse_lora_choice("a:high"), (LoraChoice{"a", 1.0, "high"}));
  for (const char* text : {"", ":0.5", "a:1000", "a:nan"})
    EXPECT_EQ(error_of([&] { parse_lora_choice(text); }).kind(), ErrorKind::Usage) << text;
}

}  // namespace
}  // namespace sora
