"""What a clip shows: place, style, camera, and the objects with their colours, shapes and motions, from pixels alone.

The background is known by name: a clip's place is the one whose drawn examples are nearest in most pixels, and what
differs from all examples of that place is foreground. An object is the foreground of one named colour, or all of it in
a style that leaves no colours.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from world import camera
from world.draw import PALETTE, draw
from world.shapes import DISTANCES
from world.spec import CAMERAS, PLACES, ROUND_SHAPES, Scene
from world.styles import pixel_block

ROWS = 64
ROWS_FOR_PLACE = 24
EXAMPLES = 4
TEMPLATE = 40
PLAIN_PLACES = ("gray", "black", "cream")  # no camera can be told there
COLOURLESS_STYLES = ("noir", "pencil", "neon")
FAR = 26.0  # distance of colours, in the units of _lab_like, from which a pixel is foreground


@dataclass
class SeenThing:
    colour: str = ""
    shape: str = ""
    motion: str = ""
    number: int = 0  # of parts of that colour that are large
    x: float = 0.0  # its middle over the clip, in heights
    y: float = 0.0


@dataclass
class Seen:
    place: str
    style: str
    camera: str
    things: list = field(default_factory=list)  # the one with the most pixels first

    @property
    def main(self):
        return self.things[0] if self.things else SeenThing()


def shrunk(clip, rows=ROWS):
    """Area mean to about `rows` rows: [F, H, W, 3] floats."""
    step = max(1, clip.shape[1] // rows)
    frames, height, width, _ = clip.shape
    height, width = height // step * step, width // step * step
    small = clip[:, :height, :width].astype(np.float32)
    return small.reshape(frames, height // step, step, width // step, step, 3).mean((2, 4))


def _lab_like(rgb):
    """A quick opponent space in which distances follow the eye better than in RGB."""
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.stack([0.6 * (0.3 * r + 0.59 * g + 0.11 * b), r - g, 0.5 * (r + g) - b], -1)


@lru_cache(maxsize=256)
def _examples(place, style, moved, width, height, frames, rows):
    """Example backgrounds of a place in a style, under a camera: [EXAMPLES * few, h, w, 3] in _lab_like."""
    found = []
    for seed in range(EXAMPLES):
        scene = Scene(place, [], moved, style, width=width, height=height, frames=frames, seed=5000 + seed)
        found.append(_lab_like(shrunk(draw(scene)[:: max(1, frames // 4)], rows)))
    return np.concatenate(found)


def _distance_to(place, style, moved, small, size, rows):
    """Per frame and pixel, the distance to the nearest example: [F, h, w]."""
    frames, height, width = size
    target = _lab_like(small)
    nearest = np.full(target.shape[:3], 1e9, np.float32)
    for example in _examples(place, style, moved, width, height, frames, rows):
        np.minimum(nearest, np.abs(target - example).sum(-1), out=nearest)
    return nearest


def find_place(clip, style="flat"):
    size = (clip.shape[0], clip.shape[1], clip.shape[2])
    some = shrunk(clip[:: max(1, len(clip) // 4)], ROWS_FOR_PLACE)
    scores = {p: float(np.percentile(_distance_to(p, style, "still", some, size, ROWS_FOR_PLACE), 60)) for p in PLACES}
    return min(scores, key=scores.get)


def find_camera(small):
    """The camera under which the clip's first frame, middle and last best give one another; small as shrunk() leaves it.

    What a camera does over a whole clip is known (world/camera.py); here it is undone, and what lies in both views is
    compared. Large differences count no more than middling ones: they are objects.
    """
    frames, height, width, _ = small.shape
    middle, last = frames // 2, frames - 1
    y, x = np.mgrid[0:height, 0:width]
    x, y = (x + 0.5) / height - width / height / 2, (y + 0.5) / height - 0.5
    scores = dict.fromkeys(CAMERAS, 0.0)
    for name in CAMERAS:
        zoom, shift = camera.view(name, frames)
        for pair in ([0, last], [0, middle], [middle, last]):
            undone = camera.resampled(small[pair], 1 / zoom[pair], -(shift * zoom)[pair])
            inside = np.ones((height, width), bool)
            for f in pair:
                inside &= (np.abs((x - shift[f]) * zoom[f]) < width / height / 2) & (np.abs(y * zoom[f]) < 0.5)
            scores[name] += float(np.minimum(np.abs(undone[1] - undone[0]).sum(-1)[inside], 15).mean())
    return min(scores, key=scores.get)


_NAMES = list(PALETTE)
# Each colour as it is drawn: in light, plain and in shade.
_SHADES = np.array([[np.clip(np.array(PALETTE[n]) * s, 0, 255) for s in (1.04, 0.94, 0.84)] for n in _NAMES], np.float32)


def _named_colour(rgb):
    """Index of the nearest named colour of each pixel."""
    target = _lab_like(rgb)[..., None, None, :]
    distance = np.abs(target - _lab_like(_SHADES)).sum(-1).min(-1)
    return distance.argmin(-1)


def _grown(values):
    """Each pixel's largest of itself and its four neighbours."""
    out = values.copy()
    out[1:] = np.maximum(out[1:], values[:-1])
    out[:-1] = np.maximum(out[:-1], values[1:])
    out[:, 1:] = np.maximum(out[:, 1:], values[:, :-1])
    out[:, :-1] = np.maximum(out[:, :-1], values[:, 1:])
    return out


