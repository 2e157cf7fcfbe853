// The same model from every form in which people have its weights: tests/data/weights, written by
// diffusers', gguf's and torch's own code.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/models/wan/lora.h"
#include "lib/models/wan/names.h"
#include "lib/models/wan/parts.h"
#include "lib/models/wan/transformer.h"
#include "lib/models/wan/vae.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/relative_error.h"
#include "tests/scratch_directory.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const fs::path kForms = fs::path(SORA_TEST_DATA) / "weights";
const fs::path kTransformers = fs::path(SORA_TEST_DATA) / "transformer";
constexpr double kSameArithmetic = 1e-5;  // ours and torch's order of sums in f32

WanTransformer open_transformer(const fs::path& path,
                                const std::shared_ptr<const TensorChanges>& changes = nullptr) {
  const Weights weights(open_weights(WanPart::Transformer, path), at::kFloat, test_device(),
                        changes);
  WanTransformer model(WanTransformerConfig::from_config(read_config(WanPart::Transformer, path)),
                       weights);
  weights.check_all_used();
  return model;
}

at::Tensor run(const WanTransformer& model, const Checkpoint& given) {
  const at::Tensor text = given.get("encoder_hidden_states").to(test_device());
  const at::Tensor image = given.has("encoder_hidden_states_image")
                               ? given.get("encoder_hidden_states_image").to(test_device())
                               : at::Tensor();
  const WanTextContext context =
      model.prepare_text(text, std::vector<int64_t>(text.size(0), text.size(1)), image);
  return model(given.get("hidden_states").to(test_device()), given.get("timestep"), context).cpu();
}

class WeightForms : public testing::Test {
 protected:
  const c10::InferenceMode guard_;
};

TEST_F(WeightForms, OriginalNamesGiveTheDirectorysOutputExactly) {
  const std::pair<const char*, const char*> kCases[] = {{"t2v", "video"},
                                                        {"image_pair", "first_image"}};
  for (const auto& [name, title] : kCases) {
    const fs::path folder = kTransformers / name;
    const Checkpoint given = Checkpoint::open(folder / (std::string(title) + ".safetensors"));
    const fs::path file = kForms / "single_files" / (std::string(name) + ".safetensors");
    EXPECT_TRUE(at::equal(run(open_transformer(file), given),
                          run(open_transformer(folder / "model"), given)))
        << name;
  }
}

TEST_F(WeightForms, OriginalNamesOfTheVaeAreRead) {
  for (const std::string name : {"vae_21", "vae_22"}) {
    const fs::path file = kForms / "single_files" / (name + ".safetensors");
    const ConfigReader config = read_config(WanPart::Vae, file);
    const nlohmann::json expected =
        read_json_file(kForms / "single_files" / (name + ".decode.json"))["config"];
    for (const auto& [field, value] : config.object().items()) {
      if (field == "_class_name") continue;
      EXPECT_EQ(value, expected[field]) << name << " " << field;
    }
    const WanVae vae(WanVaeConfig::from_config(config),
                     Weights(open_weights(WanPart::Vae, file), at::kFloat, test_device()));
    const Checkpoint tensors =
        Checkpoint::open(kForms / "single_files" / (name + ".decode.safetensors"));
    std::vector<at::Tensor> chunks;
    vae.decode(tensors.get("latents"),
               [&](const at::Tensor& frames) { chunks.push_back(frames.cpu().clone()); });
    EXPECT_LE(relative_error(at::cat(chunks, 2), tensors.get("frames")), kSameArithmetic) << name;
  }
}

TEST_F(WeightForms, GgufWithAConfigOffItsShapesEqualsDiffusersOnItsValues) {
  const fs::path file = kForms / "gguf" / "transformer.gguf";
  const nlohmann::json expected =
      read_json_file(kForms / "gguf" / "transformer.run.json")["config"];
  const ConfigReader config = read_config(WanPart::Transformer, file);
  for (const auto& [field, value] : config.object().items()) {
    if (field == "_class_name") continue;
    EXPECT_EQ(value, expected[field]) << field;
  }
  const Checkpoint given = Checkpoint::open(kForms / "gguf" / "transformer.run.safetensors");
  EXPECT_LE(relative_error(run(open_transformer(file), given), given.get("output")),
            kSameArithmetic);
}

