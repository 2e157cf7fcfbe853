"""`sora models list`, `show` and `convert` through the program, on the small models that diffusers wrote."""

import json
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
PIPELINES = ROOT / "tests" / "data" / "pipelines"
MODEL = PIPELINES / "t2v_unipc"
NANO = ROOT / "models" / "nano"
COMPANIONS = ["--vae", MODEL / "vae", "--text-encoder", MODEL / "text_encoder", "--tokenizer", MODEL / "tokenizer"]


@pytest.fixture
def sora(tmp_path):
    def run(*arguments, status=0):
        result = subprocess.run(
            [SORA, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=300,
            env={**os.environ, "SORA_CACHE": str(tmp_path / "cache"), "HF_HUB_CACHE": str(tmp_path / "hub")})  # fmt: skip
        assert result.returncode == status, result.stderr
        return result

    return run


def show(sora, model, *arguments):
    return json.loads(sora("models", "show", model, "--json", *arguments).stdout)


def clip(sora, tmp_path, model, *arguments):
    """The bytes of a small clip."""
    out = tmp_path / "clip.y4m"
    sora("generate", "a red ball", "-m", model, *arguments, "--size", "48x32", "--frames", 5, "--steps", 2, "--seed", 1,
         "--dtype", "f32", "-o", out, "--force")  # fmt: skip
    return out.read_bytes()


def test_list_has_the_built_in_model_and_those_of_a_folder(sora):
    listed = json.loads(sora("models", "list", "--models-dir", PIPELINES, "--json").stdout)["models"]
    kinds = {entry["name"]: entry["kind"] for entry in listed}
    assert kinds["nano"] == "built in"
    assert kinds["vace"] == "directory" and kinds["t2v_unipc"] == "directory"


def test_list_passes_over_folders_of_the_hub_cache_that_are_no_model(sora, tmp_path):
    for name in ("models--a--b--old", "models--a--", "models----b"):
        (tmp_path / "hub" / name / "snapshots").mkdir(parents=True)
    listed = json.loads(sora("models", "list", "--json").stdout)["models"]
    assert "nano" in [entry["name"] for entry in listed]


@pytest.mark.parametrize("part", ["transformer", "vae"])
@pytest.mark.parametrize("text", ["[]", '{"_class_name": 5}'])
def test_a_config_that_is_none_is_bad_input(sora, tmp_path, part, text):
    shutil.copytree(MODEL, tmp_path / "model")
    (tmp_path / "model" / part / "config.json").write_text(text)
    assert "config.json" in sora("models", "show", "model", status=3).stderr


def test_list_tells_small_sizes_in_megabytes(sora):
    lines = sora("models", "list", "--models-dir", PIPELINES).stdout.splitlines()
    assert any("t2v_unipc" in line and " MB " in line for line in lines)
    assert not any(" 0.0 GB" in line for line in lines)


def test_show_of_a_transformer_alone_says_what_it_is_and_what_is_missing(sora, tmp_path):
    sora("models", "convert", MODEL, "alone.gguf", "--type", "q8_0")
    told = show(sora, "alone.gguf")
    assert told["kind"] == "file" and told["parts"]["transformer"]["parameters"] > 0
    assert len(told["notices"]) == 1 and "--text-encoder" in told["notices"][0] or "--vae" in told["notices"][0]
    missing = sora("models", "show", "alone.gguf", "--vae", "none.safetensors", status=4).stderr
    assert "none.safetensors" in missing


def test_help_says_that_pull_takes_one_file_too(sora):
    assert "org/name/FILE" in sora("models", "pull", "--help").stdout
    assert "--size" not in sora("models", "pull", "--help").stdout


def test_an_action_that_is_none_is_named(sora):
    assert "did you mean verify?" in sora("models", "verfy", "nano", status=2).stderr
    assert "models needs a command" in sora("models", status=2).stderr


@pytest.mark.parametrize(
    "model, operation",
    [
        ("t2v_unipc", "held to known frames"),
        ("i2v", "known frames by mask"),
        ("ti2v", "whole latent frames"),
        ("vace", "as it was trained"),
    ],
)
def test_show_says_how_the_tools_work_on_a_model(sora, model, operation):
    assert any(operation in each for each in show(sora, PIPELINES / model)["operations"])


def test_show_of_vace_names_references_and_control(sora):
    operations = show(sora, PIPELINES / "vace")["operations"]
    assert {"reference pictures", "control video", "first and last image to video"} <= set(operations)


def test_show_tells_the_memory_of_a_size_as_a_dry_run_plans_it(sora):
    size = ["--size", "96x64", "--frames", 17]
    told = show(sora, MODEL, *size)["memory"]
    planned = json.loads(sora("generate", "a clip", "-m", MODEL, *size, "--dry-run", "--json", "--memory", "64G").stdout)
    assert told["size"] == "96x64" and told["frames"] == 17
    for phase in ("text", "sample", "decode"):
        assert told[phase] == planned["memory"][phase]


@pytest.mark.parametrize("output", ["one.safetensors", "directory"])
def test_converted_without_loss_a_model_makes_the_same_clip(sora, tmp_path, output):
    sora("models", "convert", MODEL, output)
    assert clip(sora, tmp_path, output, *COMPANIONS) == clip(sora, tmp_path, MODEL)


def test_a_single_file_becomes_a_directory_again(sora, tmp_path):
    sora("models", "convert", MODEL, "one.safetensors")
    sora("models", "convert", "one.safetensors", "again")
    original = MODEL / "transformer" / "diffusion_pytorch_model.safetensors"
    assert tensors(tmp_path / "again" / "diffusion_pytorch_model.safetensors") == tensors(original)


def write_tensors(path, tensors, metadata=None):
    """A safetensors file of what tensors() gives."""
    header = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def tensors(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {
        name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in header.items()
    }


@pytest.mark.parametrize("kind", ["q8_0", "q4_k"])
def test_quantised_a_model_is_smaller_and_runs(sora, tmp_path, kind):
    sora("models", "convert", MODEL, "small.gguf", "--type", kind)
    assert (tmp_path / "small.gguf").read_bytes()[:4] == b"GGUF"
    assert len(clip(sora, tmp_path, "small.gguf", *COMPANIONS)) == len(clip(sora, tmp_path, MODEL))


def test_a_text_encoder_becomes_a_gguf(sora, tmp_path):
    sora("models", "convert", MODEL / "text_encoder", "umt5.gguf", "--type", "f32")
    made = (tmp_path / "umt5.gguf").read_bytes()
    assert made[:4] == b"GGUF" and b"enc.blk.0.attn_q.weight" in made and b"token_embd.weight" in made
    one = clip(sora, tmp_path, MODEL / "transformer", "--vae", MODEL / "vae", "--text-encoder", "umt5.gguf",
               "--tokenizer", MODEL / "tokenizer")  # fmt: skip
    assert one == clip(sora, tmp_path, MODEL)


def test_the_tokenizer_beside_a_text_encoder_goes_into_its_gguf(sora, tmp_path):
    (tmp_path / "apart").mkdir()
    sora("models", "convert", MODEL / "text_encoder", "apart/umt5.gguf", "--type", "f32")
    one = clip(sora, tmp_path, MODEL / "transformer", "--vae", MODEL / "vae", "--text-encoder", "apart/umt5.gguf")
    assert one == clip(sora, tmp_path, MODEL)


def test_a_text_encoder_without_tokenizer_is_converted_with_a_notice(sora, tmp_path):
    shutil.copytree(MODEL / "text_encoder", tmp_path / "far" / "off" / "encoder")
    told = sora("models", "convert", "far/off/encoder", "umt5.gguf").stderr
    assert "--tokenizer" in told and b"tokenizer.ggml" not in (tmp_path / "umt5.gguf").read_bytes()
    sora("models", "convert", "far/off/encoder", "with.gguf", "--tokenizer", MODEL / "tokenizer")
    assert b"tokenizer.ggml.tokens" in (tmp_path / "with.gguf").read_bytes()


def test_two_experts_are_converted_one_by_one(sora, tmp_path):
    model = PIPELINES / "t2v_two_experts"
    told = sora("models", "convert", model, "one.safetensors", status=2).stderr
    assert str(model / "transformer_2") in told and not (tmp_path / "one.safetensors").exists()
    sora("models", "convert", model / "transformer_2", "low.safetensors")


def test_convert_overwrites_nothing_unasked(sora, tmp_path):
    (tmp_path / "there.safetensors").write_bytes(b"mine")
    sora("models", "convert", MODEL, "there.safetensors", status=2)
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"
    sora("models", "convert", MODEL, "there.safetensors", "--force")


def test_converted_over_shards_a_directory_holds_the_new_weights_alone(sora, tmp_path):
    place = tmp_path / "there"
    shutil.copytree(MODEL / "transformer", place)
    stem = "diffusion_pytorch_model"
    (place / f"{stem}.safetensors").rename(place / f"{stem}-00001-of-00001.safetensors")
    names = tensors(place / f"{stem}-00001-of-00001.safetensors")
    index = {"weight_map": dict.fromkeys(names, f"{stem}-00001-of-00001.safetensors")}
    (place / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    other = PIPELINES / "t2v_two_experts" / "transformer_2"
    sora("models", "convert", other, "there", "--force")
    assert {each.name for each in place.iterdir()} == {"config.json", f"{stem}.safetensors"}
    assert tensors(place / f"{stem}.safetensors") == tensors(other / f"{stem}.safetensors")


def test_vace_keeps_its_control_branch_through_a_conversion(sora, tmp_path):
    model = PIPELINES / "vace"
    sora("models", "convert", model, "vace.safetensors")
    companions = ["--vae", model / "vae", "--text-encoder", model / "text_encoder", "--tokenizer", model / "tokenizer"]
    one = clip(sora, tmp_path, "vace.safetensors", *companions, "--shift", 16)
    assert one == clip(sora, tmp_path, model)


def test_turbo_tells_the_schedule_that_it_runs(sora, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    (tmp_path / "model" / "loras").mkdir()
    module, values = "diffusion_model.blocks.0.self_attn.q.", struct.pack("<48f", *(0.1 * (i % 7) for i in range(48)))
    lora = {"lora_down.weight": ("F32", [2, 24], values), "lora_up.weight": ("F32", [24, 2], values)}
    name = "Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors"
    write_tensors(tmp_path / "model" / "loras" / name, {module + part: tensor for part, tensor in lora.items()})
    arguments = ["--turbo", "--size", "48x32", "--frames", 5, "--seed", 1, "-o", "turbo.mp4"]
    told = sora("generate", "a red ball", "-m", "model", *arguments).stderr
    assert f"{name} is made for 4 steps without guidance" in told and "2 of 2 tensors matched" in told
    manifest = sora("info", "turbo.mp4", "--json").stdout
    assert "[1.0,0.9375,0.8333333,0.625,0.0]" in "".join(manifest.split())


@pytest.mark.parametrize(
    "asked, steps",
    [
        ([], 4),
        (["--no-turbo"], 20),
        (["--steps", 8], 8),
        (["--guidance", 3], 20),
        (["--negative", "blurred"], 20),
        (["--loop"], 20),
    ],
)
def test_nano_takes_few_steps_where_nothing_is_asked_of_the_sampling(sora, asked, steps):
    planned = json.loads(sora("generate", "a red ball", *asked, "--dry-run", "--json").stdout)
    assert planned["steps"] == steps
    assert (planned["guidance_scale"] == 1) == (steps == 4)


def test_a_clip_of_few_steps_is_made_again_by_its_recipe(sora, tmp_path):
    told = sora("generate", "a red ball", "--size", "64x64", "--frames", 5, "--seed", 1, "-o", "few.mp4").stderr
    assert "nano draws in 4 steps" in told and "tensors matched" not in told
    sora("generate", "--recipe", "few.mp4", "-o", "again.mp4")
    assert (tmp_path / "few.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()


def test_nano_without_its_lora_takes_all_steps(sora, tmp_path):
    shutil.copytree(NANO, tmp_path / "model", ignore=shutil.ignore_patterns("loras"))
    assert json.loads(sora("generate", "a red ball", "-m", "model", "--dry-run", "--json").stdout)["steps"] == 20


def without_control(config):
    base = {key: value for key, value in config.items() if not key.startswith("vace_")}
    return {**base, "_class_name": "WanTransformer3DModel"}


def split_vace(model, base, part="transformer", module="vace_module.safetensors"):
    """The model's transformer without its control branch, in the directory `base`, and the branch as a file of its own, as
    ComfyUI's wrappers publish it. Returns the file."""
    whole = tensors(model / part / "diffusion_pytorch_model.safetensors")
    control = {name: tensor for name, tensor in whole.items() if name.startswith("vace_")}
    rest = {name: tensor for name, tensor in whole.items() if name not in control}
    assert control and rest
    write_tensors(base / part / "diffusion_pytorch_model.safetensors", rest)
    config = json.loads((model / part / "config.json").read_text())
    (base / part / "config.json").write_text(json.dumps(without_control(config)))
    write_tensors(base.parent / module, control)
    return base.parent / module


@pytest.fixture
def vace(tmp_path):
    """The small VACE model as a text-to-video model and a module."""
    base = tmp_path / "base"
    shutil.copytree(PIPELINES / "vace", base)
    module = split_vace(PIPELINES / "vace", base)
    index = json.loads((base / "model_index.json").read_text())
    index |= {"_class_name": "WanPipeline", "transformer": ["diffusers", "WanTransformer3DModel"]}
    (base / "model_index.json").write_text(json.dumps(index))
    return base, module


def test_a_base_with_a_vace_module_makes_the_clip_of_the_whole(sora, tmp_path, vace):
    base, module = vace
    whole = clip(sora, tmp_path, PIPELINES / "vace")
    assert clip(sora, tmp_path, base, "--vace", module) == whole
    assert clip(sora, tmp_path, base) != whole


def test_show_of_a_base_with_a_vace_module_is_that_of_the_whole(sora, vace):
    base, module = vace
    both, whole = show(sora, base, "--vace", module), show(sora, PIPELINES / "vace")
    assert both["parts"]["control"]["path"] == str(module)
    assert both["operations"] == whole["operations"] and "control video" in both["operations"]
    assert both["memory"]["sample"] == whole["memory"]["sample"]
    assert "control video" not in show(sora, base)["operations"]


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_single_files_of_base_and_module_make_the_clip_of_the_whole(sora, tmp_path, prefix):
    model = PIPELINES / "vace"
    sora("models", "convert", model, "whole.safetensors")  # under the names of Wan's own code
    whole = tensors(tmp_path / "whole.safetensors")
    config = json.loads((model / "transformer" / "config.json").read_text())
    folder = tmp_path / "models" / "diffusion_models"
    folder.mkdir(parents=True)
    rest = {name: tensor for name, tensor in whole.items() if not name.startswith("vace_")}
    control = {prefix + name: tensor for name, tensor in whole.items() if name.startswith("vace_")}
    write_tensors(folder / "base.safetensors", rest, {"config": json.dumps(without_control(config))})
    write_tensors(folder / "module.safetensors", control)
    companions = ["--vae", model / "vae", "--text-encoder", model / "text_encoder", "--tokenizer", model / "tokenizer",
                  "--shift", 16]  # fmt: skip
    listed = json.loads(sora("models", "list", "--models-dir", tmp_path / "models", "--json").stdout)["models"]
    assert {entry["name"]: entry["kind"] for entry in listed if "odule" in entry["kind"]} == {"module": "VACE module"}
    one = clip(sora, tmp_path, "base", "--models-dir", tmp_path / "models", "--vace", "module", *companions)
    assert one == clip(sora, tmp_path, model)


def test_two_experts_take_the_modules_that_are_named_after_them(sora, tmp_path):
    model, base = PIPELINES / "vace_two_experts", tmp_path / "base"
    shutil.copytree(model, base)
    high = split_vace(model, base, "transformer", "Fun_VACE_module_A14B_HIGH.safetensors")
    low = split_vace(model, base, "transformer_2", "Fun_VACE_module_A14B_LOW.safetensors")
    index = json.loads((base / "model_index.json").read_text())
    plain = ["diffusers", "WanTransformer3DModel"]
    index |= {"_class_name": "WanPipeline", "transformer": plain, "transformer_2": plain}
    (base / "model_index.json").write_text(json.dumps(index))
    both = ["--shift", 1]  # so that two steps meet both experts
    whole = clip(sora, tmp_path, model, *both)
    assert clip(sora, tmp_path, base, "--vace", high, *both) == whole
    assert clip(sora, tmp_path, base, "--vace", low, *both) == whole
    same = tmp_path / "for_both.safetensors"
    shutil.copy(high, same)
    assert clip(sora, tmp_path, base, "--vace", same, *both) != whole
    low.unlink()
    sentence = fault(sora, base, "--vace", high, status=4)
    assert "Fun_VACE_module_A14B_LOW.safetensors is not there" in sentence


def fault(sora, model, *arguments, status):
    """The one sentence that a clip of the model is refused with."""
    lines = sora("generate", "a red ball", "-m", model, *arguments, "-o", "no.mp4", status=status).stderr.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_module_that_does_not_fit_is_refused_in_one_sentence(sora, tmp_path, vace):
    base, module = vace
    control = tensors(module)
    wide, deep = tmp_path / "wide.safetensors", tmp_path / "deep.safetensors"
    write_tensors(wide, {name: (dtype, [2 * shape[0], *shape[1:]], 2 * data) for name, (dtype, shape, data) in control.items()})
    sentence = fault(sora, base, "--vace", wide, status=3)
    width = control["vace_patch_embedding.weight"][1][0]
    assert f"{2 * width} wide" in sentence and f"{width} wide" in sentence and "wide.safetensors" in sentence
    third = {name.replace("blocks.1.", "blocks.2."): each for name, each in control.items() if "blocks.1." in name}
    write_tensors(deep, control | third)
    sentence = fault(sora, base, "--vace", deep, status=3)
    assert "3 control blocks" in sentence and "4 layers" in sentence and "deep.safetensors" in sentence


def test_a_module_in_the_wrong_place_is_told_where_it_belongs(sora, tmp_path, vace):
    base, module = vace
    assert "--vace" in fault(sora, module, status=3)
    assert "control branch of its own" in fault(sora, PIPELINES / "vace", "--vace", module, status=2)
    assert "no such file" in fault(sora, base, "--vace", tmp_path / "none.safetensors", status=4)
    assert "VACE control branch" in fault(sora, base, "--vace", MODEL / "vae" / "diffusion_pytorch_model.safetensors", status=3)


def test_a_clip_of_a_module_is_made_again_from_its_recipe(sora, tmp_path, vace):
    base, module = vace
    made = clip(sora, tmp_path, base, "--vace", module)
    sora("generate", "--recipe", "clip.y4m.json", "-o", "again.y4m")
    assert (tmp_path / "again.y4m").read_bytes() == made


def test_a_reference_on_another_model_is_a_usage_error(sora, tmp_path):
    result = sora("generate", "a cat", "--reference", "cat.png", "-o", "cat.mp4", status=2)
    assert "control branch" in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "cat.mp4").exists()


def test_a_module_is_converted_alone(sora, tmp_path, vace):
    base, module = vace
    whole = clip(sora, tmp_path, PIPELINES / "vace")
    sora("models", "convert", module, "again.safetensors")
    sora("models", "convert", module, "again.gguf", "--type", "f32")
    for converted in "again.safetensors", "again.gguf":
        assert clip(sora, tmp_path, base, "--vace", converted) == whole
    assert "single file" in sora("models", "convert", module, "directory", status=2).stderr
