"""Configurations of the published Wan models in diffusers' form: Wan 2.1 (T2V 1.3B and 14B, I2V 14B, FLF2V 14B, VACE
1.3B and 14B) and Wan 2.2 (T2V and I2V A14B, TI2V 5B, VACE-Fun A14B), with their text and image encoders."""


def transformer(*, heads, layers, ffn_dim, in_channels=16, out_channels=16, **image):
    return {
        "patch_size": (1, 2, 2),
        "num_attention_heads": heads,
        "attention_head_dim": 128,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "text_dim": 4096,
        "freq_dim": 256,
        "ffn_dim": ffn_dim,
        "num_layers": layers,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "eps": 1e-6,
        "rope_max_seq_len": 1024,
        "image_dim": None,
        "added_kv_proj_dim": None,
        "pos_embed_seq_len": None,
        **image,
    }


def of_14b(**changes):
    return transformer(heads=40, layers=40, ffn_dim=13824, **changes)


# AutoencoderKLWan's own defaults are those of Wan 2.1's VAE.
VAE_21 = {"base_dim": 96, "z_dim": 16}

VAE_22 = {
    "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2,
    "temperal_downsample": [False, True, True], "is_residual": True, "in_channels": 12, "out_channels": 12,
    "patch_size": 2, "scale_factor_spatial": 16, "scale_factor_temporal": 4,
    "latents_mean": [
        -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891,
        0.157, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
        -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.123, -0.0313, -0.1649, 0.0117, 0.0723,
        -0.2839, -0.2083, -0.052, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
    ],
    "latents_std": [
        0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.499, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
        0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
        0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
        0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.06, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
    ],
}  # fmt: skip

UMT5_XXL = {
    "vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64,
    "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128,
    "feed_forward_proj": "gated-gelu", "layer_norm_epsilon": 1e-6, "tie_word_embeddings": False,
    "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
}  # fmt: skip

# As wide as UMT5-XXL, which the transformer's text_dim asks for, and otherwise small.
TINY_TEXT_ENCODER = {**UMT5_XXL, "vocab_size": 910, "d_ff": 256, "num_layers": 2, "num_heads": 4}

CLIP_VIT_H = {
    "hidden_size": 1280, "intermediate_size": 5120, "projection_dim": 1024, "num_hidden_layers": 32,
    "num_attention_heads": 16, "image_size": 224, "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip


VACE_1_3B = {"vace_layers": list(range(0, 30, 2)), "vace_in_channels": 96}
VACE_14B = {"vace_layers": list(range(0, 40, 5)), "vace_in_channels": 96}


def family(pipeline, transformer, vae=VAE_21, *, flow_shift, boundary_ratio=None, expand_timesteps=False):
    return {
        "pipeline": pipeline,
        "transformer": transformer,
        "vae": vae,
        "flow_shift": flow_shift,
        "boundary_ratio": boundary_ratio,
        "expand_timesteps": expand_timesteps,
    }


CLIP_BRANCH = {"in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 5120}

FAMILIES = {
    "t2v-1.3b": family("WanPipeline", transformer(heads=12, layers=30, ffn_dim=8960), flow_shift=3.0),
    "t2v-14b": family("WanPipeline", of_14b(), flow_shift=5.0),
    "i2v-14b": family("WanImageToVideoPipeline", of_14b(**CLIP_BRANCH), flow_shift=5.0),
    "flf2v-14b": family("WanImageToVideoPipeline", of_14b(**CLIP_BRANCH, pos_embed_seq_len=514), flow_shift=16.0),
    "t2v-a14b": family("WanPipeline", of_14b(), flow_shift=12.0, boundary_ratio=0.875),
    "i2v-a14b": family("WanImageToVideoPipeline", of_14b(in_channels=36), flow_shift=5.0, boundary_ratio=0.9),
    "ti2v-5b": family(
        "WanPipeline",
        transformer(heads=24, layers=30, ffn_dim=14336, in_channels=48, out_channels=48),
        VAE_22,
        flow_shift=5.0,
        expand_timesteps=True,
    ),
    "vace-1.3b": family(
        "WanVACEPipeline", transformer(heads=12, layers=30, ffn_dim=8960, **VACE_1_3B), flow_shift=16.0
    ),
    "vace-14b": family("WanVACEPipeline", of_14b(**VACE_14B), flow_shift=16.0),
    "vace-fun-a14b": family("WanVACEPipeline", of_14b(**VACE_14B), flow_shift=12.0, boundary_ratio=0.875),
}
