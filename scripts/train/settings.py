"""Sizes, budgets and places of files: what all stages of the training share."""

import functools
import os
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("SORA_TRAIN_DIR", Path.home() / ".cache/sora/train"))
EXPORT = WORK / "export"
MODEL_DIR = ROOT / "models/nano"

Z = 48
# The 2.2 form at 16x16x4, but with patches of 4 and two spatial halvings instead of patches of 2 and three: the
# layers at the finest resolution are what training on a CPU pays for, and these are a quarter as many positions.
VAE = dict(
    base_dim=32, decoder_base_dim=32, z_dim=Z, dim_mult=[1, 2, 2], num_res_blocks=1, attn_scales=[],
    temperal_downsample=[True, True], is_residual=True, in_channels=48, out_channels=48, patch_size=4,
    scale_factor_temporal=4, scale_factor_spatial=16,
)
MAX_TEXT = 64
TEXT = dict(
    d_model=192, d_kv=48, d_ff=384, num_layers=3, num_heads=4, feed_forward_proj="gated-gelu", dropout_rate=0.0,
    relative_attention_num_buckets=32, relative_attention_max_distance=64, tie_word_embeddings=False,
)
TRANSFORMER = dict(
    patch_size=(1, 2, 2), num_attention_heads=4, attention_head_dim=64, in_channels=2 * Z + 4, out_channels=Z,
    text_dim=TEXT["d_model"], freq_dim=128, ffn_dim=1024, num_layers=6, cross_attn_norm=True,
    qk_norm="rms_norm_across_heads", eps=1e-6, rope_max_seq_len=256,
)
FLOW_SHIFT = 3.0
DEFAULTS = dict(
    width=480, height=256, num_frames=17, fps=16, steps=20, guidance_scale=2.0, align_guidance=0.75, flow_shift=FLOW_SHIFT, turbo=True,
    grey_without_frames=True,
    max_pixels=480 * 256, max_frames=33,
    max_sequence_length=MAX_TEXT, negative_prompt="",
)


def prepare(seed):
    """Seeds torch and returns the device. Denormals count as zero: on a CPU they are many times slower."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@functools.cache
def matrix_type(device_type):
    """The type of matrix products: bf16, or f32 on a CPU that multiplies it faster (as those without AMX often do)."""
    if device_type != "cpu":
        return torch.bfloat16
    seconds = {}
    for dtype in (torch.bfloat16, torch.float32):
        a, b = torch.ones(2048, 256, dtype=dtype), torch.ones(256, 256, dtype=dtype)
        a @ b
        started = time.perf_counter()
        for _ in range(8):
            a @ b
        seconds[dtype] = time.perf_counter() - started
    return min(seconds, key=seconds.get)


def mixed(device):
    """A context in which layers multiply in `matrix_type`."""
    dtype = matrix_type(device.type)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def rate(step, steps, decay, peak, warmup=100):
    """Warm up, hold, and fall linearly to zero over the last `decay` steps."""
    return peak * min(1.0, (step + 1) / warmup, max(0.0, (steps - step) / decay))


def save(path, state):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


# The step of a checkpoint that came out of a finished model: its stage is passed over.
COMPLETE = 1 << 40


def asked_to_finish(folder):
    """`touch <folder>/finish` makes a stage begin its last, decaying steps now."""
    return (folder / "finish").exists()
