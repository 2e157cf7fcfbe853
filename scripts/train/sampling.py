"""Clips out of a diffusers directory, several prompts at once: the pipeline's own classes, text to video or masked.

The mathematics is WanImageToVideoPipeline's; text to video is the same transformer with the mask at zero and
the condition at zero or all grey, as the model's sora.json says.
"""

import contextlib
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanTransformer3DModel
from safetensors.torch import load_file
from transformers import AutoTokenizer, UMT5EncoderModel

import masks
import settings
import stage_turbo


class Sampler:
    def __init__(self, folder, turbo=False, device="cpu"):
        folder = Path(folder)
        self.device = torch.device(device)
        self.settings = json.loads((folder / "sora.json").read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        load = dict(torch_dtype=torch.float32)
        self.text_encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
        self.transformer = WanTransformer3DModel.from_pretrained(folder / "transformer", **load)
        self.vae = AutoencoderKLWan.from_pretrained(folder / "vae", **load)
        for module in (self.text_encoder, self.transformer, self.vae):
            module.to(self.device).eval()
        self.scheduler = UniPCMultistepScheduler.from_pretrained(folder / "scheduler")
        self.turbo = turbo
        if turbo:
            self.transformer.load_lora_adapter(load_file(folder / "loras" / stage_turbo.FILE))
            self.transformer.fuse_lora()
            self.scheduler = FlowMatchEulerDiscreteScheduler(shift=stage_turbo.SHIFT)
            self.settings |= {"steps": stage_turbo.STEPS, "guidance_scale": 1.0}
        z = self.vae.config.z_dim
        self.mean = torch.tensor(self.vae.config.latents_mean).view(1, z, 1, 1, 1)
        self.std = torch.tensor(self.vae.config.latents_std).view(1, z, 1, 1, 1)

    def embed(self, prompts):
        length = self.settings["max_sequence_length"]
        tokens = self.tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        mask = tokens.attention_mask.to(self.device)
        out = self.text_encoder(tokens.input_ids.to(self.device), mask).last_hidden_state
        return out * mask[..., None]

    def fast(self):
        return settings.mixed(self.device)

    @torch.no_grad()
    def condition(self, videos, known):
        """videos [B, 3, F, H, W] in -1..1, known [F] booleans -> [B, 4 + z, f, h, w]."""
        kept = videos * torch.from_numpy(known).float()[None, None, :, None, None]
        with self.fast():
            latents = self.vae.encode(kept.to(self.device)).latent_dist.mode().float().cpu()
        latents = (latents - self.mean) / self.std
        flags = masks.channels(known, *latents.shape[-2:])
        return torch.cat([flags[None].expand(len(latents), -1, -1, -1, -1), latents], 1)

    @torch.no_grad()
    def latents(self, prompts, width, height, frames, steps, guidance, seed, condition=None):
        z = self.vae.config.z_dim
        shape = (len(prompts), z, (frames - 1) // 4 + 1, height // 16, width // 16)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        if condition is None and self.settings.get("grey_without_frames"):
            condition = self.condition(torch.zeros(1, 3, frames, height, width), np.zeros(frames, bool))
        extra = torch.zeros(1, 4 + z, *shape[2:]) if condition is None else condition
        extra = extra.expand(len(prompts), -1, -1, -1, -1)
        texts = self.embed(prompts + [self.settings["negative_prompt"]] * len(prompts)) if guidance > 1 \
            else self.embed(prompts)
        if self.turbo:
            self.scheduler.set_timesteps(sigmas=stage_turbo.plain_levels(steps).tolist())
        else:
            self.scheduler.set_timesteps(steps)
        for t in self.scheduler.timesteps:
            model_input = torch.cat([x, extra], 1).to(self.device)
            if guidance > 1:
                model_input = torch.cat([model_input, model_input])
            with self.fast():
                velocity = self.transformer(model_input, t.expand(len(model_input)).to(self.device), texts,
                                            return_dict=False)[0].float().cpu()
            if guidance > 1:
                with_text, without = velocity.chunk(2)
                velocity = without + guidance * (with_text - without)
            x = self.scheduler.step(velocity, t, x, return_dict=False)[0]
        return x

    @torch.no_grad()
    def decode(self, latents):
        """[B, z, f, h, w] -> [B, F, H, W, 3] u8."""
        with self.fast() if self.device.type == "cpu" else contextlib.nullcontext():
            video = self.vae.decode((latents * self.std + self.mean).to(self.device)).sample.float().cpu()
        return ((video + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1).numpy()