TEST_F(WeightForms, GgufWeightsStayPackedUntilTheyAreUsed) {
  const auto weights = open_weights(WanPart::Transformer, kForms / "gguf" / "transformer.gguf");
  const auto packed = weights->packed("blocks.0.attn1.to_q.weight");
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->num_bytes(), 128 * 128 / 32 * 18);
  const WeightMatrix matrix =
      Weights(weights, at::kBFloat16)["blocks"][0]["attn1"]["to_q"].get_matrix("weight", 128, 128);
  EXPECT_TRUE(matrix.packed);
  EXPECT_FALSE(matrix.plain_NK.defined());
}

TEST_F(WeightForms, ScaledFp8EqualsDiffusersOnItsValues) {
  const Checkpoint given = Checkpoint::open(kForms / "scaled" / "old.run.safetensors");
  EXPECT_LE(relative_error(run(open_transformer(kForms / "scaled" / "old.safetensors"), given),
                           given.get("output")),
            kSameArithmetic);
}

TEST_F(WeightForms, ScaledWeightsStayPackedOnAnyDeviceAndBlocksOnTheCpu) {
  const auto matrix = [](const char* file, const std::string& name) {
    const auto weights = open_weights(WanPart::Transformer, kForms / file);
    const std::vector<int64_t> shape = weights->info(name + ".weight").shape;
    Weights scope(weights, at::kBFloat16, stand_in_device());
    size_t start = 0;
    for (size_t dot; (dot = name.find('.', start)) != std::string::npos; start = dot + 1)
      scope = scope[name.substr(start, dot - start)];
    return scope[name.substr(start)].get_matrix("weight", shape[0], shape[1]);
  };
  const WeightMatrix scaled = matrix("scaled/old.safetensors", "blocks.0.attn1.to_q");
  ASSERT_TRUE(scaled.packed);
  EXPECT_EQ(scaled.packed->all(at::kFloat).device(), stand_in_device());
  const WeightMatrix blocks = matrix("gguf/transformer.gguf", "blocks.0.attn1.to_q");
  EXPECT_FALSE(blocks.packed);
  EXPECT_EQ(blocks.plain_NK.device(), stand_in_device());
}

class Loras : public WeightForms {
 protected:
  at::Tensor run_with(const std::string& name, double weight = 0.8) {
    const auto model = open_weights(WanPart::Transformer, path_);
    const WanLoras loras = read_wan_loras({{(folder_ / name).string(), weight, ""}},
                                          /*low_noise=*/false, /*has_two_experts=*/false, *model);
    report_ = loras.report;
    return run(open_transformer(path_, loras.changes), given_);
  }

  const fs::path folder_ = kForms / "lora";
  const fs::path path_ = kTransformers / "image" / "model";
  const Checkpoint given_ = Checkpoint::open(folder_ / "run.safetensors");
  std::vector<std::string> report_;
};

TEST_F(Loras, EveryNamingGivesWhatDiffusersGives) {
  for (const std::string name : {"diffusers", "comfy", "alpha", "kohya", "dotted"}) {
    EXPECT_LE(relative_error(run_with(name + ".safetensors"), given_.get("adapted")),
              kSameArithmetic)
        << name;
  }
}

TEST_F(Loras, DifferencesAreAdded) {
  EXPECT_LE(relative_error(run_with("differences.safetensors"), given_.get("merged")),
            kSameArithmetic);
}

TEST_F(Loras, WeightZeroChangesNothing) {
  EXPECT_LE(relative_error(run_with("comfy.safetensors", 0.0), given_.get("output")),
            kSameArithmetic);
}

TEST_F(Loras, TellsHowManyTensorsFoundTheirPlace) {
  run_with("kohya.safetensors");
  EXPECT_THAT(report_, ElementsAre(HasSubstr("kohya.safetensors: 18 of 19 tensors matched, weight "
                                             "0.8; without a place: lora_te_")));
}

TEST_F(Loras, OneThatChangesNothingIsAnError) {
  const ScratchDirectory scratch;
  const fs::path alphas = scratch / "alphas.safetensors";
  write_safetensors(alphas, {{"diffusion_model.blocks.0.self_attn.q.alpha", at::ones({})}});
  for (const fs::path& file : {kForms / "scaled" / "new.safetensors", alphas}) {
    const Error error = error_of([&] {
      const auto model = open_weights(WanPart::Transformer, kTransformers / "t2v" / "model");
      read_wan_loras({{file.string(), 1.0, ""}}, /*low_noise=*/false, /*has_two_experts=*/false,
                     *model);
    });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_THAT(error.what(), HasSubstr("none of its"));
  }
}

