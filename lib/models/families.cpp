#include "lib/models/families.h"

#include <cstdlib>

namespace sora {
namespace {

constexpr int64_t k480p = 832 * 480;
constexpr int64_t k720p = 1280 * 720;

constexpr Family kFamilies[] = {
    {"wan2.1-t2v-1.3b", "Wan 2.1 text to video, 1.3B", WanForm::Text, false, 1536, 3.0, 50, 5.0,
     5.0, 0.0, 832, 480, 81, 16, k480p},
    {"wan2.1-t2v-14b", "Wan 2.1 text to video, 14B", WanForm::Text, false, 5120, 5.0, 50, 5.0, 5.0,
     0.0, 832, 480, 81, 16, k720p},
    {"wan2.1-i2v-14b", "Wan 2.1 image to video, 14B", WanForm::Clip, false, 5120, 3.0, 40, 5.0, 5.0,
     0.0, 832, 480, 81, 16, k720p},
    {"wan2.1-flf2v-14b", "Wan 2.1 first and last frame to video, 14B", WanForm::ClipPair, false,
     5120, 16.0, 40, 5.0, 5.0, 0.0, 832, 480, 81, 16, k720p},
    {"wan2.2-t2v-a14b", "Wan 2.2 text to video, A14B (two experts)", WanForm::Text, true, 5120,
     12.0, 40, 4.0, 3.0, 0.875, 832, 480, 81, 16, k720p},
    {"wan2.2-i2v-a14b", "Wan 2.2 image to video, A14B (two experts)", WanForm::Mask, true, 5120,
     5.0, 40, 3.5, 3.5, 0.9, 832, 480, 81, 16, k720p},
    {"wan2.2-i2v-14b-expert", "one expert of Wan 2.2 image to video, A14B", WanForm::Mask, false,
     5120, 5.0, 40, 3.5, 3.5, 0.0, 832, 480, 81, 16, k720p},
    {"wan2.2-ti2v-5b", "Wan 2.2 text and image to video, 5B", WanForm::TokenTimesteps, false, 3072,
     5.0, 50, 5.0, 5.0, 0.0, 1280, 704, 121, 24, k720p},
    {"wan2.1-vace-1.3b", "Wan 2.1 VACE, 1.3B", WanForm::Control, false, 1536, 16.0, 50, 5.0, 5.0,
     0.0, 832, 480, 81, 16, k480p},
    {"wan2.1-vace-14b", "Wan 2.1 VACE, 14B", WanForm::Control, false, 5120, 16.0, 50, 5.0, 5.0, 0.0,
     832, 480, 81, 16, k720p},
    {"wan2.2-vace-fun-a14b", "Wan 2.2 VACE-Fun, A14B (two experts)", WanForm::Control, true, 5120,
     12.0, 50, 5.0, 5.0, 0.875, 832, 480, 81, 16, k720p},
};

}  // namespace

const char* const kPublishedNegativePrompt =
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，"
    "低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，"
    "毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";

const Family& nearest_family(WanForm form, bool two_experts, int64_t width) {
  const Family* best = nullptr;
  for (const bool exactly : {true, false}) {
    for (const Family& family : kFamilies) {
      if (family.form != form || (exactly && family.two_experts != two_experts)) continue;
      if (!best || std::llabs(family.width - width) < std::llabs(best->width - width))
        best = &family;
    }
    if (best) return *best;
  }
  return kFamilies[0];
}

const Family* find_family(std::string_view name) {
  for (const Family& family : kFamilies) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

WanForm form_of(const WanTransformerConfig& transformer, int64_t z_dim, bool expand_timesteps) {
  if (transformer.has_control()) return WanForm::Control;
  if (expand_timesteps) return WanForm::TokenTimesteps;
  if (transformer.in_channels == z_dim) return WanForm::Text;
  if (!transformer.image_dim) return WanForm::Mask;
  return transformer.pos_embed_seq_len ? WanForm::ClipPair : WanForm::Clip;
}

}  // namespace sora
