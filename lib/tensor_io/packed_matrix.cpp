#include "lib/tensor_io/packed_matrix.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <utility>
#include <vector>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int64_t kValuesPerTask = 1 << 16;

template <typename T>
void expand_row(const BlockFormat& format, const uint8_t* bytes, int64_t num_blocks, T* values) {
  float block[256];
  for (int64_t i = 0; i < num_blocks; ++i) {
    format.expand(bytes + i * format.num_bytes, block);
    for (int64_t k = 0; k < format.num_values; ++k)
      values[i * format.num_values + k] = static_cast<T>(block[k]);
  }
}

}  // namespace

bool is_scale_of(at::IntArrayRef scale, int64_t num_rows, int64_t num_columns) {
  if (c10::multiply_integers(scale) == 1) return true;
  if (scale.size() == 1) return scale[0] == num_rows;
  return scale.size() == 2 && scale[0] > 0 && scale[1] > 0 && num_rows % scale[0] == 0 &&
         num_columns % scale[1] == 0;
}

PackedMatrix::PackedMatrix(at::Tensor bytes, const BlockFormat& format, int64_t num_rows,
                           int64_t num_columns)
    : stored_(std::move(bytes)), format_(&format), num_rows_(num_rows), num_columns_(num_columns) {
  if (num_columns % format.num_values != 0 ||
      stored_.numel() != num_rows * (num_columns / format.num_values) * format.num_bytes) {
    fail(ErrorKind::Internal, "{} bytes are no {} x {} matrix in {}", stored_.numel(), num_rows,
         num_columns, format.name);
  }
}

PackedMatrix::PackedMatrix(at::Tensor values_NK, at::Tensor scale)
    : stored_(std::move(values_NK)), num_rows_(stored_.size(0)), num_columns_(stored_.size(1)) {
  if (!scale.defined()) return;
  if (!is_scale_of(scale.sizes(), num_rows_, num_columns_))
    fail(ErrorKind::Internal, "a scale of {} numbers does not fit {} rows", scale.numel(),
         num_rows_);
  scale_ = scale.to(at::kFloat);
  scale_ = scale_.numel() == 1 ? scale_.reshape({1, 1}) : scale_;
  if (scale_.dim() == 1) scale_ = scale_.unsqueeze(1);
}

PackedMatrix PackedMatrix::to(at::Device device) const {
  if (!is_scaled())
    fail(ErrorKind::Internal, "a matrix in {} is expanded on the CPU", format_->name);
  return {stored_.to(device), scale_.defined() ? scale_.to(device) : at::Tensor()};
}

at::Tensor PackedMatrix::rows(int64_t begin, int64_t end, at::ScalarType dtype) const {
  if (begin < 0 || end < begin || end > num_rows_)
    fail(ErrorKind::Internal, "rows {} to {} of a matrix of {}", begin, end, num_rows_);
  if (!format_) {
    at::Tensor values = stored_.slice(0, begin, end).to(at::kFloat);
    if (scale_.defined()) {
      const int64_t rows_each = num_rows_ / scale_.size(0),
                    columns_each = num_columns_ / scale_.size(1);
      if (scale_.size(0) == 1 && scale_.size(1) == 1) {
        values.mul_(scale_);
      } else {
        const at::Tensor row =
            at::arange(begin, end, scale_.options().dtype(at::kLong)).div(rows_each, "floor");
        at::Tensor scale = scale_.index_select(0, row);
        if (scale.size(1) > 1) scale = scale.repeat_interleave(columns_each, 1);
        values.mul_(scale);
      }
    }
    return values.to(dtype);
  }
  at::Tensor values = at::empty({end - begin, num_columns_}, dtype);
  const int64_t num_blocks = num_columns_ / format_->num_values;
  const int64_t row_bytes = num_blocks * format_->num_bytes;
  const uint8_t* bytes = stored_.const_data_ptr<uint8_t>() + begin * row_bytes;
  const int64_t grain = std::max<int64_t>(1, kValuesPerTask / std::max<int64_t>(num_columns_, 1));
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, dtype, "expand", [&] {
    scalar_t* out = values.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, end - begin, grain, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        expand_row(*format_, bytes + row * row_bytes, num_blocks, out + row * num_columns_);
    });
  });
  return values;
}

}  // namespace sora
