"""A scene as data: everything the drawing and the captions need, drawn at random from a seed.

Lengths are in units of the canvas height, so a scene looks the same at every resolution. A scene is low in
entropy on purpose: where an object starts and how far it goes follow from the motion's name, with a little
jitter, because a small model learns a narrow distribution quickly and draws it well.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

SIMPLE_SHAPES = ("ball", "square", "triangle", "star", "heart", "ring")
SILHOUETTES = ("fish", "boat", "bird", "car")
SHAPES = SIMPLE_SHAPES + SILHOUETTES
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black")
MOTIONS = ("left", "right", "up", "down", "bounces", "circles", "spins", "grows", "shrinks", "still")
SPEEDS = ("slowly", "normal", "quickly")
PLACES = ("sky", "sea", "meadow", "night", "desert", "snow", "gray", "black", "cream")
CAMERAS = ("still", "zoom_in", "zoom_out", "pan_left", "pan_right")
STYLES = ("flat", "pixel", "pencil", "noir", "neon")
RELATIONS = ("left_of", "above")

# Colours that a place would swallow.
HIDDEN_COLOURS = {
    "sky": ("blue", "white"),
    "sea": ("blue",),
    "meadow": ("green",),
    "night": ("black", "blue"),
    "desert": ("orange", "yellow"),
    "snow": ("white",),
    "gray": (),
    "black": ("black",),
    "cream": ("white", "yellow"),
}
# Turning one of these on the spot shows nothing.
ROUND_SHAPES = ("ball", "ring")
FRAMES_TO_CROSS = 32


@dataclass
class Thing:
    shape: str
    colour: str
    motion: str
    speed: str
    radius: float
    centre: tuple
    phase: float = 0.0
    travel: float = 0.0


@dataclass
class Scene:
    place: str
    things: list
    camera: str = "still"
    style: str = "flat"
    relation: str = ""
    width: int = 224
    height: int = 128
    frames: int = 33
    seed: int = 0
    # The frames may be a part of a clip: this many of it came before them, and so many has all of it. What moves moves on
    # after its end.
    before: int = 0
    whole: int = 0

    @property
    def length(self):
        return self.whole or self.frames

    @property
    def aspect(self):
        return self.width / self.height


@dataclass
class World:
    """Which part of the whole world scenes are drawn from."""

    shapes: tuple = SHAPES
    styled: float = 0.0
    moving_camera: float = 0.0
    pairs: float = 0.0
    stacked: bool = False  # pairs stand one above the other; else side by side, and either way where the canvas is not wide
    speeds: bool = True
    motions: tuple = field(default=MOTIONS)


def is_held_out(shape, colour, motion, place):
    """One combination in ten is kept out of training, by a hash that never changes."""
    key = f"{shape}/{colour}/{motion}/{place}".encode()
    return hashlib.sha256(key).digest()[0] < 26


def is_possible(shape, colour, motion, place):
    return colour not in HIDDEN_COLOURS[place] and not (motion == "spins" and shape in ROUND_SHAPES)


def _choose(rng, options):
    return options[int(rng.integers(len(options)))]


def _place_thing(rng, thing, aspect, area, frames):
    """Sets where the thing is, by its motion. `area` is (left, top, right, bottom) in heights."""
    left, top, right, bottom = area
    width, height = right - left, bottom - top
    speed = {"slowly": 0.55, "normal": 0.8, "quickly": 1.0}[thing.speed]
    speed *= min(1.0, (frames - 1) / FRAMES_TO_CROSS) ** 0.7  # a short clip shows part of the way
    small = min(width, height)
    thing.radius = float(rng.uniform(0.2, 0.26)) * small
    if thing.motion in ("grows", "shrinks"):
        thing.radius = float(rng.uniform(0.25, 0.29)) * small
    if thing.motion in ("up", "down", "bounces", "circles"):
        thing.radius = float(rng.uniform(0.18, 0.22)) * small
    thing.phase = float(rng.uniform(-0.15, 0.15))
    jitter_x, jitter_y = rng.uniform(-1, 1, 2)
    x, y = (left + right) / 2, (top + bottom) / 2
    free_x, free_y = width / 2 - thing.radius, height / 2 - thing.radius
    if thing.motion in ("left", "right"):
        thing.travel = speed * 2 * free_x * 0.92
        x += jitter_x * (free_x - thing.travel / 2) * 0.5
        y += jitter_y * 0.35 * free_y
    elif thing.motion in ("up", "down"):
        thing.travel = speed * 2 * free_y * 0.96
        x += jitter_x * 0.35 * free_x
        y += jitter_y * (free_y - thing.travel / 2) * 0.5
    elif thing.motion == "circles":
        thing.travel = min(free_x, free_y) * 0.85
        x += jitter_x * 0.25 * (free_x - thing.travel)
    elif thing.motion == "bounces":
        thing.travel = 2 * free_y * 0.7
        y = bottom - thing.radius - 0.04 * height
        x += jitter_x * 0.35 * free_x
    else:
        x += jitter_x * 0.35 * free_x
        y += jitter_y * 0.25 * free_y
    thing.centre = (float(x), float(y))


def random_thing(rng, place, world, shape=None, colour=None, motion=None, held_out=False):
    """A thing whose combination is trained on, or one that is held out."""
    while True:
        s = shape or _choose(rng, world.shapes)
        c = colour or _choose(rng, COLOURS)
        m = motion or _choose(rng, world.motions)
        if is_possible(s, c, m, place) and is_held_out(s, c, m, place) == held_out:
            break
    speed = "normal"
    if world.speeds and m != "still" and rng.random() < 0.3:
        speed = _choose(rng, ("slowly", "quickly"))
    return Thing(s, c, m, speed, 0.2, (0.5, 0.5))


def random_scene(seed, world, width=224, height=128, frames=33, held_out=False, place=None, part=None):
    """The scene of a seed: the same seed and world give the same scene. `part`: (frames before, frames of the whole clip);
    with a moving camera, which stops where the clip ends, the last frames at the most."""
    rng = np.random.default_rng([seed, 77])
    scene = Scene(place or _choose(rng, PLACES), [], width=width, height=height, frames=frames, seed=seed)
    if rng.random() < world.moving_camera:
        scene.camera = _choose(rng, CAMERAS[1:])
    if rng.random() < world.styled:
        scene.style = _choose(rng, STYLES[1:])
    if part:
        scene.before, scene.whole = part
        if scene.camera != "still":
            scene.whole = max(scene.whole, frames)
            scene.before = min(scene.before, scene.whole - frames)
    aspect = scene.aspect
    if rng.random() < world.pairs:
        if world.stacked:
            scene.relation = "above"
        else:
            scene.relation = _choose(rng, RELATIONS) if aspect < 1.2 else "left_of"
        if scene.relation == "left_of":
            areas = [(0, 0, aspect / 2, 1), (aspect / 2, 0, aspect, 1)]
        else:
            areas = [(0, 0, aspect, 0.5), (0, 0.5, aspect, 1)]
        for area in areas:
            thing = random_thing(rng, scene.place, world, held_out=held_out)
            while scene.things and thing.colour == scene.things[0].colour:
                thing = random_thing(rng, scene.place, world, held_out=held_out)
            _place_thing(rng, thing, aspect, area, scene.length)
            scene.things.append(thing)
    else:
        thing = random_thing(rng, scene.place, world, held_out=held_out)
        _place_thing(rng, thing, aspect, (0, 0, aspect, 1), scene.length)
        scene.things.append(thing)
    return scene
