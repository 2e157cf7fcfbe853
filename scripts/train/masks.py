"""Which frames of a clip are known: every pattern that a canvas can ask for, and its form as mask channels."""

import numpy as np
import torch

PATTERNS = ("first", "first_last", "prefix", "suffix", "gap", "both_ends", "singles", "last")
_WEIGHTS = (0.27, 0.14, 0.22, 0.1, 0.09, 0.06, 0.06, 0.06)


def random_known(rng, frames):
    """[F] booleans, neither all nor none."""
    known = np.zeros(frames, bool)
    pattern = PATTERNS[rng.choice(len(PATTERNS), p=_WEIGHTS)]
    some = int(rng.integers(2, max(3, frames // 2)))
    if pattern in ("first", "first_last"):
        known[0] = True
    if pattern in ("last", "first_last"):
        known[-1] = True
    if pattern == "prefix":
        known[:some] = True
    elif pattern == "suffix":
        known[-some:] = True
    elif pattern == "gap":
        known[: max(1, some // 2)] = known[-max(1, some // 2) :] = True
    elif pattern == "both_ends":
        start = int(rng.integers(1, frames - some))
        known[start : start + some] = True
    elif pattern == "singles":
        known[rng.choice(frames, int(rng.integers(1, 4)), replace=False)] = True
    return known


def channels(known, height, width):
    """[F] known frames -> [4, f, height, width], the first frame's flag four times, as WanImageToVideoPipeline."""
    flags = torch.as_tensor(np.concatenate([np.repeat(known[:1], 3), known])).float()
    return flags.view(-1, 4).T[:, :, None, None].expand(4, -1, height, width)
