"""Styles as a last pass over the frames: clip [F, H, W, 3] floats, and where the objects are in it."""

import numpy as np

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
LEVELS = 8  # of brightness in pixel art
NEON_TUBE, NEON_GLOW = 0.015, 0.09  # half widths in heights


class Outline:
    """Where the objects are: how much of a pixel they cover [F, H, W], the distance to the nearest outline in heights,
    negative inside and far where no object is near, and the colour [F, H, W, 3] of the object it belongs to."""

    def __init__(self, shape):
        self.coverage = np.zeros(shape[:3], np.float32)
        self.distance = np.full(shape[:3], 1e3, np.float32)
        self.colour = np.zeros(shape, np.float32)


def flat(clip, outline):
    return clip


def pixel_block(height):
    """Side of pixel art's blocks: the power of two, 4 at least, that is nearest to a thirty-second of the height."""
    return max(4, 2 ** int(np.round(np.log2(height / 32))))


def pixel(clip, outline):
    """Blocks of one colour, in a few levels of brightness; hues stay."""
    frames, height, width, _ = clip.shape
    block = pixel_block(height)
    rows, cols = height // block, width // block
    small = clip[:, : rows * block, : cols * block].reshape(frames, rows, block, cols, block, 3).mean((2, 4))
    light = np.clip(small.max(-1, keepdims=True), 1e-3, 1)
    small = small * np.round(light * LEVELS) / (light * LEVELS)
    big = small.repeat(block, 1).repeat(block, 2)
    return np.pad(big, ((0, 0), (0, height - big.shape[1]), (0, width - big.shape[2]), (0, 0)), "edge")


def _edges(luma, step):
    dx = np.abs(np.roll(luma, -step, 2) - np.roll(luma, step, 2))
    dy = np.abs(np.roll(luma, -step, 1) - np.roll(luma, step, 1))
    return dx + dy


def pencil(clip, outline):
    """Dark lines on paper, and the colours left as a light wash."""
    step = max(1, clip.shape[1] // 128)
    luma = clip @ _LUMA
    line = np.clip(_edges(outline.coverage, step) * 0.8 + _edges(luma, step) * 1.2, 0, 1)
    wash = 0.72 + 0.28 * luma[..., None]
    tint = 1 + 0.5 * outline.coverage[..., None] * (clip - luma[..., None])
    paper = np.array([0.97, 0.95, 0.91], np.float32) * wash * tint
    return paper * (1 - 0.85 * line[..., None])


def noir(clip, outline):
    """Black and white, hard contrast, dark corners."""
    height, width = clip.shape[1:3]
    luma = np.clip((clip @ _LUMA - 0.5) * 1.5 + 0.45, 0, 1)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    corner = np.clip(1.15 - 0.42 * (x * x + y * y), 0, 1)
    return np.repeat((luma * corner)[..., None], 3, -1)


def neon(clip, outline):
    """A dark scene where the objects' outlines glow in their colour."""
    dark = clip * np.array([0.14, 0.12, 0.24], np.float32)
    colour = outline.colour / np.maximum(outline.colour.max(-1, keepdims=True), 0.25)
    tube = np.exp(-((outline.distance / NEON_TUBE) ** 2))
    glow = 0.5 * np.clip(1 - np.abs(outline.distance) / NEON_GLOW, 0, 1) ** 2
    return dark + colour * np.maximum(tube, glow)[..., None]


STYLES = {f.__name__: f for f in (flat, pixel, pencil, noir, neon)}
