"""AutoencoderKLWan over whole sequences, for training: the same mathematics as the chunked loop, with gradients.

diffusers encodes 1 + 4k frames chunk by chunk through a cache. Over the whole sequence at once that is a causal
network whose temporal resampling treats frame 0 alone, which is what is written here. Layout is channels-last,
and normalisation with its activation is one fused function.
"""

import types

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders import autoencoder_kl_wan as wan

torch._dynamo.config.cache_size_limit = 256
torch._dynamo.config.recompile_limit = 256


def _norm(x, gamma, scale):
    xf = x.float()
    return (xf * torch.rsqrt(xf.pow(2).sum(1, keepdim=True) + 1e-12) * (gamma * scale)).to(x.dtype)


def _norm_silu(x, gamma, scale):
    return F.silu(_norm(x, gamma, scale))


_fused_norm_silu = torch.compile(_norm_silu)


def _gamma(norm):
    return norm.gamma if norm.gamma.ndim == 4 else norm.gamma[..., None]


def _causal_conv(self, x, cache_x=None):
    left, _, top, _, past, _ = self._padding
    if past:
        x = F.pad(x, (0, 0, 0, 0, past, 0))
    return F.conv3d(x, self.weight, self.bias, self.stride, (0, top, left))


def _residual_block(self, x, feat_cache=None, feat_idx=None):
    h = self.conv_shortcut(x)
    x = self.conv1(_fused_norm_silu(x, _gamma(self.norm1), self.norm1.scale))
    x = self.conv2(_fused_norm_silu(x, _gamma(self.norm2), self.norm2.scale))
    return x + h


def _frames_as_batch(x):
    b, c, t, h, w = x.shape
    return x.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w)


def _resample(self, x, feat_cache=None, feat_idx=None):
    b, c, t, h, w = x.shape
    if self.mode == "upsample3d" and t > 1:
        rest = self.time_conv(x[:, :, 1:])
        rest = rest.view(b, 2, c, t - 1, h, w).permute(0, 2, 3, 1, 4, 5).reshape(b, c, 2 * (t - 1), h, w)
        x = torch.cat([x[:, :, :1], rest], 2).contiguous(memory_format=torch.channels_last_3d)
    t = x.shape[2]
    x = _frames_as_batch(x)
    if self.mode.startswith("upsample"):
        x = self.resample[1](F.interpolate(x, scale_factor=2.0, mode="nearest"))
    else:
        x = self.resample(x)
    x = x.view(b, t, *x.shape[1:]).permute(0, 2, 1, 3, 4)
    if self.mode == "downsample3d" and t > 1:
        x = torch.cat([x[:, :, :1], self.time_conv(x)], 2)
    return x.contiguous(memory_format=torch.channels_last_3d)


def _up_block(self, x, feat_cache=None, feat_idx=None, first_chunk=True):
    h = x
    for resnet in self.resnets:
        x = resnet(x)
    if self.upsampler is not None:
        x = self.upsampler(x)
    if self.avg_shortcut is not None:
        x = x + self.avg_shortcut(h, first_chunk=True)
    return x


def _coder(self, x, feat_cache=None, feat_idx=None, first_chunk=True):
    x = self.conv_in(x)
    if hasattr(self, "down_blocks"):
        for block in self.down_blocks:
            x = block(x)
        x = self.mid_block(x)
    else:
        x = self.mid_block(x)
        for block in self.up_blocks:
            x = block(x)
    return self.conv_out(_fused_norm_silu(x, _gamma(self.norm_out), self.norm_out.scale))


_FORWARDS = {
    wan.WanCausalConv3d: _causal_conv,
    wan.WanResidualBlock: _residual_block,
    wan.WanResample: _resample,
    wan.WanResidualUpBlock: _up_block,
    wan.WanEncoder3d: _coder,
    wan.WanDecoder3d: _coder,
}


def over_whole_sequences(vae):
    """Replaces the forwards of this instance; encode() and decode() of the class no longer apply to it."""
    for module in vae.modules():
        if type(module) in _FORWARDS:
            module.forward = types.MethodType(_FORWARDS[type(module)], module)
    return vae


def moments(vae, video):
    """[B, 3, F, H, W] in -1..1 -> mean and log variance, not normalised, [B, z, f, h, w]."""
    x = wan.patchify(video, vae.config.patch_size).contiguous(memory_format=torch.channels_last_3d)
    mean, log_variance = vae.quant_conv(vae.encoder(x)).float().chunk(2, 1)
    return mean, log_variance.clamp(-30, 20)


def decoded(vae, latents):
    """Latents, not normalised -> [B, 3, F, H, W], not clamped."""
    x = latents.contiguous(memory_format=torch.channels_last_3d)
    return wan.unpatchify(vae.decoder(vae.post_quant_conv(x)).float(), vae.config.patch_size)
