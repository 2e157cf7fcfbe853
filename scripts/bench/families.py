"""Times a step of each family of Wan models at its true width. The weights are zeros, which take the time of any others; a
model is made with few layers and with more, and the time of all its layers follows from the difference, as each costs the
same. So no disk or memory for 28 GB is needed; what a machine without that memory waits for its disk comes on top. Prints
a Markdown table of medians."""

import argparse
import dataclasses
import pathlib
import statistics
import subprocess
import sys
import tempfile

from measurement import measure
from PIL import Image
from programs import ROOT, SORA, Clip, check_program, machine, plan, sora_command

GIB = 2**30


@dataclasses.dataclass
class Family:
    few: int  # layers of the two models that are made
    more: int
    all: int  # the family's own
    images: int = 0  # it begins and ends with


FAMILIES = {
    "t2v-1.3b": Family(10, 20, 30),
    "t2v-14b": Family(2, 4, 40),
    "i2v-14b": Family(2, 4, 40, images=1),
    "flf2v-14b": Family(2, 4, 40, images=2),
    "t2v-a14b": Family(2, 4, 40),
    "i2v-a14b": Family(2, 4, 40, images=1),
    "ti2v-5b": Family(4, 8, 30),
    "vace-1.3b": Family(10, 20, 30),
    "vace-14b": Family(5, 10, 40),  # a control block serves five layers
    "vace-fun-a14b": Family(5, 10, 40),
}


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/families", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("family", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}; all of them unless said")
    parser.add_argument("--size", default="480x256", help="WxH")
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="at least 2: the first is not counted")
    parser.add_argument("--runs", type=int, default=3, help="of each model, in alternation")
    parser.add_argument("--threads", type=int, default=Clip.threads)
    parser.add_argument("--sora", type=pathlib.Path, default=SORA, help="the program")
    arguments = parser.parse_args()
    unknown = set(arguments.family) - set(FAMILIES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: none of {', '.join(FAMILIES)}")
    return arguments


def make_model(family, layers, folder):
    command = [ROOT / "scripts" / "reference" / "random-checkpoint", "--family", family, "--layers", str(layers), "--zeros", folder]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return folder


def write_picture(path, size):
    Image.linear_gradient("L").resize(size).convert("RGB").save(path)
    return path


def command_for(arguments, model, family, folder, steps):
    width, height = map(int, arguments.size.split("x"))
    clip = Clip(model, width, height, arguments.frames, steps, guidance=1, threads=arguments.threads)
    command = sora_command(arguments.sora, clip, folder / "clip.y4m")
    picture = write_picture(folder / "picture.png", (width, height))
    for option in ("--image", "--last-image")[: FAMILIES[family].images]:
        command += [option, picture]
    return command


def of_all_layers(family, few, more):
    return few + (more - few) * (family.all - family.few) / (family.more - family.few)


def later_step(arguments, model, family, folder):
    """Seconds of a step after the first, which reads and packs the weights."""
    first, all_steps = (
        measure(command_for(arguments, model, family, folder, steps)).phases["denoise"].wall_s for steps in (1, arguments.steps)
    )
    return (all_steps - first) / (arguments.steps - 1)


def row(arguments, name, folder):
    family = FAMILIES[name]
    models = [make_model(name, layers, folder / str(layers)) for layers in (family.few, family.more)]
    runs = [[later_step(arguments, model, name, folder) for model in models] for _ in range(arguments.runs)]
    seconds = of_all_layers(family, *map(statistics.median, zip(*runs)))
    plans = [plan(command_for(arguments, model, name, folder, steps=1))["memory"] for model in models]
    memory = of_all_layers(family, *(each["sample"] for each in plans)) / GIB
    return f"| {name} | {family.few} and {family.more} of {family.all} | {seconds:.1f} | {memory:.1f} |"


def main():
    arguments = parse()
    check_program(arguments.sora)
    print(f"{machine()}\n\n{arguments.size}, {arguments.frames} frames, bf16, one pass a step, {arguments.runs} runs\n")
    print("| family | layers made | s a step | GiB of weights and activations, all layers in memory |")
    print("|---|---|---|---|", flush=True)
    for name in arguments.family or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            print(row(arguments, name, pathlib.Path(folder)), flush=True)


if __name__ == "__main__":
    main()
