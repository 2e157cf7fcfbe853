"""Contact sheets: one row a clip, frames from left to right, the prompt and its marks above each row."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# DejaVu has no Chinese and the Chinese fallback of some systems no Latin, so each character takes the font that has it.
_LATIN = ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf")
_CHINESE = ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
            "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf")
_LINE = 15


def _font(paths):
    for path in paths:
        if Path(path).exists():
            return ImageFont.truetype(path, 11)
    return ImageFont.load_default()


def _draw_text(image, text):
    pen, x = ImageDraw.Draw(image), 3
    fonts = {True: _font(_LATIN), False: _font(_CHINESE)}
    for character in text:
        font = fonts[ord(character) < 0x2E80]
        pen.text((x, 1), character, fill="black", font=font)
        x += pen.textlength(character, font=font)


def write(path, rows, columns=5, width=160):
    """rows: (title, clip [F, H, W, 3] u8)."""
    strips = []
    for title, clip in rows:
        picks = np.linspace(0, len(clip) - 1, columns).round().astype(int)
        height = round(clip.shape[1] * width / clip.shape[2])
        frames = [np.asarray(Image.fromarray(clip[k]).resize((width, height), Image.LANCZOS)) for k in picks]
        strip = Image.new("RGB", (width * columns, height + _LINE), "white")
        strip.paste(Image.fromarray(np.concatenate(frames, 1)), (0, _LINE))
        _draw_text(strip, title)
        strips.append(np.asarray(strip))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # 256 colours, the rare ones too: flat shapes on calm places need no more, and the file is a sixth as large.
    Image.fromarray(np.concatenate(strips)).quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=10).save(path, optimize=True)
