"""Draws a scene: [F, H, W, 3] bytes, the same bytes for the same scene."""

import numpy as np

from . import camera, scenery, styles
from .motion import path
from .shapes import DISTANCES
from .spec import Scene

PALETTE = {
    "red": (222, 40, 44), "orange": (245, 140, 30), "yellow": (248, 214, 46), "green": (46, 160, 72),
    "blue": (38, 92, 214), "purple": (134, 62, 186), "pink": (246, 130, 180), "white": (246, 246, 246),
    "black": (26, 26, 30),
}


def _background(scene, zoom, shift):
    rng = np.random.default_rng([scene.seed, 1])
    margin = int(np.ceil(camera.REACH * scene.height / 2)) * 2 if scene.camera.startswith("pan") else 0
    canvas = scenery.Canvas(scene.frames, scene.height, scene.width + 2 * margin, scene.before)
    scenery.PLACES[scene.place](canvas, rng)
    if scene.camera == "still":
        return canvas.clip
    return camera.resampled(canvas.clip, zoom, shift)[:, :, margin : margin + scene.width]


def _draw_thing(clip, outline, thing, scene, zoom, shift):
    frames, height, width, _ = clip.shape
    xs, ys, radii, angles, facing = path(thing, scene)
    xs, ys, radii = camera.seen(xs, ys, radii, zoom, shift, width / height)
    base = np.array(PALETTE[thing.colour], np.float32) / 255
    for f in range(frames):
        r = radii[f]
        reach = max(1.45 * r, 1.3 * r + styles.NEON_GLOW)  # as far as the shadow and the glow go
        r0, r1 = int((ys[f] - reach) * height), int((ys[f] + reach) * height) + 2
        c0, c1 = int((xs[f] - reach) * height), int((xs[f] + reach) * height) + 2
        rows, cols = slice(max(r0, 0), max(r1, 0)), slice(max(c0, 0), max(c1, 0))
        part = clip[f, rows, cols]
        if part.size == 0:
            continue
        x = ((np.arange(part.shape[1], dtype=np.float32) + cols.start + 0.5) / height - xs[f])[None, :] / r
        y = ((np.arange(part.shape[0], dtype=np.float32) + rows.start + 0.5) / height - ys[f])[:, None] / r
        distance_of = DISTANCES[thing.shape]
        cos, sin = np.cos(angles[f]), np.sin(angles[f])

        def local(px, py):
            return (px * cos + py * sin) * facing, py * cos - px * sin

        x, y = np.broadcast_arrays(x, y)
        shadow = distance_of(*local(x - 0.1, y - 0.16))
        part *= 1 - 0.3 * np.clip(0.5 - shadow / 0.36, 0, 1)[..., None]
        distance = distance_of(*local(x, y))
        alpha = np.clip(0.5 - distance * r * height, 0, 1)
        light = 1.06 - 0.1 * y - 0.06 * x - 0.16 * np.clip(1 + distance / 0.3, 0, 1)
        shine = np.clip(1 - np.hypot(x + 0.3, y + 0.38) / 0.5, 0, 1) ** 2 * 0.3
        colour = base * light[..., None] + (1 - base) * shine[..., None]
        part += alpha[..., None] * (np.clip(colour, 0, 1) - part)
        cover = outline.coverage[f, rows, cols]
        np.maximum(cover, alpha, out=cover)
        away = outline.distance[f, rows, cols]
        nearer = distance * r < away
        away[nearer] = (distance * r)[nearer]
        outline.colour[f, rows, cols][nearer] = base


def draw(scene: Scene):
    """The scene's frames, [F, H, W, 3] u8."""
    return draw_with_coverage(scene)[0]


def draw_with_coverage(scene: Scene):
    """The frames, and how much of each pixel objects cover, [F, H, W] in 0..1."""
    zoom, shift = camera.view_of(scene)
    clip = _background(scene, zoom, shift)
    outline = styles.Outline(clip.shape)
    for thing in scene.things:
        _draw_thing(clip, outline, thing, scene, zoom, shift)
    clip = styles.STYLES[scene.style](clip, outline)
    return (np.clip(clip, 0, 1) * 255 + 0.5).astype(np.uint8), outline.coverage
