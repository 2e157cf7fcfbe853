// Planar pictures and their exact conversion by zimg: matrix, range, depth, chroma sampling and
// size in one step. Codes of matrix and chroma location are those of ITU-T H.273, which FFmpeg and
// zimg share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sora {

enum class ColorFamily { Rgb, Yuv };

inline constexpr int kMatrixBt709 = 1;
inline constexpr int kMatrixBt601 = 6;
inline constexpr int kTransferBt709 = 1, kTransferSrgb = 13, kTransferPq = 16, kTransferHlg = 18;
inline constexpr int kPrimariesBt709 = 1, kPrimariesBt2020 = 9, kPrimariesDciP3 = 11,
                     kPrimariesDisplayP3 = 12;

// BT.601 up to 576 lines and below 1280 columns, else BT.709: what players take an untagged picture
// for.
int guess_matrix(int64_t width, int64_t height);

struct PlaneFormat {
  int width = 0;
  int height = 0;
  ColorFamily family = ColorFamily::Rgb;
  int depth = 8;          // bits a sample; 9 to 16 are held in two bytes
  int log2_chroma_w = 0;  // sides must be multiples of the chroma step
  int log2_chroma_h = 0;
  int matrix = kMatrixBt709;  // of Yuv
  bool full_range = true;
  int chroma_location = 0;  // 0 left, 1 centre, 2 top left, ... of subsampled Yuv
  int transfer = 0;         // 0 on both sides of a conversion: kept as it is
  int primaries = 0;

  bool operator==(const PlaneFormat&) const = default;
  int plane_width(int plane) const { return plane == 0 ? width : width >> log2_chroma_w; }
  int plane_height(int plane) const { return plane == 0 ? height : height >> log2_chroma_h; }
  int sample_bytes() const { return depth > 8 ? 2 : 1; }
};

// A side brought up to a multiple of 2^log2_step.
constexpr int round_up(int64_t side, int log2_step) {
  const int64_t step = int64_t{1} << log2_step;
  return static_cast<int>((side + step - 1) / step * step);
}

// Three planes, R G B or Y Cb Cr. Rows of what zimg works on start at multiples of 64 bytes.
struct PlaneView {
  std::array<uint8_t*, 3> data{};
  std::array<ptrdiff_t, 3> stride{};  // bytes
};

class Planes {
 public:
  explicit Planes(const PlaneFormat& format);  // throws Error(Memory)

  const PlaneFormat& format() const { return format_; }
  const PlaneView& view() const { return view_; }

 private:
  struct Free {
    void operator()(uint8_t* memory) const;
  };
  PlaneFormat format_;
  std::unique_ptr<uint8_t, Free> memory_;
  PlaneView view_;
};

enum class ResizeFilter { Lanczos, Spline36 };

// A part of the source picture, in pixels of its luma plane.
struct Region {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
};

class PlaneConverter {
 public:
  // Throws Error(Internal) for a conversion that zimg does not know.
  PlaneConverter(const PlaneFormat& source, const PlaneFormat& target,
                 ResizeFilter filter = ResizeFilter::Spline36);
  PlaneConverter(const PlaneFormat& source, const Region& part, const PlaneFormat& target,
                 ResizeFilter filter);
  ~PlaneConverter();
  PlaneConverter(PlaneConverter&&) noexcept;
  PlaneConverter& operator=(PlaneConverter&&) noexcept;

  void operator()(const PlaneView& source, const PlaneView& target);

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
};

// [height, width, 3] bytes into three planes and back. Planes larger than the picture are filled by
// repeating its last column and row.
void split_rgb(const uint8_t* rgb_HWC, int64_t width, int64_t height, const Planes& planes);
void join_rgb(const PlaneView& planes, int64_t width, int64_t height, uint8_t* rgb_HWC);

}  // namespace sora
