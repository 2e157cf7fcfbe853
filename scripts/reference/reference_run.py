"""One whole run of a Wan pipeline with diffusers: what each stage gave, from the prompt to the 8-bit frames."""

import dataclasses
import json
import pathlib

import numpy
import torch
from diffusers import AutoencoderKLWan, WanImageToVideoPipeline, WanPipeline, WanVACEPipeline
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image


@dataclasses.dataclass
class Settings:
    prompt: str
    negative_prompt: str = ""
    width: int = 64
    height: int = 48
    num_frames: int = 9
    steps: int = 4
    seed: int = 0
    guidance_scale: float = 1.0
    guidance_scale_2: float | None = None
    max_sequence_length: int = 512


@dataclasses.dataclass
class Run:
    noise: torch.Tensor  # [1, z, f, h, w], float32
    timesteps: torch.Tensor
    prompt_embeds: torch.Tensor  # [tokens, width], without the zero rows after them
    negative_prompt_embeds: torch.Tensor | None
    latents_after_step: torch.Tensor  # [steps, z, f, h, w]
    latents: torch.Tensor  # [1, z, f, h, w], normalised, as handed to the VAE's denormalisation
    frames: torch.Tensor  # uint8 [F, H, W, 3]


def load(directory, dtype, vae_dtype=torch.float32):
    """The pipeline that model_index.json names; the VAE is float32 whatever dtype is, unless asked for otherwise, as
    diffusers' documentation of Wan recommends."""
    directory = pathlib.Path(directory)
    index = json.loads((directory / "model_index.json").read_text(encoding="utf-8"))
    classes = {each.__name__: each for each in (WanPipeline, WanImageToVideoPipeline, WanVACEPipeline)}
    if index["_class_name"] not in classes:
        raise ValueError(f"{directory}/model_index.json: {index['_class_name']} is none of {', '.join(classes)}")
    vae = AutoencoderKLWan.from_pretrained(directory / "vae", dtype=vae_dtype)
    pipeline = classes[index["_class_name"]].from_pretrained(directory, vae=vae, dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def as_pipeline(pipeline, wanted):
    """The same components in the other pipeline class."""
    if isinstance(pipeline, wanted):
        return pipeline
    names = ["tokenizer", "text_encoder", "vae", "scheduler", "transformer", "transformer_2"]
    components = {name: getattr(pipeline, name) for name in names}
    if wanted is WanImageToVideoPipeline:
        components |= {"image_encoder": None, "image_processor": None}
    config = {name: pipeline.config[name] for name in ("boundary_ratio", "expand_timesteps")}
    converted = wanted(**components, **config)
    converted.set_progress_bar_config(disable=True)
    return converted


def with_empty_mask(transformer):
    """Lets WanPipeline drive a transformer of the masked form: mask and condition channels are zero, which says that
    no frame is known."""
    forward = transformer.forward

    def padded(hidden_states, **arguments):
        batch, channels, *size = hidden_states.shape
        zeros = hidden_states.new_zeros(batch, transformer.config.in_channels - channels, *size)
        return forward(hidden_states=torch.cat([hidden_states, zeros], dim=1), **arguments)

    transformer.forward = padded
    return lambda: setattr(transformer, "forward", forward)


def starting_noise(pipeline, settings, num_references=0):
    """What prepare_latents draws for this seed with a CPU generator."""
    vae = pipeline.vae.config
    shape = (
        1,
        vae.z_dim,
        (settings.num_frames - 1) // vae.scale_factor_temporal + 1 + num_references,
        settings.height // vae.scale_factor_spatial,
        settings.width // vae.scale_factor_spatial,
    )
    return randn_tensor(shape, generator=torch.Generator("cpu").manual_seed(settings.seed), dtype=torch.float32)


def decode(pipeline, latents):
    """Latents to frames, as the end of the pipeline's call does it; PIL's rounding to 8 bits."""
    vae = pipeline.vae
    latents = latents.to(vae.dtype)
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1).to(latents.dtype)
    inverse_std = 1.0 / torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1).to(latents.dtype)
    video = vae.decode(latents / inverse_std + mean, return_dict=False)[0]
    frames = pipeline.video_processor.postprocess_video(video, output_type="np")[0]
    return torch.from_numpy((frames * 255).round().astype(numpy.uint8))


def real_tokens(embeds):
    """Cuts the zero rows that pad the text."""
    if embeds is None:
        return None
    embeds = embeds[0]
    filled = embeds.abs().sum(dim=1).nonzero()
    return embeds[: int(filled.max()) + 1] if len(filled) else embeds[:0]


