"""The camera: how it moves over a scene, and what of the scene it sees."""

import numpy as np

REACH = 0.22  # heights that it pans to either side


def view_of(scene):
    """What view() gives, for the scene's frames; after the end of the clip that they are a part of the camera rests."""
    frames = np.minimum(np.arange(scene.before, scene.before + scene.frames), scene.length - 1)
    return tuple(values[frames] for values in view(scene.camera, scene.length))


def view(name, frames):
    """Per frame of a camera of spec.CAMERAS: zoom, and the view's shift in heights to the right."""
    u = np.linspace(0, 1, frames, dtype=np.float32)
    zoom, shift = np.ones_like(u), np.zeros_like(u)
    if name == "zoom_in":
        zoom = 1 + 0.45 * u
    elif name == "zoom_out":
        zoom = 1.45 - 0.45 * u
    elif name == "pan_left":
        shift = -REACH * (u - 0.5) * 2
    elif name == "pan_right":
        shift = REACH * (u - 0.5) * 2
    return zoom, shift


def seen(xs, ys, radii, zoom, shift, aspect):
    """Where the camera sees what is at (xs, ys) with these radii, per frame, in heights."""
    return (xs - aspect / 2 - shift) * zoom + aspect / 2, (ys - 0.5) * zoom + 0.5, radii * zoom


def in_scene(xs, ys, zoom, shift, aspect):
    """Where what the camera sees at (xs, ys) is: the reverse of seen()."""
    return (xs - aspect / 2) / zoom + aspect / 2 + shift, (ys - 0.5) / zoom + 0.5


def resampled(clip, zoom, shift):
    """Bilinear crop of each frame around its centre."""
    frames, height, width, _ = clip.shape
    out = np.empty_like(clip)
    for f in range(frames):
        ys = (np.arange(height) + 0.5 - height / 2) / zoom[f] + height / 2 - 0.5
        xs = (np.arange(width) + 0.5 - width / 2) / zoom[f] + width / 2 - 0.5 + shift[f] * height
        ys, xs = np.clip(ys, 0, height - 1.001), np.clip(xs, 0, width - 1.001)
        y0, x0 = ys.astype(int), xs.astype(int)
        fy, fx = (ys - y0)[:, None, None].astype(np.float32), (xs - x0)[None, :, None].astype(np.float32)
        rows = clip[f][y0] * (1 - fy) + clip[f][y0 + 1] * fy
        out[f] = rows[:, x0] * (1 - fx) + rows[:, x0 + 1] * fx
    return out