def _largest_component(mask):
    """The biggest part of a small mask, and how many parts are at least a third of it. What is at most two pixels apart,
    as a boat's sails are from its hull, is one part."""
    own, mask = mask, _grown(mask)
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        grown = np.where(mask, _grown(labels), 0)
        if (grown == labels).all():
            break
        labels = grown
    labels = np.where(own, labels, 0)
    names, counts = np.unique(labels[labels > 0], return_counts=True)
    if len(names) == 0:
        return own, 0
    biggest = counts.max()
    return labels == names[counts.argmax()], int((counts >= max(biggest / 3, 12)).sum())


def _winding(x, y):
    """Turns of a path around its own middle, in revolutions."""
    angle = np.unwrap(np.arctan2(y - (y.max() + y.min()) / 2, x - (x.max() + x.min()) / 2))
    return float(angle[-1] - angle[0]) / (2 * np.pi)


def _normalised(mask, size=TEMPLATE):
    """A mask moved to the middle and scaled to a common second moment, [size, size] booleans."""
    ys, xs = np.nonzero(mask)
    cy, cx = ys.mean(), xs.mean()
    spread = np.sqrt(((ys - cy) ** 2 + (xs - cx) ** 2).mean()) + 1e-6
    grid = (np.arange(size) + 0.5 - size / 2) / (size / 2) * 2.2 * spread
    sample_y = np.clip(np.round(cy + grid), -1, mask.shape[0]).astype(int)
    sample_x = np.clip(np.round(cx + grid), -1, mask.shape[1]).astype(int)
    padded = np.pad(mask, 1)
    return padded[np.ix_(sample_y + 1, sample_x + 1)]


@lru_cache(maxsize=1)
def _templates():
    """(shape, facing or turned, mask) for every shape and angle."""
    axis = (np.arange(96) + 0.5 - 48) / 34
    x, y = np.meshgrid(axis.astype(np.float32), axis.astype(np.float32))
    found = []
    for shape, distance in DISTANCES.items():
        for facing in (1, -1):
            for angle in np.arange(0, 360, 15) if shape not in ROUND_SHAPES else (0,):
                a = np.deg2rad(angle)
                rx, ry = (x * np.cos(a) + y * np.sin(a)) * facing, y * np.cos(a) - x * np.sin(a)
                found.append((shape, angle, _normalised(distance(rx, ry) < 0)))
    return found


