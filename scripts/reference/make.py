"""Makes the fixtures under tests/data, stage by stage. Each stage replaces its own folder when it is done, so
what lies there is exactly what the script makes; on one machine two runs give the same bytes."""

import argparse
import importlib
import time

from fixtures import case

STAGES = [
    "noise",
    "scheduler",
    "transformer",
    "vae",
    "tokenizer",
    "umt5",
    "clip_vision",
    "pipelines",
    "nano",
    "weights",
    "lora_runs",
    "hostile",
]
# What needs code that is on no package index.
ON_REQUEST = ["tiny_vae"]


def main():
    parser = argparse.ArgumentParser(prog="scripts/reference/make", description=__doc__)
    parser.add_argument("stage", nargs="*", help=f"{', '.join(STAGES)} (default: all of these) or {', '.join(ON_REQUEST)}")
    chosen = parser.parse_args().stage or STAGES
    for stage in chosen:
        if stage not in STAGES + ON_REQUEST:
            parser.error(f"there is no stage '{stage}'; there are {', '.join(STAGES + ON_REQUEST)}")
    case.make_deterministic()
    for stage in chosen:
        begin = time.monotonic()
        with case.replaced_folder(stage) as folder:
            importlib.import_module(f"fixtures.{stage}").make(folder)
            case.tidy(folder)
        folder = case.ROOT / stage
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{stage}: {size / 1024:.0f} KiB in {time.monotonic() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
