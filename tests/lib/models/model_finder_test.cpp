// Files laid out as ComfyUI has them, with the true shapes of the published models and no data:
// tests/data/weights/headers says what the reference classes have at those sizes.
#include "lib/models/model_finder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/models/registry.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

const fs::path kData = SORA_TEST_DATA;

class PublishedFiles : public testing::Test {
 protected:
  // Calls with the name and shape of each of the model's tensors.
  template <typename Call>
  void for_each_tensor(const std::string& model, const Call& call) const {
    for (const nlohmann::json& row : shapes_.at(model)) {
      const std::string name = row[0];
      const int64_t count = row[2];
      if (count == 0) call(name, row[1]);
      for (int64_t i = 0; i < count; ++i) {
        std::string block = name;
        call(block.replace(block.find("{}"), 2, std::to_string(i)), row[1]);
      }
    }
  }

  // Rows of a model's tensors that are in its control branch, or that are not, as a model of their
  // own.
  void split_control(const std::string& model) {
    auto& shapes = const_cast<nlohmann::json&>(shapes_);
    nlohmann::json base = nlohmann::json::array(), module = nlohmann::json::array();
    for (const nlohmann::json& row : shapes_.at(model))
      (row[0].get<std::string>().starts_with("vace_") ? module : base).push_back(row);
    shapes[model + " base"] = base;
    shapes[model + " module"] = module;
  }

