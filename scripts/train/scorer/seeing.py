"""What a clip shows: place, objects, their colour, shape and motion, and the style, from pixels alone.

The background is known by name: a clip's place is the one whose drawn examples are nearest in most pixels, and what
differs from all examples of that place is foreground. An object is the foreground of one named colour.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from world.draw import PALETTE, draw
from world.shapes import DISTANCES
from world.spec import PLACES, ROUND_SHAPES, Scene

ROWS = 64
ROWS_FOR_PLACE = 24
EXAMPLES = 4
TEMPLATE = 40
FAR = 26.0  # distance of colours, in the units of _lab_like, from which a pixel is foreground


@dataclass
class Seen:
    place: str
    colour: str
    shape: str
    motion: str
    style: str
    number: int
    area: float = 0.0


def _shrink(clip, rows=ROWS):
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


@lru_cache(maxsize=64)
def _examples(place, width, height, frames, rows):
    """Example backgrounds of a place, [EXAMPLES * few, h, w, 3] in _lab_like."""
    found = []
    for seed in range(EXAMPLES):
        scene = Scene(place, [], width=width, height=height, frames=frames, seed=5000 + seed)
        found.append(_lab_like(_shrink(draw(scene)[:: max(1, frames // 4)], rows)))
    return np.concatenate(found)


def _distance_to(place, small, size, rows):
    """Per frame and pixel, the distance to the nearest example: [F, h, w]."""
    frames, height, width = size
    target = _lab_like(small)
    nearest = np.full(target.shape[:3], 1e9, np.float32)
    for example in _examples(place, width, height, frames, rows):
        np.minimum(nearest, np.abs(target - example).sum(-1), out=nearest)
    return nearest


def find_place(clip):
    size = (clip.shape[0], clip.shape[1], clip.shape[2])
    some = _shrink(clip[:: max(1, len(clip) // 4)], ROWS_FOR_PLACE)
    scores = {p: float(np.percentile(_distance_to(p, some, size, ROWS_FOR_PLACE), 60)) for p in PLACES}
    return min(scores, key=scores.get)


_NAMES = list(PALETTE)
# Each colour as it is drawn: in light, plain and in shade.
_SHADES = np.array([[np.clip(np.array(PALETTE[n]) * s, 0, 255) for s in (1.04, 0.94, 0.84)] for n in _NAMES], np.float32)


def _named_colour(rgb):
    """Index of the nearest named colour of each pixel."""
    target = _lab_like(rgb)[..., None, None, :]
    distance = np.abs(target - _lab_like(_SHADES)).sum(-1).min(-1)
    return distance.argmin(-1)


def _largest_component(mask):
    """The biggest 4-connected part of a small mask, and how many parts are at least a third of it."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        grown = labels.copy()
        grown[1:] = np.maximum(grown[1:], labels[:-1])
        grown[:-1] = np.maximum(grown[:-1], labels[1:])
        grown[:, 1:] = np.maximum(grown[:, 1:], labels[:, :-1])
        grown[:, :-1] = np.maximum(grown[:, :-1], labels[:, 1:])
        grown = np.where(mask, grown, 0)
        if (grown == labels).all():
            break
        labels = grown
    names, counts = np.unique(labels[labels > 0], return_counts=True)
    if len(names) == 0:
        return mask, 0
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
    some = _shrink(clip[:: max(1, len(clip) // 4)], 32)
    saturation = float((some.max(-1) - some.min(-1)).mean())
    light = float(some.mean())
    if saturation < 4 and np.std(some) > 25:
        return "noir"
    block = max(2, clip.shape[1] // 32)
    step = np.abs(np.diff(clip[::4].astype(np.int16), axis=2)).sum(-1).mean((0, 1))
    at_edges = step[block - 1 :: block].mean()
    if at_edges > 4 * (np.delete(step, np.s_[block - 1 :: block]).mean() + 0.05):
        return "pixel"
    if light < 55 and float(np.percentile(some.max(-1), 99)) > 110 and saturation > 8:
        return "neon"
    if light > 150 and saturation < 32 and float(np.percentile(clip.min(-1), 0.7)) < 60:
        return "pencil"
    return "flat"


def see(clip):
    """clip [F, H, W, 3] u8 -> Seen, of the main object."""
    place = find_place(clip)
    small = _shrink(clip)
    far = _distance_to(place, small, clip.shape[:3], ROWS) > FAR
    names = _named_colour(small)
    votes = np.bincount(names[far], minlength=len(_NAMES))
    style = find_style(clip)
    if votes.sum() < 0.004 * far.size:
        return Seen(place, "", "", "", style, 0)
    colour = int(votes.argmax())
    height = small.shape[1]
    masks, counts = [], []
    for f in range(len(small)):
        mask, count = _largest_component(far[f] & (names[f] == colour))
        masks.append(mask)
        counts.append(count)
    sizes = np.array([m.sum() for m in masks], np.float32)
    present = sizes > 12
    if present.mean() < 0.6:
        return Seen(place, _NAMES[colour], "", "", style, int(np.median(counts)), float(sizes.mean() / far[0].size))
    centres = np.array([[np.nonzero(m)[1].mean(), np.nonzero(m)[0].mean()] for m, p in zip(masks, present) if p])
    x, y = centres[:, 0] / height, centres[:, 1] / height
    kept = [m for m, p in zip(masks, present) if p]
    motion = _path_motion(x, y, sizes[present])
    if motion == "":
        first = _normalised(kept[0])
        same = np.median([_overlap(first, _normalised(m)) for m in kept[len(kept) // 4 :]])
        motion = "spins" if same < 0.86 else "still"
    chosen = sorted(range(len(kept)), key=lambda k: -sizes[present][k])[: max(3, len(kept) // 2)]
    shape = find_shape([kept[k] for k in chosen[::2]], motion == "spins")
    return Seen(place, _NAMES[colour], shape, motion, style, int(np.median(counts)), float(sizes.mean() / far[0].size))


def judge(facts, seen):
    """Which of the caption's facts hold, for captions of one object: part -> bool. Parts not asked for are missing."""
    thing = facts.things[0] if facts.things else {}
    parts = {"place": facts.place, **{k: thing.get(k, "") for k in ("colour", "shape", "motion")}}
    marks = {part: getattr(seen, part) == wanted for part, wanted in parts.items() if wanted}
    marks["number"] = seen.number == max(1, len(facts.things))
    if facts.style:
        marks["style"] = seen.style == facts.style
    marks["all"] = all(marks[p] for p in ("place", "colour", "shape", "motion") if p in marks)
    return marks
