"""The places: smooth, gently moving backgrounds. Every function fills [F, H, W, 3] floats in 0..1.

Stars and flakes sit in the same pattern always: what does not follow from the words costs a model much to learn.
"""

import numpy as np

NIGHT_STARS = 12
SNOW_FLAKES = 10


def _rgb(r, g, b):
    return np.array([r, g, b], np.float32) / 255


def _vertical(height, stops):
    """Colours along y, linear between (position, colour) stops: [H, 1, 3]."""
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    at = [s[0] for s in stops]
    return np.stack([np.interp(y, at, [s[1][c] for s in stops]) for c in range(3)], -1)[:, None].astype(np.float32)


def _soft(x, width):
    return np.clip(x / width + 0.5, 0, 1)


class Canvas:
    """Pixel coordinates in heights, and blending into the clip."""

    def __init__(self, frames, height, width, before=0):
        self.frames, self.height, self.width = frames, height, width
        self.aspect = width / height
        self.pixel = 1.0 / height
        self.x = ((np.arange(width, dtype=np.float32) + 0.5) / height)[None, :]
        self.y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
        self.t = np.arange(before, before + frames, dtype=np.float32) / 16
        self.clip = np.empty((frames, height, width, 3), np.float32)

    def fill(self, image):
        self.clip[:] = image

    def blend_frame(self, frame, rows, cols, alpha, colour):
        part = self.clip[frame, rows, cols]
        part += alpha[..., None] * (colour - part)

    def blob(self, frame, cx, cy, rx, ry, colour, strength, softness):
        """A soft ellipse on one frame."""
        reach = 1 + softness / 2
        r0, r1 = int((cy - ry * reach) * self.height), int((cy + ry * reach) * self.height) + 2
        c0, c1 = int((cx - rx * reach) * self.height), int((cx + rx * reach) * self.height) + 2
        rows, cols = slice(max(r0, 0), max(r1, 0)), slice(max(c0, 0), max(c1, 0))
        x, y = self.x[:, cols], self.y[rows]
        if x.size == 0 or y.size == 0:
            return
        distance = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
        self.blend_frame(frame, rows, cols, strength * _soft(1 - distance, softness), colour)


def _cloud(canvas, frame, x, y, size, colour, strength=0.85):
    for dx, dy, s in ((-0.62, 0.05, 0.62), (0.0, -0.12, 0.85), (0.62, 0.06, 0.6)):
        canvas.blob(frame, x + dx * size, y + dy * size, s * size, s * size * 0.55, colour, strength, 0.5)


def _clouds(canvas, rng, count, top, bottom, colour, strength=0.85):
    span = canvas.aspect + 0.6
    for k in range(count):
        x0 = (k + rng.uniform(0.4, 0.6)) * span / count
        y = top + (bottom - top) * ((k * 0.618 + 0.15) % 1) + rng.uniform(-0.03, 0.03)
        size, speed = 0.16 + 0.05 * (k % 2), 0.04
        for f, t in enumerate(canvas.t):
            _cloud(canvas, f, (x0 + speed * t) % span - 0.3, y, size, colour, strength)


def sky(canvas, rng):
    canvas.fill(_vertical(canvas.height, [(0, _rgb(96, 168, 232)), (1, _rgb(190, 226, 248))]))
    _clouds(canvas, rng, 3, 0.12, 0.85, _rgb(250, 252, 255))


def sea(canvas, rng):
    horizon = 0.4
    canvas.fill(_vertical(canvas.height, [(0, _rgb(150, 206, 240)), (horizon, _rgb(214, 236, 246)),
                                          (horizon + 0.01, _rgb(34, 122, 168)), (1, _rgb(12, 70, 122))]))
    rows = slice(int(horizon * canvas.height) + 1, canvas.height)
    depth = (canvas.y[rows] - horizon) / (1 - horizon)
    phase = rng.uniform(0, 6.28)
    for share, size in ((0.2, 0.7), (0.76, 1.0)):  # islands, without which no one sees the camera pan
        x0 = canvas.aspect * share
        land = horizon - 0.075 * size * np.exp(-(((canvas.x - x0) / (0.17 * size)) ** 2)) + 0.008
        mask = _soft(canvas.y - land, 2.5 * canvas.pixel) * _soft(horizon - canvas.y, 2.5 * canvas.pixel)
        canvas.clip += mask[None, ..., None] * (_rgb(104, 152, 146) - canvas.clip)
    light = _rgb(120, 200, 220)
    bands = 26 * np.sqrt(depth + 0.03)
    for f, t in enumerate(canvas.t):
        wave = np.sin(bands + 0.5 * np.sin(canvas.x * 5 + 1.2 * t + phase) - 2.2 * t)
        alpha = 0.32 * np.clip(wave, 0, 1) ** 2 * (0.25 + depth)
        canvas.blend_frame(f, rows, slice(None), alpha, light)


def _hills(canvas, rng, base, height, colour_top, colour_bottom, sway=0.0):
    phase = rng.uniform(0, 6.28)
    edge = base + height * np.sin(canvas.x * 2.6 + phase)
    mask = _soft(canvas.y - edge, 2.5 * canvas.pixel)
    shade = _vertical(canvas.height, [(base - height, colour_top), (1, colour_bottom)])
    canvas.clip += mask[None, ..., None] * (shade - canvas.clip)
    return edge


