"""Styles as a last pass over the frames: clip [F, H, W, 3] floats and the objects' coverage [F, H, W]."""

import numpy as np

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def flat(clip, coverage):
    return clip


def pixel(clip, coverage):
    """Blocks of a sixteenth of the height, in eight levels a channel."""
    frames, height, width, _ = clip.shape
    block = max(2, height // 32)
    rows, cols = height // block, width // block
    small = clip[:, : rows * block, : cols * block].reshape(frames, rows, block, cols, block, 3).mean((2, 4))
    small = np.round(np.clip(small, 0, 1) * 8) / 8
    big = small.repeat(block, 1).repeat(block, 2)
    return np.pad(big, ((0, 0), (0, height - big.shape[1]), (0, width - big.shape[2]), (0, 0)), "edge")


def _edges(luma, step):
    dx = np.abs(np.roll(luma, -step, 2) - np.roll(luma, step, 2))
    dy = np.abs(np.roll(luma, -step, 1) - np.roll(luma, step, 1))
    return dx + dy


def pencil(clip, coverage):
    """Dark lines on paper, and the colours left as a light wash."""
    step = max(1, clip.shape[1] // 128)
    luma = clip @ _LUMA
    line = np.clip(_edges(coverage, step) * 0.8 + _edges(luma, step) * 1.2, 0, 1)
    wash = 0.72 + 0.28 * luma[..., None]
    tint = 1 + 0.5 * coverage[..., None] * (clip - luma[..., None])
    paper = np.array([0.97, 0.95, 0.91], np.float32) * wash * tint
    return paper * (1 - 0.85 * line[..., None])


def noir(clip, coverage):
    """Black and white, hard contrast, dark corners."""
    height, width = clip.shape[1:3]
    luma = np.clip((clip @ _LUMA - 0.5) * 1.5 + 0.45, 0, 1)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    corner = np.clip(1.15 - 0.42 * (x * x + y * y), 0, 1)
    return np.repeat((luma * corner)[..., None], 3, -1)


def neon(clip, coverage):
    """A dark scene where the objects' outlines glow in their colour."""
    step = max(1, clip.shape[1] // 96)
    glow = np.clip(_edges(coverage, step), 0, 1)
    wide = np.clip(_edges(coverage, step * 3) * 0.6, 0, 1)
    dark = clip * np.array([0.14, 0.12, 0.24], np.float32)
    colour = clip / np.maximum(clip.max(-1, keepdims=True), 0.25)
    inner = coverage[..., None] * clip * 0.25
    return dark + inner + colour * np.maximum(glow, 0.55 * wide)[..., None]


STYLES = {f.__name__: f for f in (flat, pixel, pencil, noir, neon)}