TEST_F(Loras, OneForAModelOfAnotherSizeIsAnError) {
  const Error error = error_of([&] {
    const auto model = open_weights(WanPart::Transformer, kForms / "gguf" / "transformer.gguf");
    read_wan_loras({{(folder_ / "comfy.safetensors").string(), 1.0, ""}}, /*low_noise=*/false,
                   /*has_two_experts=*/false, *model);
  });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(error.what(), HasSubstr("is it for a model of another size?"));
}

TEST_F(Loras, AreOfTheExpertTheyAreNamedFor) {
  const auto model = open_weights(WanPart::Transformer, path_);
  const std::string file = (folder_ / "comfy.safetensors").string();
  const auto changes = [&](const std::string& path, const char* expert, bool low_noise) {
    return read_wan_loras({{path, 1.0, expert}}, low_noise, /*has_two_experts=*/true, *model)
        .changes;
  };
  EXPECT_TRUE(changes(file, "low", true));
  EXPECT_FALSE(changes(file, "low", false));

  // Tensors that are named after the low-noise expert alone.
  const Checkpoint plain = Checkpoint::open(folder_ / "diffusers.safetensors");
  std::vector<std::pair<std::string, at::Tensor>> named;
  for (const std::string& name : plain.names())
    named.emplace_back("transformer_2." + name.substr(name.find('.') + 1), plain.get(name));
  const ScratchDirectory scratch;
  const std::string of_low = scratch / "low.safetensors";
  write_safetensors(of_low, named);
  EXPECT_TRUE(changes(of_low, "", true));
  EXPECT_FALSE(changes(of_low, "", false));
  EXPECT_THAT(
      error_of([&] {
        read_wan_loras({{of_low, 1.0, ""}}, /*low_noise=*/false, /*has_two_experts=*/false, *model);
      }).what(),
      HasSubstr("has a place in this model"));
}

TEST_F(Loras, WorkOnPackedWeightsToo) {
  // The same adapter on a packed model and on its expanded values.
  const fs::path gguf = kForms / "gguf" / "transformer.gguf";
  const auto packed = open_weights(WanPart::Transformer, gguf);
  auto changes = std::make_shared<TensorChanges>();
  const at::Tensor down = at::linspace(-1, 1, 2 * 128).reshape({2, 128}) / 8;
  (*changes)["blocks.0.attn1.to_q.weight"].low_rank.push_back({down, down.t().contiguous(), 0.5});
  const Checkpoint given = Checkpoint::open(kForms / "gguf" / "transformer.run.safetensors");
  const at::Tensor at_run_time = run(open_transformer(gguf, changes), given);
  auto merged = std::make_shared<TensorChanges>();
  (*merged)["blocks.0.attn1.to_q.weight"].differences.push_back({at::matmul(down.t(), down), 0.5});
  EXPECT_LE(relative_error(at_run_time, run(open_transformer(gguf, merged), given)),
            kSameArithmetic);
  EXPECT_GT(relative_error(at_run_time, given.get("output")), 1e-4);
}

TEST(WanNames, GoBothWays) {
  const std::pair<const char*, const char*> kNames[] = {
      {"blocks.12.self_attn.q.weight", "blocks.12.attn1.to_q.weight"},
      {"blocks.0.cross_attn.norm_k_img.weight", "blocks.0.attn2.norm_added_k.weight"},
      {"blocks.0.self_attn.norm_q.weight", "blocks.0.attn1.norm_q.weight"},
      {"blocks.3.modulation", "blocks.3.scale_shift_table"},
      {"vace_blocks.1.after_proj.bias", "vace_blocks.1.proj_out.bias"},
      {"head.head.weight", "proj_out.weight"},
      {"img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"}};
  for (const auto& [original, diffusers] : kNames) {
    EXPECT_EQ(diffusers_transformer_name(original), diffusers);
    EXPECT_EQ(original_transformer_name(diffusers), original);
    EXPECT_EQ(diffusers_transformer_name(diffusers), diffusers);
  }
}

}  // namespace
}  // namespace sora
