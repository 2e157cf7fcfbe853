"""Contact sheets: one row a clip, frames from left to right, the prompt and its marks above each row."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_FONTS = ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
          "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf")
_LINE = 15


def _font():
    for path in _FONTS:
        if Path(path).exists():
            return ImageFont.truetype(path, 12)
    return ImageFont.load_default()


def write(path, rows, columns=5, width=160):
    """rows: (title, clip [F, H, W, 3] u8)."""
    font, strips = _font(), []
    for title, clip in rows:
        picks = np.linspace(0, len(clip) - 1, columns).round().astype(int)
        height = round(clip.shape[1] * width / clip.shape[2])
        frames = [np.asarray(Image.fromarray(clip[k]).resize((width, height), Image.LANCZOS)) for k in picks]
        strip = Image.new("RGB", (width * columns, height + _LINE), "white")
        strip.paste(Image.fromarray(np.concatenate(frames, 1)), (0, _LINE))
        ImageDraw.Draw(strip).text((3, 0), title, fill="black", font=font)
        strips.append(np.asarray(strip))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(strips)).save(path, optimize=True)
