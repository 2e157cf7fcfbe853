"""The two programs under comparison as commands that make the same clip, and what they run on."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

from measurement import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build"))
SORA = BUILD / "sora"
PROMPT = "a red ball bounces on the grass"


@dataclasses.dataclass
class Clip:
    model: pathlib.Path
    width: int
    height: int
    frames: int
    steps: int
    guidance: float
    dtype: str = "bf16"
    prompt: str = PROMPT
    seed: int = 0
    text_length: int = 512  # diffusers pads the text to it
    threads: int = len(os.sched_getaffinity(0))


def cache_folder():
    cache = os.environ.get("SORA_CACHE")
    if cache:
        return pathlib.Path(cache)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sora"


def add_options(parser, runs):
    parser.add_argument("--runs", type=int, default=runs, help="of each program, in alternation")
    parser.add_argument("--only", choices=["sora", "diffusers"], help="run one of the two alone")
    parser.add_argument("--threads", type=int, default=Clip.threads)
    parser.add_argument("--sora", type=pathlib.Path, default=SORA, help="the program")


def check_program(path):
    if not path.is_file():
        sys.exit(f"{path}: not there; build it with scripts/build, or name it with --sora")


def sora_command(program, clip, output):
    """Every setting named, so that nothing depends on the model's defaults."""
    return [
        program, "generate", clip.prompt, "--model", clip.model, "--size", f"{clip.width}x{clip.height}", "--native",
        "--frames", clip.frames, "--steps", clip.steps, "--guidance", clip.guidance, "--seed", clip.seed,
        "--dtype", clip.dtype, "--device", "cpu", "--threads", clip.threads, "--progress", "json", "--force",
        "--output", output,
    ]  # fmt: skip


def diffusers_command(clip, output):
    return [
        sys.executable, pathlib.Path(__file__).with_name("diffusers_process.py"), clip.prompt, "--model", clip.model,
        "--width", clip.width, "--height", clip.height, "--frames", clip.frames, "--steps", clip.steps,
        "--guidance", clip.guidance, "--seed", clip.seed, "--text-length", clip.text_length, "--dtype", clip.dtype,
        "--threads", clip.threads, "--output", output,
    ]  # fmt: skip


def plan(command):
    """What `sora generate` would make, as its --dry-run --json tells."""
    finished = subprocess.run(
        [*(str(part) for part in command), "--dry-run", "--json"], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        sys.exit(finished.stderr)
    return json.loads(finished.stdout)


def read_into_page_cache(folder):
    """So that the first run does not pay for the disk."""
    for path in sorted(folder.rglob("*.safetensors")):
        with open(path, "rb") as file:
            while file.read(1 << 24):
                pass


def alternate(commands, runs, run):
    """[(program, run(command))], all programs once, then again, in the order given."""
    return [(name, run(command)) for _ in range(runs) for name, command in commands.items()]


def run_in_alternation(commands, arguments):
    """[(program, Measurement)] by add_options' arguments, each told on stderr when it is there."""
    if arguments.only:
        commands = {arguments.only: commands[arguments.only]}

    def run(command):
        result = measure(command)
        print(f"  {result.wall_s:.1f} s wall, {result.cpu_s:.1f} s CPU", file=sys.stderr, flush=True)
        return result

    return alternate(commands, arguments.runs, run)


def processor_fields():
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in fields.items()}


def has_avx512():
    return "avx512bw" in processor_fields().get("flags", "").split()


def machine():
    fields = processor_fields()
    flags = fields.get("flags", "").split()
    units = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{fields.get('model name', 'processor')} (family {fields.get('cpu family')}, model {fields.get('model')}; "
        f"{', '.join(units)}), {len(os.sched_getaffinity(0))} cores, {gib:.0f} GiB, "
        f"load {os.getloadavg()[0]:.1f} at the start, OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', 'PASSIVE')}"
    )
