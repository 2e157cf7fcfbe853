"""Where an object is at each frame: centre, radius and turn, by the motion's name."""

import numpy as np

FRAMES_PER_BOUNCE = {"slowly": 34, "normal": 24, "quickly": 18}
FRAMES_PER_CIRCLE = {"slowly": 56, "normal": 40, "quickly": 28}
FRAMES_PER_SPIN = {"slowly": 96, "normal": 72, "quickly": 48}


def path(thing, scene):
    """Arrays over the scene's frames: x, y (heights), radius (heights), angle (radians); and facing (+1 or -1)."""
    *over_frames, facing = _whole_path(thing, scene.length)
    return *(values[scene.before :][: scene.frames] for values in over_frames), facing


def _whole_path(thing, frames):
    u = np.arange(frames, dtype=np.float32) / max(frames - 1, 1)
    t = np.arange(frames, dtype=np.float32)
    x = np.full(frames, thing.centre[0], np.float32)
    y = np.full(frames, thing.centre[1], np.float32)
    radius = np.full(frames, thing.radius, np.float32)
    angle = np.zeros(frames, np.float32)
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
        radius = radius * (least + (1 - least) * amount)
    return x, y, radius, angle, facing