  // A GGUF as collections publish it: matrices in Q8_0, the patches in F16 with four dimensions and
  // their true shape beside, the rest in F32. No data, likewise.
  fs::path write_sparse_gguf(const std::string& place, const std::string& model) {
    constexpr uint32_t kF32 = 0, kF16 = 1, kQ8_0 = 8, kInt32 = 5, kString = 8, kArray = 9,
                       kAlignment = 32;
    std::string values, tensors;
    uint64_t num_values = 0, num_tensors = 0, end = 0;
    const auto number = [](std::string& out, auto value) {
      out.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    const auto text = [&](std::string& out, const std::string& bytes) {
      number(out, uint64_t{bytes.size()});
      out += bytes;
    };
    text(values, "general.architecture"), number(values, kString), text(values, "wan"),
        ++num_values;
    for_each_tensor(model, [&](const std::string& name, std::vector<int64_t> shape) {
      if (shape.size() == 5) {
        text(values, "comfy.gguf.orig_shape." + name), number(values, kArray),
            number(values, kInt32);
        number(values, uint64_t{shape.size()}), ++num_values;
        for (const int64_t side : shape) number(values, static_cast<int32_t>(side));
        shape = {shape[0] * shape[1], shape[2], shape[3], shape[4]};
      }
      const uint32_t type = shape.size() == 2 ? kQ8_0 : shape.size() == 4 ? kF16 : kF32;
      uint64_t count = 1;
      for (const int64_t side : shape) count *= static_cast<uint64_t>(side);
      text(tensors, name), number(tensors, static_cast<uint32_t>(shape.size())), ++num_tensors;
      for (size_t i = shape.size(); i > 0; --i)
        number(tensors, static_cast<uint64_t>(shape[i - 1]));
      number(tensors, type), number(tensors, end);
      end += type == kQ8_0 ? count / 32 * 34 : type == kF16 ? count * 2 : count * 4;
      end = (end + kAlignment - 1) / kAlignment * kAlignment;
    });
    std::string header = "GGUF";
    number(header, uint32_t{3}), number(header, num_tensors), number(header, num_values);
    header += values + tensors;
    header.resize((header.size() + kAlignment - 1) / kAlignment * kAlignment);
    const fs::path path = scratch_.write(place, header);
    fs::resize_file(path, header.size() + end);
    return path;
  }

  // A safetensors file with these tensors in BF16, of which only the header takes room on the disk.
  fs::path write_sparse(const std::string& place, const std::string& model,
                        const std::string& prefix = "") {
    nlohmann::ordered_json header;
    int64_t end = 0;
    const auto add = [&](const std::string& name, const nlohmann::json& shape) {
      int64_t bytes = 2;
      for (const int64_t side : shape) bytes *= side;
      header[prefix + name] = {
          {"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
      end += bytes;
    };
    for_each_tensor(model, add);
    const std::string text = header.dump();
    const fs::path path = scratch_ / place;
    fs::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    const uint64_t length = text.size();
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << text;
    file.close();
    fs::resize_file(path, 8 + text.size() + static_cast<uintmax_t>(end));
    return path;
  }

  // The same with the model's rows as `change` leaves them.
  template <typename Change>
  fs::path write_changed(const std::string& place, const std::string& model, const Change& change) {
    auto& shapes = const_cast<nlohmann::json&>(shapes_);
    nlohmann::json rows = shapes_.at(model);
    for (nlohmann::json& row : rows) change(row);
    shapes["changed"] = rows;
    return write_sparse(place, "changed");
  }

  // A models folder with all that a transformer needs.
  void write_companions() {
    write_sparse("vae/wan_2.1_vae.safetensors", "vae-2.1");
    write_sparse("vae/wan2.2_vae.safetensors", "vae-2.2");
    write_sparse("text_encoders/umt5_xxl.safetensors", "umt5-xxl");
    write_sparse("clip_vision/clip_vision_h.safetensors", "clip-vit-h");
    fs::copy(kData / "tokenizer" / "plain" / "spiece.model", scratch_ / "text_encoders");
  }

  ModelInfo find(const std::string& name) {
    ModelFiles files;
    files.models_dir = scratch_.path().string();
    return read_model_info(name, find_model(name, "no_built_in_models", files), files);
  }

  const nlohmann::json shapes_ = read_json_file(kData / "weights" / "headers" / "published.json");
  ScratchDirectory scratch_;
};

TEST_F(PublishedFiles, OfEveryFamilyAreRecognisedWithTheirDefaults) {
  write_companions();
  const struct {
    const char* model;
    const char* family;
    int64_t fps;
    int steps;
    double guidance_scale, shift;
    KnownFrames known_frames;
  } kCases[] = {
      {"t2v-1.3b", "wan2.1-t2v-1.3b", 16, 50, 5.0, 3.0, KnownFrames::None},
      {"t2v-14b", "wan2.1-t2v-14b", 16, 50, 5.0, 5.0, KnownFrames::None},
      {"i2v-14b", "wan2.1-i2v-14b", 16, 40, 5.0, 3.0, KnownFrames::MaskChannels},
      {"flf2v-14b", "wan2.1-flf2v-14b", 16, 40, 5.0, 16.0, KnownFrames::MaskChannels},
      {"ti2v-5b", "wan2.2-ti2v-5b", 24, 50, 5.0, 5.0, KnownFrames::TokenTimesteps},
      {"vace-1.3b", "wan2.1-vace-1.3b", 16, 50, 5.0, 16.0, KnownFrames::ControlBranch},
      {"vace-14b", "wan2.1-vace-14b", 16, 50, 5.0, 16.0, KnownFrames::ControlBranch},
  };
  for (const auto& each : kCases) {
    const std::string name = std::string(each.model) + ".safetensors";
    write_sparse("diffusion_models/" + name, each.model, "model.diffusion_model.");
    const ModelInfo model = find(each.model);
    EXPECT_EQ(model.family, each.family);
    EXPECT_EQ(model.defaults.fps, Rational(each.fps)) << name;
    EXPECT_EQ(model.defaults.steps, each.steps) << name;
    EXPECT_EQ(model.defaults.guidance_scale, each.guidance_scale) << name;
    EXPECT_EQ(model.scheduler["flow_shift"], each.shift) << name;
    EXPECT_EQ(model.known_frames, each.known_frames) << name;
    EXPECT_THAT(model.defaults.negative_prompt, HasSubstr("JPEG")) << name;
    EXPECT_EQ(model.parts.vae.filename(),
              each.fps == 24 ? "wan2.2_vae.safetensors" : "wan_2.1_vae.safetensors");
    EXPECT_EQ(model.parts.image_encoder.empty(), !model.transformer.image_dim.has_value());
    fs::remove(scratch_ / ("diffusion_models/" + name));
  }
}

TEST_F(PublishedFiles, TwoExpertsFindEachOtherByName) {
  write_companions();
  const struct {
    const char* model;
    const char* high;
    const char* low;
    double boundary;
  } kCases[] = {
      {"t2v-a14b", "wan2.2_t2v_high_noise_14B_fp16", "wan2.2_t2v_low_noise_14B_fp16", 875},
      {"i2v-a14b", "Wan2.2-I2V-A14B-HighNoise-Q8", "Wan2.2-I2V-A14B-LowNoise-Q8", 900},
      {"vace-fun-a14b", "wan2.2_vace_fun_high_noise_14B_bf16", "wan2.2_vace_fun_low_noise_14B_bf16",
       875}};
  for (const auto& each : kCases) {
    for (const char* name : {each.high, each.low})
      write_sparse(std::string("diffusion_models/") + name + ".safetensors", each.model);
    for (const char* name : {each.high, each.low}) {
      const ModelInfo model = find(name);
      EXPECT_EQ(model.family, std::string("wan2.2-") + each.model);
      EXPECT_EQ(model.parts.transformer.stem(), each.high);
      EXPECT_EQ(model.parts.transformer_2.stem(), each.low);
      EXPECT_DOUBLE_EQ(*model.boundary_timestep, each.boundary);
    }
  }
}

TEST_F(PublishedFiles, GgufOfVaceIsRecognised) {
  write_companions();
  for (const char* model : {"vace-1.3b", "vace-14b"}) {
    const fs::path path = write_sparse_gguf("diffusion_models/wan.gguf", model);
    const ModelInfo found = find("wan");
    EXPECT_EQ(found.parts.transformer, path);
    EXPECT_EQ(found.family, std::string("wan2.1-") + model);
    EXPECT_EQ(found.known_frames, KnownFrames::ControlBranch);
    EXPECT_EQ(found.transformer.vace_in_channels, 96);
    EXPECT_EQ(found.transformer.vace_layers.size(), model == std::string("vace-14b") ? 8u : 15u);
    EXPECT_EQ(found.scheduler["flow_shift"], 16.0);
    const auto weights = open_transformer(found.parts.expert(false));
    EXPECT_EQ(weights->info("vace_blocks.1.attn1.to_q.weight").blocks->name, "Q8_0");
    EXPECT_EQ(weights->info("vace_patch_embedding.weight").shape.size(), 5u);
  }
  for (const char* name :
       {"Wan2.2-VACE-Fun-A14B-high-noise-Q8_0", "Wan2.2-VACE-Fun-A14B-low-noise-Q8_0"})
    write_sparse_gguf(std::string("diffusion_models/") + name + ".gguf", "vace-fun-a14b");
  const ModelInfo two = find("Wan2.2-VACE-Fun-A14B-low-noise-Q8_0");
  EXPECT_EQ(two.family, "wan2.2-vace-fun-a14b");
  EXPECT_EQ(two.parts.transformer.stem(), "Wan2.2-VACE-Fun-A14B-high-noise-Q8_0");
  EXPECT_DOUBLE_EQ(*two.boundary_timestep, 875);
}

TEST_F(PublishedFiles, AVaceModuleMakesAVaceModelOfItsBase) {
  write_companions();
  split_control("vace-1.3b");
  split_control("vace-14b");
  write_sparse("diffusion_models/wan2.1_t2v_1.3B.safetensors", "vace-1.3b base");
  write_sparse("diffusion_models/wan2.1_t2v_14B.safetensors", "vace-14b base");
  write_sparse("diffusion_models/Wan2_1-VACE_module_1_3B.safetensors", "vace-1.3b module");
  write_sparse_gguf("diffusion_models/Wan2_1-VACE_module_14B.gguf", "vace-14b module");
  ModelFiles files;
  files.models_dir = scratch_.path().string();
  const auto read = [&](const std::string& base, const std::string& module) {
    files.vace = module;
    return read_model_info(base, find_model(base, "no_built_in_models", files), files);
  };
  const ModelInfo small = read("wan2.1_t2v_1.3B", "Wan2_1-VACE_module_1_3B");
  EXPECT_EQ(small.family, "wan2.1-vace-1.3b");
  EXPECT_EQ(small.known_frames, KnownFrames::ControlBranch);
  EXPECT_EQ(small.transformer.vace_layers.size(), 15u);
  EXPECT_EQ(small.scheduler["flow_shift"], 16.0);
  const ModelInfo large = read("wan2.1_t2v_14B", "Wan2_1-VACE_module_14B");
  EXPECT_EQ(large.family, "wan2.1-vace-14b");
  EXPECT_EQ(large.transformer.vace_layers, (std::vector<int64_t>{0, 5, 10, 15, 20, 25, 30, 35}));
  const Error error = error_of([&] { read("wan2.1_t2v_1.3B", "Wan2_1-VACE_module_14B"); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(error.what(), HasSubstr("5120 wide"));
  EXPECT_THAT(error.what(), HasSubstr("1536 wide"));
}

TEST_F(PublishedFiles, OfTwoExpertsEachTakesTheVaceModuleNamedAfterIt) {
  write_companions();
  split_control("vace-fun-a14b");
  for (const char* name : {"wan2.2_t2v_high_noise_14B", "wan2.2_t2v_low_noise_14B"})
    write_sparse(std::string("diffusion_models/") + name + ".safetensors", "vace-fun-a14b base");
  for (const char* name : {"Wan2_2_Fun_VACE_module_A14B_HIGH", "Wan2_2_Fun_VACE_module_A14B_LOW",
                           "Wan2_1-VACE_module_14B"})
    write_sparse(std::string("diffusion_models/") + name + ".safetensors", "vace-fun-a14b module");
  ModelFiles files;
  for (const char* module : {"Wan2_2_Fun_VACE_module_A14B_HIGH", "Wan2_2_Fun_VACE_module_A14B_LOW",
                             "Wan2_1-VACE_module_14B"}) {
    files.vace = module;  // in the folder of the transformer, which is one of ComfyUI's
    const ModelInfo model = read_model_info(
        "wan", scratch_ / "diffusion_models/wan2.2_t2v_high_noise_14B.safetensors", files);
    EXPECT_EQ(model.family, "wan2.2-vace-fun-a14b");
    const bool is_for_both = module == std::string("Wan2_1-VACE_module_14B");
    EXPECT_EQ(model.parts.control.stem(),
              is_for_both ? module : "Wan2_2_Fun_VACE_module_A14B_HIGH");
    EXPECT_EQ(model.parts.control_2.stem(),
              is_for_both ? module : "Wan2_2_Fun_VACE_module_A14B_LOW");
  }
}

// As Wan's authors publish them: config.json of their code, shards under its names; VAE and text
// encoder, which they publish as pickles, from elsewhere.
TEST_F(PublishedFiles, RepositoriesOfWansAuthorsAreRead) {
  write_companions();
  const auto write_config = [&](const std::string& folder) {
    std::ofstream(scratch_ / folder / "config.json")
        << R"({"_class_name": "WanModel", "dim": 5120, "model_type": "t2v", "num_heads": 40, "text_len": 512})";
  };
  for (const char* expert : {"high_noise_model", "low_noise_model"}) {
    const std::string folder = std::string("Wan2.2-T2V-A14B/") + expert;
    write_sparse(folder + "/diffusion_pytorch_model.safetensors", "t2v-a14b");
    write_config(folder);
  }
  write_sparse("Wan2.1-T2V-1.3B/diffusion_pytorch_model.safetensors", "t2v-1.3b");
  write_config("Wan2.1-T2V-1.3B");
  const ModelInfo two = find("Wan2.2-T2V-A14B");
  EXPECT_EQ(two.family, "wan2.2-t2v-a14b");
  EXPECT_EQ(two.parts.transformer.filename(), "high_noise_model");
  EXPECT_EQ(two.parts.transformer_2.filename(), "low_noise_model");
  EXPECT_DOUBLE_EQ(*two.boundary_timestep, 875);
  const ModelInfo completed = find("Wan2.2-T2V-A14B/high_noise_model/");
  EXPECT_EQ(completed.parts.transformer_2.filename(), "low_noise_model");
  EXPECT_EQ(completed.path.filename(), "high_noise_model");
  EXPECT_EQ(find("Wan2.1-T2V-1.3B").family, "wan2.1-t2v-1.3b");
}

TEST_F(PublishedFiles, AHighNoiseExpertAloneIsAnError) {
  write_companions();
  write_sparse("diffusion_models/wan2.2_t2v_high_noise_14B.safetensors", "t2v-a14b");
  const Error error = error_of([&] { find("wan2.2_t2v_high_noise_14B"); });
  EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  EXPECT_THAT(error.what(), HasSubstr("wan2.2_t2v_low_noise_14B.safetensors is not there"));
}

TEST_F(PublishedFiles, AHighInANameThatSaysNothingOfNoiseIsNoExpert) {
  write_companions();
  const fs::path file = write_sparse("diffusion_models/wan-highres.safetensors", "t2v-1.3b");
  EXPECT_EQ(find("wan-highres").path, file);
  EXPECT_FALSE(find("wan-highres").has_two_experts());
}

TEST_F(PublishedFiles, OfOtherModelsThatShapesDoNotTellApartArePassedOver) {
  write_companions();
  write_sparse("diffusion_models/wan.safetensors", "t2v-1.3b");
  // The text encoder of Flux and SD3 is as wide.
  write_changed("text_encoders/t5xxl_fp16.safetensors", "umt5-xxl", [](nlohmann::json& row) {
    std::string name = row[0];
    if (name.find("relative_attention_bias") == std::string::npos) return;
    row[0] = name.replace(name.find("{}"), 2, "0");
    row[2] = 0;
  });
  EXPECT_EQ(find("wan").parts.text_encoder.filename(), "umt5_xxl.safetensors");

  for (const char* name : {"a_vae", "qwen_image_vae"})
    write_sparse(std::string("vae/") + name + ".safetensors", "vae-2.1");
  EXPECT_EQ(find("wan").parts.vae.filename(), "wan_2.1_vae.safetensors");
  write_changed("vae/Wan2.1_VAE_upscale2x.safetensors", "vae-2.1", [](nlohmann::json& row) {
    if (row[0].get<std::string>().starts_with("decoder.head.2.")) row[1][0] = 12;
  });
  EXPECT_EQ(find("wan").parts.vae.filename(), "wan_2.1_vae.safetensors");
  fs::remove(scratch_ / "vae/wan_2.1_vae.safetensors");
  EXPECT_EQ(find("wan").parts.vae.filename(), "a_vae.safetensors");
  fs::remove(scratch_ / "vae/a_vae.safetensors");
  EXPECT_THAT(error_of([&] { find("wan"); }).what(), HasSubstr("--vae FILE"));
}

TEST_F(PublishedFiles, AMissingPartIsNamedWithItsOption) {
  const fs::path file = write_sparse("diffusion_models/wan.safetensors", "t2v-1.3b");
  const auto message = [&] { return std::string(error_of([&] { find("wan"); }).what()); };
  EXPECT_THAT(message(), HasSubstr("--vae FILE"));
  write_sparse("vae/wan2.2_vae.safetensors", "vae-2.2");  // of another family
  EXPECT_THAT(message(), HasSubstr("--vae FILE"));
  write_sparse("vae/wan_2.1_vae.safetensors", "vae-2.1");
  EXPECT_THAT(message(), HasSubstr("--text-encoder FILE"));
  write_sparse("text_encoders/umt5.safetensors", "umt5-xxl");
  EXPECT_THAT(message(), HasSubstr("--tokenizer"));
  fs::copy(kData / "tokenizer" / "plain" / "spiece.model", scratch_ / "text_encoders");
  EXPECT_EQ(find("wan").path, file);
}

TEST_F(PublishedFiles, AStrayFileWhoseTensorsHaveNoSidesIsPassedOver) {
  write_companions();
  const fs::path file = write_sparse("diffusion_models/wan.safetensors", "t2v-1.3b");
  const fs::path own = find("wan").parts.vae;
  write_safetensors(
      own.parent_path() / "a.safetensors",
      {{"decoder.middle.0.residual.0.gamma", at::ones({})}, {"conv2.weight", at::ones({})}});
  EXPECT_EQ(find("wan").parts.vae, own);
}

TEST_F(PublishedFiles, PartsNamedByTheUserComeFirst) {
  write_companions();
  write_sparse("diffusion_models/wan.safetensors", "t2v-1.3b");
  const fs::path vae = write_sparse("elsewhere/mine.safetensors", "vae-2.1");
  ModelFiles files;
  files.vae = vae.string();
  const fs::path path = scratch_ / "diffusion_models/wan.safetensors";  // its tree is found from it
  EXPECT_EQ(read_model_info("wan", path, files).parts.vae, vae);
  files.vae = "no_such_file.safetensors";
  EXPECT_EQ(error_of([&] { read_model_info("wan", path, files); }).kind(), ErrorKind::NotFound);
}

TEST_F(PublishedFiles, AnAllInOneCheckpointHoldsItsOwnParts) {
  fs::create_directories(scratch_ / "checkpoints");
  fs::copy(kData / "tokenizer" / "plain" / "spiece.model", scratch_ / "checkpoints");
  nlohmann::json all = nlohmann::json::array();
  const std::pair<const char*, const char*> kParts[] = {
      {"t2v-1.3b", "model.diffusion_model."},
      {"vae-2.1", "vae."},
      {"umt5-xxl", "text_encoders.umt5xxl.transformer."}};
  for (const auto& [part, prefix] : kParts) {
    for (nlohmann::json row : shapes_.at(part)) {
      row[0] = prefix + row[0].get<std::string>();
      all.push_back(row);
    }
  }
  const_cast<nlohmann::json&>(shapes_)["all"] = all;
  const fs::path path = write_sparse("checkpoints/all.safetensors", "all");
  const ModelInfo model = find("all");
  EXPECT_EQ(model.family, "wan2.1-t2v-1.3b");
  EXPECT_EQ(model.parts.vae, path);
  EXPECT_EQ(model.parts.text_encoder, path);
}

TEST_F(PublishedFiles, TurboFindsTheDistillationThatFits) {
  write_companions();
  // The fixture's adapter is for a model of its own size; no published one fits it.
  write_sparse("diffusion_models/wan.safetensors", "t2v-1.3b");
  fs::create_directories(scratch_ / "loras");
  fs::copy(kData / "weights" / "lora" / "comfy.safetensors",
           scratch_ / "loras" / "wan_lightx2v_rank3.safetensors");
  ModelFiles files;
  files.turbo = true;
  const fs::path path = scratch_ / "diffusion_models/wan.safetensors";
  EXPECT_THAT(error_of([&] { read_model_info("wan", path, files); }).what(),
              HasSubstr("there is none that fits ("));
}

TEST_F(PublishedFiles, TurboFindsTheLoraInTheModelsOwnDirectory) {
  const fs::path path = scratch_ / "tiny";
  fs::copy(kData / "pipelines" / "t2v_unipc", path, fs::copy_options::recursive);
  fs::create_directories(path / "loras");
  const std::string module = "transformer.blocks.0.attn1.to_q.";
  write_safetensors(path / "loras" / "sora-turbo.safetensors",
                    {{module + "lora_A.weight", at::ones({2, 24})},
                     {module + "lora_B.weight", at::ones({24, 2})}});
  EXPECT_TRUE(read_model_info("tiny", path, {}).loras.empty());
  ModelFiles files;
  files.turbo = true;
  const ModelInfo model = read_model_info("tiny", path, files);
  ASSERT_EQ(model.loras.size(), 1u);
  EXPECT_EQ(fs::path(model.loras[0].path), path / "loras" / "sora-turbo.safetensors");
  EXPECT_EQ(model.defaults.steps, 4);
  EXPECT_EQ(model.defaults.guidance_scale, 1.0);
  EXPECT_EQ(model.scheduler["_class_name"], "FlowMatchEulerDiscreteScheduler");
  EXPECT_EQ(model.scheduler["shift"], 8.0);
}

TEST_F(PublishedFiles, ALoraForAnExpertNeedsAModelOfTwo) {
  ModelFiles files;
  files.loras = {{(kData / "weights" / "lora" / "comfy.safetensors").string(), 1.0, "low"}};
  const Error error =
      error_of([&] { read_model_info("tiny", kData / "pipelines" / "t2v_unipc", files); });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_THAT(error.what(), HasSubstr("two experts"));
}

TEST_F(PublishedFiles, TurboIsPreferredByAModelThatSaysSoAndHasTheLora) {
  const fs::path path = scratch_ / "tiny";
  fs::copy(kData / "pipelines" / "t2v_unipc", path, fs::copy_options::recursive);
  fs::create_directories(path / "loras");
  const auto add_lora = [&](const char* name) {
    fs::copy(kData / "weights" / "lora" / "comfy.safetensors", path / "loras" / name);
  };
  std::ofstream(path / "sora.json") << R"({"turbo": true})";
  add_lora("a_style.safetensors");
  EXPECT_FALSE(prefers_turbo(path));
  add_lora("sora-turbo.safetensors");
  EXPECT_TRUE(prefers_turbo(path));
  std::ofstream(path / "sora.json") << "{}";
  EXPECT_FALSE(prefers_turbo(path));
}

TEST(OwnDefaults, ChangeWhatTheySayAndNothingElse) {
  const ScratchDirectory scratch;
  fs::copy(kData / "pipelines" / "ti2v", scratch / "own", fs::copy_options::recursive);
  std::ofstream(scratch / "own" / "sora.json") << R"({"steps": 3})";
  const ModelInfo family = read_model_info("ti2v", kData / "pipelines" / "ti2v", {});
  const ModelInfo own = read_model_info("own", scratch / "own", {});
  EXPECT_EQ(own.defaults.steps, 3);
  EXPECT_EQ(to_string(own.defaults.fps), to_string(family.defaults.fps));
  EXPECT_EQ(to_string(own.defaults.fps), "24");
}

}  // namespace
}  // namespace sora