def meadow(canvas, rng):
    canvas.fill(_vertical(canvas.height, [(0, _rgb(132, 196, 240)), (0.5, _rgb(222, 240, 248))]))
    _clouds(canvas, rng, 2, 0.1, 0.25, _rgb(250, 252, 255))
    _hills(canvas, rng, 0.48, 0.03, _rgb(112, 180, 92), _rgb(90, 160, 76))
    _hills(canvas, rng, 0.6, 0.035, _rgb(122, 196, 84), _rgb(62, 138, 52))
    phase = rng.uniform(0, 6.28)
    rows = slice(int(0.66 * canvas.height), canvas.height)
    depth = np.clip((canvas.y[rows] - 0.66) / 0.2, 0, 1)
    for f, t in enumerate(canvas.t):
        breeze = np.sin(canvas.x * 7 - 1.6 * t + phase) * np.sin(canvas.y[rows] * 13 + 0.7 * t)
        canvas.blend_frame(f, rows, slice(None), 0.2 * depth * np.clip(breeze, 0, 1), _rgb(176, 226, 110))


def night(canvas, rng):
    canvas.fill(_vertical(canvas.height, [(0, _rgb(12, 16, 48)), (1, _rgb(44, 50, 104))]))
    moon_x, moon_y = canvas.aspect * rng.uniform(0.8, 0.88), rng.uniform(0.15, 0.2)
    fixed = np.random.default_rng(3)
    spots = fixed.uniform(0.04, 0.96, (NIGHT_STARS, 2))
    phases = fixed.uniform(0, 6.28, NIGHT_STARS)
    for f, t in enumerate(canvas.t):
        for (sx, sy), phase in zip(spots, phases):
            glow = 0.55 + 0.35 * np.sin(2.5 * t + phase)
            canvas.blob(f, sx * canvas.aspect, sy, 0.02, 0.02, _rgb(250, 248, 220), glow, 1.0)
        canvas.blob(f, moon_x, moon_y, 0.16, 0.16, _rgb(150, 155, 190), 0.25, 1.6)
        canvas.blob(f, moon_x, moon_y, 0.075, 0.075, _rgb(246, 242, 214), 0.95, 0.15)


def desert(canvas, rng):
    canvas.fill(_vertical(canvas.height, [(0, _rgb(120, 186, 226)), (0.5, _rgb(250, 226, 178))]))
    sun_x = canvas.aspect * rng.uniform(0.14, 0.22)
    for f, t in enumerate(canvas.t):
        canvas.blob(f, sun_x, 0.17, 0.17 + 0.01 * np.sin(2 * t), 0.17 + 0.01 * np.sin(2 * t),
                    _rgb(255, 240, 190), 0.5, 1.6)
        canvas.blob(f, sun_x, 0.17, 0.07, 0.07, _rgb(255, 246, 214), 0.95, 0.2)
    _hills(canvas, rng, 0.52, 0.045, _rgb(232, 184, 112), _rgb(222, 164, 92))
    edge = _hills(canvas, rng, 0.7, 0.05, _rgb(236, 192, 120), _rgb(198, 138, 72))
    rows = slice(int(0.72 * canvas.height), canvas.height)
    depth = np.clip((canvas.y[rows] - edge - 0.05) / 0.2, 0, 1)
    for f, t in enumerate(canvas.t):
        ripple = np.sin((canvas.y[rows] - edge) * 48 + 0.6 * np.sin(canvas.x * 4) - 0.8 * t)
        canvas.blend_frame(f, rows, slice(None), 0.16 * depth * np.clip(ripple, 0, 1), _rgb(250, 220, 160))


def snow(canvas, rng):
    canvas.fill(_vertical(canvas.height, [(0, _rgb(150, 176, 204)), (0.6, _rgb(206, 220, 234))]))
    _hills(canvas, rng, 0.62, 0.03, _rgb(222, 232, 242), _rgb(232, 240, 247))
    _hills(canvas, rng, 0.76, 0.035, _rgb(240, 245, 250), _rgb(220, 230, 242))
    fixed = np.random.default_rng(4)
    flakes = fixed.uniform(0, 1, (SNOW_FLAKES, 2))
    speeds = fixed.uniform(0.08, 0.12, SNOW_FLAKES)
    for f, t in enumerate(canvas.t):
        for (fx, fy), speed in zip(flakes, speeds):
            x = fx * canvas.aspect + 0.02 * np.sin(1.5 * t + 9 * fy)
            canvas.blob(f, x, (fy + speed * t) % 1.1 - 0.05, 0.028, 0.028, _rgb(252, 253, 255), 0.9, 1.0)


def _plain(canvas, rng, low, high):
    canvas.fill(_vertical(canvas.height, [(0, high), (1, low)]))
    reach = canvas.aspect * 0.9
    x0 = rng.uniform(0, 6.28)
    for f, t in enumerate(canvas.t):
        wide = np.exp(-((canvas.x - canvas.aspect * (0.5 + 0.25 * np.sin(0.8 * t + x0))) / (0.5 * reach)) ** 2
                      - ((canvas.y - 0.35) / 0.6) ** 2)
        canvas.clip[f] += 0.045 * wide[..., None]


def gray(canvas, rng):
    _plain(canvas, rng, _rgb(126, 126, 128), _rgb(158, 158, 160))


def black(canvas, rng):
    _plain(canvas, rng, _rgb(10, 10, 12), _rgb(26, 26, 30))


def cream(canvas, rng):
    _plain(canvas, rng, _rgb(236, 222, 190), _rgb(248, 240, 218))


PLACES = {f.__name__: f for f in (sky, sea, meadow, night, desert, snow, gray, black, cream)}
