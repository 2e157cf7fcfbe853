"""Signed distances of the objects, in units of the object's radius: negative inside, y down."""

import numpy as np


def _box(x, y, cx, cy, half_w, half_h, round_by=0.0):
    dx = np.abs(x - cx) - (half_w - round_by)
    dy = np.abs(y - cy) - (half_h - round_by)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return outside + np.minimum(np.maximum(dx, dy), 0) - round_by


def _disc(x, y, cx, cy, radius):
    return np.hypot(x - cx, y - cy) - radius


def _polygon(x, y, points, round_by=0.0):
    """Distance to a simple polygon, by its edges, with the crossing rule for the sign."""
    squared = np.full(x.shape, 1e9, np.float32)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1]):
        ex, ey = bx - ax, by - ay
        along = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        squared = np.minimum(squared, (x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2)
        if ay != by:
            crosses = (ay > y) != (by > y)
            inside ^= crosses & (x < ax + (y - ay) * ex / ey)
    distance = np.sqrt(squared)
    return np.where(inside, -distance, distance) - round_by


def _star_points():
    points = []
    for k in range(10):
        radius = 1.24 if k % 2 == 0 else 0.5
        angle = np.pi * k / 5 - np.pi / 2
        points.append((radius * np.cos(angle), radius * np.sin(angle) + 0.08))
    return points


def ball(x, y):
    return _disc(x, y, 0, 0, 0.95)


def square(x, y):
    return _box(x, y, 0, 0, 0.82, 0.82, 0.1)


def triangle(x, y):
    return _polygon(x, y, [(0.0, -0.92), (0.96, 0.72), (-0.96, 0.72)], 0.06)


def star(x, y):
    return _polygon(x, y, _star_points(), 0.05)


def heart(x, y):
    ax, y = np.abs(x) * 0.62, 0.55 - y * 0.62
    lobe = np.hypot(ax - 0.25, y - 0.75) - 0.3536
    corner = np.hypot(ax, y - 1.0)
    half = 0.5 * np.maximum(ax + y, 0)
    side = np.minimum(corner, np.hypot(ax - half, y - half)) * np.sign(ax - y)
    return np.where(y + ax > 1.0, lobe, side) / 0.62


def ring(x, y):
    return np.abs(np.hypot(x, y) - 0.7) - 0.25


def fish(x, y):
    body = (np.hypot((x - 0.12) / 0.8, y / 0.52) - 1) * 0.52
    tail = _polygon(x, y, [(-0.5, 0.0), (-1.0, -0.5), (-1.0, 0.5)], 0.03)
    return np.minimum(body, tail)


def boat(x, y):
    hull = _polygon(x, y, [(-0.98, 0.3), (0.98, 0.3), (0.6, 0.82), (-0.6, 0.82)], 0.03)
    sail = _polygon(x, y, [(-0.05, -0.95), (-0.05, 0.15), (0.75, 0.15)], 0.03)
    jib = _polygon(x, y, [(-0.2, -0.7), (-0.2, 0.15), (-0.72, 0.15)], 0.03)
    return np.minimum(hull, np.minimum(sail, jib))


def bird(x, y):
    body = (np.hypot(x / 0.62, (y - 0.15) / 0.34) - 1) * 0.34
    head = _disc(x, y, 0.58, -0.1, 0.25)
    beak = _polygon(x, y, [(0.78, -0.2), (1.08, -0.06), (0.78, 0.04)], 0.02)
    wing = _polygon(x, y, [(-0.4, 0.1), (0.25, 0.1), (-0.35, -0.85)], 0.05)
    tail = _polygon(x, y, [(-0.45, 0.15), (-1.0, -0.12), (-0.95, 0.3)], 0.03)
    return np.minimum(np.minimum(np.minimum(body, head), np.minimum(beak, wing)), tail)


def car(x, y):
    body = _box(x, y, 0, 0.18, 1.0, 0.3, 0.12)
    cabin = _polygon(x, y, [(-0.6, -0.1), (-0.36, -0.52), (0.3, -0.52), (0.62, -0.1)], 0.06)
    wheels = np.minimum(_disc(x, y, -0.52, 0.5, 0.24), _disc(x, y, 0.52, 0.5, 0.24))
    return np.minimum(np.minimum(body, cabin), wheels)


DISTANCES = {f.__name__: f for f in (ball, square, triangle, star, heart, ring, fish, boat, bird, car)}
