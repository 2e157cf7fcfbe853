"""Where a scene's objects are and what they are, on a coarse grid: what an extra head learns to say while the transformer
trains.

The drawn scene is known, so the model need not find out from noisy pixels alone what a caption means for places and
outlines, nor which of two colours belongs to which of two objects. CELL pixels a cell; two moments of each latent
frame, its first and its last.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from world import camera
from world.motion import path
from world.shapes import DISTANCES
from world.spec import CAMERAS, COLOURS, MOTIONS, SHAPES, STYLES

CELL = 4
TOKEN = 32  # pixels
MOMENTS = 2
# What a token can show: of the things in it, and of the whole scene.
THING_KINDS = {"colour": COLOURS, "shape": SHAPES, "motion": MOTIONS}
SCENE_KINDS = {"camera": CAMERAS, "style": STYLES}
KINDS = sum(len(names) for names in (THING_KINDS | SCENE_KINDS).values())


def of_things(scene):
    """u8 [things, f, MOMENTS, H / CELL, W / CELL]: how much of each cell each object covers, 255 being all."""
    height, width = scene.height // CELL, scene.width // CELL
    ends = np.arange(0, scene.frames, 4)
    picks = np.stack([np.maximum(ends - 3, 0), ends], 1).ravel()
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / height)[None, :]
    out = np.zeros((len(scene.things), len(picks), height, width), np.float32)
    zoom, shift = camera.view_of(scene)
    for which, thing in enumerate(scene.things):
        xs, ys, radii, angles, facing = path(thing, scene)
        xs, ys, radii = camera.seen(xs, ys, radii, zoom, shift, scene.aspect)
        for n, f in enumerate(picks):
            dx, dy = np.broadcast_arrays((x - xs[f]) / radii[f], (y - ys[f]) / radii[f])
            near = (np.abs(dx) < 1.5) & (np.abs(dy) < 1.5)
            px, py = dx[near], dy[near]
            cos, sin = np.cos(angles[f]), np.sin(angles[f])
            distance = DISTANCES[thing.shape]((px * cos + py * sin) * facing, py * cos - px * sin)
            out[which, n][near] = np.clip(0.5 - distance * radii[f] * height, 0, 1)
    return torch.from_numpy((out * 255 + 0.5).astype(np.uint8)).view(-1, len(ends), MOMENTS, height, width)


def of_scene(scene):
    """u8 [f, MOMENTS, H / CELL, W / CELL]: how much of each cell the objects cover, 255 being all."""
    return of_things(scene).amax(0)


def kinds_of(scene, maps_of_things):
    """Booleans [L, KINDS]: what each token shows. A thing is in the tokens that have a cell covered by half or more."""
    covered = targets(maps_of_things).amax(-1) >= 0.5
    found, first = torch.zeros(covered.shape[1], KINDS, dtype=torch.bool), 0
    for part, names in THING_KINDS.items():
        for thing, where in zip(scene.things, covered):
            found[:, first + names.index(getattr(thing, part))] |= where
        first += len(names)
    for part, names in SCENE_KINDS.items():
        found[:, first + names.index(getattr(scene, part))] = True
        first += len(names)
    return found


class Head(nn.Module):
    """Tokens [B, L, D] -> logits of the coverage, as many as `targets` has, and of what the tokens show, as `kinds_of`."""

    def __init__(self, width):
        super().__init__()
        self.out = nn.Linear(width, MOMENTS * (TOKEN // CELL) ** 2)
        self.kinds = nn.Linear(width, KINDS)

    def forward(self, tokens, *weights_and_biases):
        normed = F.layer_norm(tokens.float(), tokens.shape[-1:]).to(weights_and_biases[0].dtype)
        return tuple(F.linear(normed, *weights_and_biases[k : k + 2]).float() for k in (0, 2))


def targets(maps):
    """u8 [B, f, MOMENTS, rows, columns] -> [B, L, MOMENTS * cells of a token] in 0..1."""
    side = TOKEN // CELL
    b, f, m, height, width = maps.shape
    cells = maps.view(b, f, m, height // side, side, width // side, side).permute(0, 1, 3, 5, 2, 4, 6)
    return cells.reshape(b, f * (height // side) * (width // side), -1).float() / 255


def importance(maps, more):
    """Weights [B, 1, f, h, w] of the latents' squared errors: 1, and up to 1 + `more` where an object is."""
    b, f, m, height, width = maps.shape
    shares = F.avg_pool2d(maps.view(b * f, m, height, width).float() / 255, 16 // CELL)
    return 1 + more * shares.amax(1).view(b, 1, f, *shares.shape[-2:])
