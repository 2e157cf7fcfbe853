// The VAE says how pixels become latents, the transformer how latents become tokens.
#include "lib/models/model_info.h"

namespace sora {

LatentStrides ModelInfo::strides() const {
  LatentStrides strides;
  strides.channels = vae.z_dim;
  strides.temporal = vae.scale_factor_temporal;
  strides.spatial = vae.scale_factor_spatial;
  for (size_t axis = 0; axis < strides.patch.size(); ++axis)
    strides.patch[axis] = transformer.patch_size[axis];
  return strides;
}

}  // namespace sora
