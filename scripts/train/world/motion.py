"""Where an object is at each frame: centre, radius and turn, by the motion's name."""

import numpy as np

FRAMES_PER_BOUNCE = {"slowly": 34, "normal": 24, "quickly": 18}
FRAMES_PER_CIRCLE = {"slowly": 56, "normal": 40, "quickly": 28}
FRAMES_PER_SPIN = {"slowly": 96, "normal": 72, "quickly": 48}
RELATIVE_RADII = 0.12, 1.4  # within which a thing goes on to shrink and grow


def path(thing, scene):
    """Arrays over the scene's frames: x, y (heights), radius (heights), angle (radians); and facing (+1 or -1)."""
    t = np.arange(scene.before, scene.before + scene.frames, dtype=np.float32)
    u = t / max(scene.length - 1, 1)
    x = np.full(len(t), thing.centre[0], np.float32)
    y = np.full(len(t), thing.centre[1], np.float32)
    radius = np.full(len(t), thing.radius, np.float32)
    angle = np.zeros(len(t), np.float32)
    facing = 1.0
    slide = thing.travel * (u - 0.5)
    if thing.motion == "left":
        x, facing = x - slide, -1.0
    elif thing.motion == "right":
        x = x + slide
    elif thing.motion == "up":
        y = y - slide
    elif thing.motion == "down":
        y = y + slide
    elif thing.motion == "bounces":
        swing = (t / FRAMES_PER_BOUNCE[thing.speed] + 0.62 + thing.phase) % 1.0
        y = y - thing.travel * 4 * swing * (1 - swing)
    elif thing.motion == "circles":
        a = 2 * np.pi * t / FRAMES_PER_CIRCLE[thing.speed] + thing.phase * 3 - np.pi / 2
        x, y = x + thing.travel * np.cos(a), y + thing.travel * np.sin(a)
    elif thing.motion == "spins":
        angle = 2 * np.pi * t / FRAMES_PER_SPIN[thing.speed] + thing.phase
    elif thing.motion in ("grows", "shrinks"):
        least = {"slowly": 0.55, "normal": 0.4, "quickly": 0.3}[thing.speed]
        amount = u if thing.motion == "grows" else 1 - u
        radius = radius * (least + (1 - least) * amount).clip(*RELATIVE_RADII)
    return x, y, radius, angle, facing
