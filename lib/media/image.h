// Still images in and out. PNG and JPEG are read by stb_image, every other kind by FFmpeg.
#pragma once

#include <ATen/ATen.h>

#include <string>

namespace sora {

inline constexpr int64_t kMaxImageSide = 16'384;
inline constexpr int64_t kMaxImagePixels = 8192LL * 8192;
inline constexpr int64_t kMaxImageFileBytes = 512 << 20;

// uint8 [H,W,3]; transparent pixels over black, turned upright by a JPEG's Exif orientation.
// Throws Error(NotFound), Error(Input) for what is no image or is larger than the limits,
// Error(Io).
at::Tensor read_image(const std::string& path);

// uint8 [H,W,3]. Whole or not at all. Throws Error(Usage) for a file that is there, without
// `force`, Error(NotFound | Io).
void write_png(const std::string& path, const at::Tensor& frame_HWC, bool force = true);

}  // namespace sora
