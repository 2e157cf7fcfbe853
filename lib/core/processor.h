// What this machine's processor can do, asked once at run time.
#pragma once

namespace sora {

bool has_bf16_dot_products();  // AVX512-BF16 or AMX-BF16: bf16 matrix products are faster than f32
                               // ones

}  // namespace sora