def observer():
    """What a run's steps leave behind, and the callback that collects it."""
    seen = {"latents": []}

    def after_step(_, step, timestep, tensors):
        seen["latents"].append(tensors["latents"][0].float().clone())
        seen["text"] = (tensors["prompt_embeds"], tensors["negative_prompt_embeds"])
        return {}

    return seen, after_step


def run(pipeline, settings, image=None, last_image=None):
    """image and last_image: uint8 [H, W, 3] tensors of the video's size, or None for text to video."""
    pipeline = as_pipeline(pipeline, WanPipeline if image is None else WanImageToVideoPipeline)
    noise = starting_noise(pipeline, settings)
    arguments = {}
    if image is not None:
        arguments["image"] = Image.fromarray(image.numpy())
    if last_image is not None:
        arguments["last_image"] = Image.fromarray(last_image.numpy())
    if pipeline.config.boundary_ratio is not None:
        arguments["guidance_scale_2"] = settings.guidance_scale_2

    restore = []
    if image is None:
        for transformer in (pipeline.transformer, pipeline.transformer_2):
            if transformer is not None and transformer.config.in_channels != noise.shape[1]:
                restore.append(with_empty_mask(transformer))

    seen, after_step = observer()
    try:
        latents = pipeline(
            prompt=settings.prompt,
            negative_prompt=settings.negative_prompt,
            height=settings.height,
            width=settings.width,
            num_frames=settings.num_frames,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            max_sequence_length=settings.max_sequence_length,
            latents=noise.clone(),
            output_type="latent",
            callback_on_step_end=after_step,
            callback_on_step_end_tensor_inputs=["latents", "prompt_embeds", "negative_prompt_embeds"],
            **arguments,
        ).frames
    finally:
        for undo in restore:
            undo()
    return outcome(pipeline, noise, seen, latents)


def outcome(pipeline, noise, seen, latents):
    return Run(
        noise=noise,
        timesteps=pipeline.scheduler.timesteps,
        prompt_embeds=real_tokens(seen["text"][0]),
        negative_prompt_embeds=real_tokens(seen["text"][1]),
        latents_after_step=torch.stack(seen["latents"]),
        latents=latents,
        frames=decode(pipeline, latents),
    )


def take_single_arrays(processor):
    """Lets the pipeline ask the first frame for its size where that is an array, which it takes for a batch."""
    ask = processor.get_default_height_width

    def asked(image, *sizes):
        is_one = isinstance(image, numpy.ndarray) and image.ndim == 3
        return ask(image[None] if is_one else image, *sizes)

    processor.get_default_height_width = asked


def run_vace(pipeline, settings, known=None, control=None, references=(), conditioning_scale=1.0):
    """known: frame number -> uint8 [H, W, 3] picture of the video's size, kept; control: uint8 [F, H, W, 3] of what
    the frames to be drawn are told, or None; references: uint8 [H, W, 3] of any size."""
    known = known or {}
    take_single_arrays(pipeline.video_processor)
    noise = starting_noise(pipeline, settings, len(references))
    arguments = {}
    if known or control is not None:
        # Wan's grey, 0 in [-1, 1], lies between two bytes: pictures are floats in [0, 1].
        grey = numpy.full((settings.height, settings.width, 3), 0.5, dtype=numpy.float32)
        video = [grey] * settings.num_frames
        if control is not None:
            video = [each.numpy().astype(numpy.float32) / 255 for each in control]
        for frame, picture in known.items():
            video[frame] = picture.numpy().astype(numpy.float32) / 255
        mask = [numpy.ones_like(grey) * (frame not in known) for frame in range(settings.num_frames)]
        arguments |= {"video": video, "mask": mask}
    if references:
        arguments["reference_images"] = [Image.fromarray(each.numpy()) for each in references]
    if pipeline.config.boundary_ratio is not None:
        arguments["guidance_scale_2"] = settings.guidance_scale_2

    seen, after_step = observer()
    told = []
    hook = pipeline.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: told.append(kwargs["control_hidden_states"].float().clone()), with_kwargs=True
    )
    try:
        latents = pipeline(
            prompt=settings.prompt,
            negative_prompt=settings.negative_prompt,
            height=settings.height,
            width=settings.width,
            num_frames=settings.num_frames,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            max_sequence_length=settings.max_sequence_length,
            latents=noise.clone(),
            output_type="latent",
            conditioning_scale=conditioning_scale,
            callback_on_step_end=after_step,
            callback_on_step_end_tensor_inputs=["latents", "prompt_embeds", "negative_prompt_embeds"],
            **arguments,
        ).frames
    finally:
        hook.remove()
    return outcome(pipeline, noise, seen, latents[:, :, len(references) :]), told[0]
