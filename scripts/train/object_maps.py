"""Where a scene's objects are, on a coarse grid: what an extra head learns to say while the transformer trains.

The drawn scene is known, so the model need not find out from noisy pixels alone what a caption means for places and
outlines. CELL pixels a cell; two moments of each latent frame, its first and its last.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from world import camera
from world.motion import path
from world.shapes import DISTANCES

CELL = 4
TOKEN = 32  # pixels
MOMENTS = 2


def of_scene(scene):
    """u8 [f, MOMENTS, H / CELL, W / CELL]: how much of each cell the objects cover, 255 being all."""
    height, width = scene.height // CELL, scene.width // CELL
    ends = np.arange(0, scene.frames, 4)
    picks = np.stack([np.maximum(ends - 3, 0), ends], 1).ravel()
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / height)[None, :]
    out = np.zeros((len(picks), height, width), np.float32)
    zoom, shift = camera.view_of(scene)
    for thing in scene.things:
        xs, ys, radii, angles, facing = path(thing, scene)
        xs, ys, radii = camera.seen(xs, ys, radii, zoom, shift, scene.aspect)
        for n, f in enumerate(picks):
            dx, dy = np.broadcast_arrays((x - xs[f]) / radii[f], (y - ys[f]) / radii[f])
            near = (np.abs(dx) < 1.5) & (np.abs(dy) < 1.5)
            px, py = dx[near], dy[near]
            cos, sin = np.cos(angles[f]), np.sin(angles[f])
            distance = DISTANCES[thing.shape]((px * cos + py * sin) * facing, py * cos - px * sin)
            out[n][near] = np.maximum(out[n][near], np.clip(0.5 - distance * radii[f] * height, 0, 1))
    return torch.from_numpy((out * 255 + 0.5).astype(np.uint8)).view(len(ends), MOMENTS, height, width)


class Head(nn.Module):
    """Tokens [B, L, D] -> coverage logits, as many as `targets` has."""

    def __init__(self, width):
        super().__init__()
        self.out = nn.Linear(width, MOMENTS * (TOKEN // CELL) ** 2)

    def forward(self, tokens, weight, bias):
        return F.linear(F.layer_norm(tokens.float(), tokens.shape[-1:]).to(weight.dtype), weight, bias).float()


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
