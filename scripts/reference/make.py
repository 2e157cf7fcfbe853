"""Makes the fixtures under tests/data, stage by stage. Each stage empties its own folder first, so what lies
there is exactly what the script makes; on one machine two runs give the same bytes."""

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


def main():
    parser = argparse.ArgumentParser(prog="scripts/reference/make", description=__doc__)
    parser.add_argument("stage", nargs="*", help="default: all of them")
    chosen = parser.parse_args().stage or STAGES
    case.make_deterministic()
    for stage in chosen:
        begin = time.monotonic()
        folder = case.empty_folder(stage)
        importlib.import_module(f"fixtures.{stage}").make(folder)
        case.tidy(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{stage}: {size / 1024:.0f} KiB in {time.monotonic() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