def _overlap(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def find_shape(masks, turned):
    """The template with the best overlap over some frames."""
    totals = {}
    for mask in masks:
        mine = _normalised(mask)
        best = {}
        for shape, angle, template in _templates():
            if angle == 0 or turned:
                best[shape] = max(best.get(shape, 0), _overlap(mine, template))
        for shape, value in best.items():
            totals[shape] = totals.get(shape, 0) + value
    return max(totals, key=totals.get) if totals else ""


def _path_motion(x, y, area):
    """The motion that a path of the middle tells, in heights; empty when it rests."""
    range_x, range_y = np.ptp(x), np.ptp(y)
    third = max(1, len(x) // 6)
    go_x, go_y = x[-third:].mean() - x[:third].mean(), y[-third:].mean() - y[:third].mean()
    growth = np.sqrt(area[-third:].mean() / max(area[:third].mean(), 1e-6))
    steps = np.abs(np.diff(y)).sum()
    if range_x > 0.12 and range_y > 0.12 and abs(_winding(x, y)) > 0.3:
        return "circles"
    if growth > 1.3 and max(range_x, range_y) < 0.22:
        return "grows"
    if growth < 1 / 1.3 and max(range_x, range_y) < 0.22:
        return "shrinks"
    if range_y > 0.15 and range_x < 0.15 and (steps > 1.45 * abs(go_y) + 0.05):
        return "bounces"
    if abs(go_x) > 0.14 and abs(go_x) > abs(go_y):
        return "right" if go_x > 0 else "left"
    if abs(go_y) > 0.1:
        return "down" if go_y > 0 else "up"
    return "" if max(range_x, range_y) < 0.14 else "wanders"


def find_style(clip):
    some = shrunk(clip[:: max(1, len(clip) // 4)], 32)
    saturation = float((some.max(-1) - some.min(-1)).mean())
    light = float(some.mean())
    if saturation < 4 and np.std(some) > 25:
        return "noir"
    block = pixel_block(clip.shape[1])
    step = np.abs(np.diff(clip[::4].astype(np.int16), axis=2)).sum(-1).mean((0, 1))
    at_edges = step[block - 1 :: block].mean()
    if at_edges > 4 * (np.delete(step, np.s_[block - 1 :: block]).mean() + 0.05):
        return "pixel"
    if light < 55 and float(np.percentile(some.max(-1), 99)) > 110 and saturation > 8:
        return "neon"
    if light > 150 and saturation < 32 and float(np.percentile(clip.min(-1), 0.7)) < 60:
        return "pencil"
    return "flat"


def _see_thing(masks, colour, view):
    """What an object is and does; masks [F, h, w] of where its colour is, view as camera.view gives it."""
    zoom, shift = view
    parts = [_largest_component(mask) for mask in masks]
    number = int(np.median([count for _, count in parts]))
    sizes = np.array([part.sum() for part, _ in parts], np.float32)
    present = sizes > 12
    if present.mean() < 0.6:
        return SeenThing(colour, number=number)
    kept = [part for (part, _), there in zip(parts, present) if there]
    _, height, width = masks.shape
    centres = np.array([[np.nonzero(m)[1].mean(), np.nonzero(m)[0].mean()] for m in kept]) / height
    x, y = camera.in_scene(centres[:, 0], centres[:, 1], zoom[present], shift[present], width / height)
    motion = _path_motion(x, y, sizes[present] / zoom[present] ** 2)
    if motion == "":
        first = _normalised(kept[0])
        same = np.median([_overlap(first, _normalised(m)) for m in kept[len(kept) // 4 :]])
        motion = "spins" if same < 0.86 else "still"
    chosen = sorted(range(len(kept)), key=lambda k: -sizes[present][k])[: max(3, len(kept) // 2)]
    shape = find_shape([kept[k] for k in chosen[::2]], motion == "spins")
    return SeenThing(colour, shape, motion, number, float(x.mean()), float(y.mean()))


def see(clip, style="flat", moved="still"):
    """clip [F, H, W, 3] u8 -> Seen. Place and things are looked for as they look in the style and under the camera asked for."""
    place = find_place(clip, style)
    small = shrunk(clip)
    far = _distance_to(place, style, moved, small, clip.shape[:3], ROWS) > FAR
    seen = Seen(place, find_style(clip), find_camera(small))
    if far.sum() < 0.004 * far.size:
        return seen
    view = camera.view(moved, len(clip))
    if style in COLOURLESS_STYLES:
        seen.things.append(_see_thing(far, "", view))
        return seen
    names = _named_colour(small)
    votes = np.bincount(names[far], minlength=len(_NAMES))
    for colour in np.argsort(-votes)[:2]:
        if votes[colour] >= 0.004 * far.size:
            seen.things.append(_see_thing(far & (names == colour), _NAMES[colour], view))
    return seen


def parts_of(clip, place, colour):
    """The largest part of each frame that has the colour and not the place's: masks [F, h, w]."""
    small = shrunk(clip)
    far = _distance_to(place, "flat", "still", small, clip.shape[:3], ROWS) > FAR
    mine = far & (_named_colour(small) == _NAMES.index(colour))
    return np.stack([_largest_component(mask)[0] for mask in mine])


def _matched(wanted, seen):
    """The seen things in the order of the wanted ones: by colour where it is said."""
    left = list(seen)
    found = []
    for thing in wanted:
        same = [s for s in left if s.colour == thing["colour"]] or (left if not thing["colour"] else [])
        found.append(same[0] if same else SeenThing())
        left = [s for s in left if s is not found[-1]]
    return found


def judge(facts, seen):
    """Which of the caption's facts hold, seen as it asks: part -> bool. Parts not asked for are missing; of two objects both must be right."""
    marks = {}
    wanted = facts.things or [{}]
    found = _matched(wanted, seen.things) if len(wanted) > 1 else [seen.main]
    if facts.place:
        marks["place"] = seen.place == facts.place
    for part in ("colour", "shape", "motion"):
        asked = [(w[part], getattr(f, part)) for w, f in zip(wanted, found) if w.get(part)]
        if asked and not (part == "colour" and facts.style in COLOURLESS_STYLES):
            marks[part] = all(a == b for a, b in asked)
    marks["number"] = [f.number for f in found] == [1] * len(found)
    if facts.relation and len(found) == 2:
        axis = "x" if facts.relation in ("left_of", "right_of") else "y"
        first, second = (getattr(thing, axis) for thing in found)
        marks["order"] = first < second if facts.relation in ("left_of", "above") else first > second
    if facts.style:
        marks["style"] = seen.style == facts.style
    if facts.camera and facts.place not in PLAIN_PLACES:
        marks["camera"] = seen.camera == facts.camera
    marks["all"] = all(right for part, right in marks.items() if part != "number")
    return marks
