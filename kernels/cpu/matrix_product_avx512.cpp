#include "kernels/cpu/matrix_product.h"
#include "kernels/cpu/matrix_product_wide.h"

namespace sora::kernels::cpu {

void multiply_matrix_f32_avx512(const MatrixProduct& product, void* scratch) {
  multiply_matrix<float>(product, scratch);
}

}  // namespace sora::kernels::cpu
