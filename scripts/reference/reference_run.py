"""One whole run of a Wan pipeline with diffusers: what each stage gave, from the prompt to the 8-bit frames."""

import contextlib
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


def own_settings(model):
    """What the model's sora.json says; nothing where it has none."""
    own = model / "sora.json"
    return json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}


def grey_latents(vae, settings):
    """[1, z, f, h, w], normalised: what prepare_latents gives for frames that are not known."""
    video = torch.zeros(1, 3, settings.num_frames, settings.height, settings.width, dtype=vae.dtype)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (vae.config.latents_mean, vae.config.latents_std))
    return (vae.encode(video).latent_dist.mode() - mean) * (1.0 / std)


@contextlib.contextmanager
def with_empty_masks(pipeline, settings, grey):
    """Lets WanPipeline drive transformers of the masked form: the mask is zero, which says that no frame is known, and
    so is the condition, or it is that of WanImageToVideoPipeline for a clip which is all `grey`. Others are left as they
    are."""

    def padded(transformer, args, kwargs):
        latents = kwargs["hidden_states"]
        batch, channels, *size = latents.shape
        extra = latents.new_zeros(batch, transformer.config.in_channels - channels, *size)
        if grey:
            extra[:, -channels:] = grey_latents(pipeline.vae, settings)
        return args, kwargs | {"hidden_states": torch.cat([latents, extra], dim=1)}

    hooks = [
        each.register_forward_pre_hook(padded, with_kwargs=True)
        for each in (pipeline.transformer, pipeline.transformer_2)
        if each is not None and each.config.in_channels != pipeline.vae.config.z_dim
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def control_overheard(transformer):
    """A list that fills with what each call's control branch is told, in float32."""
    told = []
    hook = transformer.register_forward_pre_hook(
        lambda module, args, kwargs: told.append(kwargs["control_hidden_states"].float().clone()), with_kwargs=True
    )
    try:
        yield told
    finally:
        hook.remove()


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


def whole_run(pipeline, settings, num_references=0, **arguments):
    """Calls the pipeline with arguments besides the settings; references, which lead the latents, are cut off the
    finished ones."""
    noise = starting_noise(pipeline, settings, num_references)
    if pipeline.config.boundary_ratio is not None:
        arguments["guidance_scale_2"] = settings.guidance_scale_2
    latents_after_step = []
    text = {}

    def after_step(_, step, timestep, tensors):
        latents_after_step.append(tensors["latents"][0].float().clone())
        text.update(tensors)
        return {}

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
    ).frames[:, :, num_references:]
    return Run(
        noise=noise,
        timesteps=pipeline.scheduler.timesteps,
        prompt_embeds=real_tokens(text["prompt_embeds"]),
        negative_prompt_embeds=real_tokens(text["negative_prompt_embeds"]),
        latents_after_step=torch.stack(latents_after_step),
        latents=latents,
        frames=decode(pipeline, latents),
    )


def run(pipeline, settings, image=None, last_image=None, grey=False):
    """image and last_image: uint8 [H, W, 3] tensors of the video's size, or None for text to video; `grey`: what the
    model's sora.json says of grey_without_frames."""
    pipeline = as_pipeline(pipeline, WanPipeline if image is None else WanImageToVideoPipeline)
    pictures = {"image": image, "last_image": last_image}
    arguments = {name: Image.fromarray(each.numpy()) for name, each in pictures.items() if each is not None}
    with with_empty_masks(pipeline, settings, grey) if image is None else contextlib.nullcontext():
        return whole_run(pipeline, settings, **arguments)


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
    arguments = {"conditioning_scale": conditioning_scale}
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
    with control_overheard(pipeline.transformer) as told:
        return whole_run(pipeline, settings, len(references), **arguments), told[0]
