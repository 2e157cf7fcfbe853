"""--preview, --preview-file and sora show, on a pseudo-terminal that answers as real ones do; pyte, a terminal in Python, judges what
stands on the screen."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from pseudo_terminal import COLUMNS, IMAGES, PLAIN, ROWS, SORA, on_terminal, pyte, screen_after  # noqa: E402

PROMPT = "a red ball bounces on the meadow"
QUICK = ["--steps", "6", "--frames", "9", "--size", "160x96"]
CELL = b"\x1b[6;20;10t"
KITTY = b"\x1b_Gi=31;OK\x1b\\" + CELL + b"\x1b[?62;c"
SIXEL = CELL + b"\x1b[?62;4;22c"
COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:[34]8|3[0-7]|4[0-7])[0-9;]*m")
SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[78]")  # what this program may say besides pictures


def without_questions(output):
    return output.replace(b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", b"").replace(b"\x1b[16t", b"").replace(b"\x1b[c", b"")


def generate(cwd, *more):
    return ["generate", PROMPT, *QUICK, "-o", "clip.mp4", "-f", "--preview", *more]


def check_end(code, output):
    """Bar and picture are gone; the result stands where they were."""
    assert code == 0
    lines = screen_after(output)
    assert lines[0] == "clip.mp4" and "frames of" in lines[1] and len(lines) == 2, lines


def test_half_blocks_in_true_colour(tmp_path):
    code, output, _ = on_terminal(generate(tmp_path), tmp_path)
    check_end(code, output)
    assert "▄".encode() in output and b"38;2;" in output
    assert not IMAGES.search(without_questions(output))


def test_the_picture_stands_above_the_bar(tmp_path):
    _, output, chunks = on_terminal(generate(tmp_path), tmp_path)
    screen, seen = pyte.Screen(COLUMNS, ROWS), 0
    stream = pyte.ByteStream(screen)
    for frame in re.split(rb"(?=\r\x1b\[K)", without_questions(output)):  # each time the bar is drawn anew
        stream.feed(frame)
        lines = [line for line in screen.display if line.strip()]
        bars = [number for number, line in enumerate(lines) if "█" in line or "░" in line]
        assert len(bars) <= 1, lines
        if bars and "▄" in "".join(lines[:bars[0]]):
            seen += 1
            assert bars[0] == len(lines) - 1, lines
    assert seen >= 1


def test_kitty_graphics(tmp_path):
    code, output, _ = on_terminal(generate(tmp_path), tmp_path, KITTY)
    check_end(code, output)
    assert b"\x1b_Ga=T" in output and "▄".encode() not in output
    assert output.rindex(b"\x1b_Ga=d") > output.rindex(b"\x1b_Ga=T")


def test_sixels(tmp_path):
    code, output, _ = on_terminal(generate(tmp_path), tmp_path, SIXEL)
    check_end(code, output)
    assert b"\x1bP" in output and "▄".encode() not in output


def test_fewer_colours(tmp_path):
    code, output, _ = on_terminal(generate(tmp_path), tmp_path, COLORTERM="")
    check_end(code, output)
    assert b"38;5;" in output and b"38;2;" not in output


def test_a_terminal_that_does_not_answer(tmp_path):
    code, output, _ = on_terminal(generate(tmp_path), tmp_path, b"")
    check_end(code, output)
    assert "▄".encode() in output


def test_no_color_means_no_colour(tmp_path):
    code, output, _ = on_terminal(generate(tmp_path), tmp_path, NO_COLOR="1")
    check_end(code, output)
    assert not COLOUR.search(output) and not IMAGES.search(output)
    assert re.search("[▖-▟░▒▓]{3}".encode().decode(), output.decode())


def test_a_dumb_terminal_gets_no_escapes(tmp_path):
    code, output, _ = on_terminal(generate(tmp_path), tmp_path, TERM="dumb")
    assert code == 0 and b"\x1b" not in output and b"--preview-file" in output
    code, output, _ = on_terminal(["show", "clip.mp4"], tmp_path, TERM="dumb")
    assert code == 2 and b"\x1b" not in output


def test_a_pipe_gets_no_escapes(tmp_path):
    done = subprocess.run([SORA, *generate(tmp_path)], cwd=tmp_path, capture_output=True, env=os.environ | {"TERM": "xterm-256color"})
    assert done.returncode == 0 and b"\x1b" not in done.stderr and done.stdout == b"clip.mp4\n"
    assert b"--preview-file" in done.stderr
    done = subprocess.run([SORA, "show", "clip.mp4"], cwd=tmp_path, capture_output=True, env=os.environ | {"TERM": "xterm-256color"})
    assert done.returncode == 2 and done.stdout == b"" and b"-o sheet.png" in done.stderr


def test_no_escape_of_a_prompt_reaches_the_terminal(tmp_path):
    evil = "a red ball \x1b]0;evil\x07 \x1b[31m \x9b31m"
    code, output, _ = on_terminal(["generate", evil, *QUICK, "-o", "clip.mp4", "--preview"], tmp_path)
    assert code == 0
    left = SEQUENCE.sub(b"", without_questions(output))
    assert b"\x1b" not in left and b"\x07" not in output and b"evil" in left and b"\xc2\x9b" not in output
    evil = "esc\x1b]0;evil\x07.mp4"
    (tmp_path / evil).write_bytes((tmp_path / "clip.mp4").read_bytes())
    code, output, _ = on_terminal(["show", evil, "--still"], tmp_path)
    assert code == 0
    left = SEQUENCE.sub(b"", without_questions(output))
    assert b"\x1b" not in left and b"\x07" not in output and b"evil" in left


def probed(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", path], capture_output=True, check=True)
    return json.loads(out.stdout)["streams"][0]


@pytest.mark.parametrize("name,codec", [("look.gif", "gif"), ("look.apng", "apng"), ("look.png", "png")])
def test_the_preview_is_a_small_file(tmp_path, name, codec):
    done = subprocess.run([SORA, "generate", PROMPT, *QUICK[2:], "--steps", "20", "--seed", "3", "-o", "clip.mp4", "--preview-file", name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stream = probed(tmp_path / name)
    assert stream["codec_name"] == codec
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", name]
    # It shows what the clip shows: the same picture, scaled down, up to what a linear map knows.
    small = [subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / file, "-frames:v", "1", "-vf",
                             ("crop=in_w/3:in_h:0:0," if file.endswith(".png") else "") + "scale=10:6:flags=area,format=rgb24",
                             "-f", "rawvideo", "-"], capture_output=True, check=True).stdout for file in ("clip.mp4", name)]
    mean = sum(abs(a - b) for a, b in zip(*small)) / len(small[0])
    shuffled = sum(abs(a - b) for a, b in zip(small[0], small[1][60:] + small[1][:60])) / len(small[0])
    print(f"mean difference {mean:.1f}, of the picture moved by two of six rows {shuffled:.1f}")
    assert mean < 45 and mean < 0.7 * shuffled


def test_a_preview_replaces_nothing_unasked(tmp_path):
    (tmp_path / "look.webp").write_bytes(b"mine")
    arguments = [SORA, "generate", PROMPT, *QUICK, "-o", "clip.mp4", "--preview-file", "look.webp"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and (tmp_path / "look.webp").read_bytes() == b"mine" and not (tmp_path / "clip.mp4").exists()
    done = subprocess.run([*arguments, "--force"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "look.webp").read_bytes()[8:12] == b"WEBP"
    for name, code in (("look.mp4", 2), ("nowhere/look.gif", 4)):
        done = subprocess.run([SORA, "generate", PROMPT, "--preview-file", name], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stderr


def test_a_preview_that_cannot_be_written_is_told_and_the_clip_made(tmp_path):
    # No file may be larger than 30 kB, which this preview is and the clip is not.
    limited = ["bash", "-c", 'ulimit -f 30; trap "" XFSZ; exec "$@"', "-"]
    made = [SORA, "generate", PROMPT, *QUICK, "--seed", "3", "-o", "clip.mp4", "--preview-file", "look.apng"]
    done = subprocess.run([*limited, *made], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the preview is not kept any more") == 1 and "look.apng" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"] and probed(tmp_path / "clip.mp4")["nb_read_frames"] == "9"
    (tmp_path / "look.apng").mkdir()
    done = subprocess.run([*made, "--force"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "is a folder" in done.stderr


def test_a_preview_changes_no_frame(tmp_path):
    digests = set()
    for more in ([], ["--preview-file", "look.gif"]):
        subprocess.run([SORA, "generate", PROMPT, *QUICK, "--seed", "3", "-q", "-f", "-o", "clip.mp4", *more], cwd=tmp_path, check=True, capture_output=True)
        digests.add(subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "clip.mp4", "-f", "framemd5", "-"], capture_output=True).stdout)
    assert len(digests) == 1


def test_a_clip_of_many_windows_is_looked_at(tmp_path):
    done = subprocess.run([SORA, "generate", PROMPT, "--steps", "2", "--duration", "8", "--size", "160x96", "--dry-run", "--json"],
                          cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "windows" in json.loads(done.stdout)["notices"][0]
    code, output, _ = on_terminal(["generate", PROMPT, "--steps", "2", "--duration", "8", "--size", "160x96", "-o", "clip.mp4", "--preview",
                                   "--preview-file", "look.gif"], tmp_path)  # fmt: skip
    assert code == 0 and "▄".encode() in output
    assert not any("▄" in line for line in screen_after(output))
    assert probed(tmp_path / "look.gif")["codec_name"] == "gif"


def test_a_batch_shows_the_job_at_hand(tmp_path):
    (tmp_path / "prompts.txt").write_text(f"{PROMPT}\na blue star spins at night\n")
    code, output, _ = on_terminal(["batch", "prompts.txt", *QUICK, "--preview", "--preview-file", "look.png"], tmp_path)
    assert code == 0 and "▄".encode() in output
    assert not any("▄" in line for line in screen_after(output))
    assert probed(tmp_path / "look.png")["codec_name"] == "png"
    assert len(list((tmp_path / "prompts-clips").glob("*.mp4"))) == 2
    done = subprocess.run([SORA, "batch", "prompts.txt", "--jobs", "2", "--preview"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "--jobs" in done.stderr


def test_a_queue_shows_the_job_at_hand(tmp_path):
    queue = ["--queue", "q"]
    add = [SORA, "queue", "add", *queue, "generate", PROMPT, *QUICK]
    done = subprocess.run([*add, "--preview"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "sora queue run --preview" in done.stderr
    assert subprocess.run(add, cwd=tmp_path, capture_output=True).returncode == 0
    code, output, _ = on_terminal(["queue", "run", *queue, "--preview"], tmp_path)
    assert code == 0 and "▄".encode() in output
    assert not any("▄" in line for line in screen_after(output))


def test_a_contact_sheet_as_a_file(tmp_path):
    for name, colour in (("a.mp4", "red"), ("b.mp4", "blue")):
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"color={colour}:s=96x64:d=1:r=8", "-pix_fmt", "yuv420p", tmp_path / name], check=True)
    done = subprocess.run([SORA, "show", "a.mp4", "b.mp4", "--columns", "3", "--cell-width", "48", "-o", "sheet.png"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "sheet.png\n", done.stderr
    stream = probed(tmp_path / "sheet.png")
    width, height = stream["width"], stream["height"]
    assert (width, height) == (3 * 48 + 2 * 4, 2 * 32 + 4)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "sheet.png", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True).stdout
    pixel = lambda x, y: tuple(raw[(y * width + x) * 3:(y * width + x) * 3 + 3])  # noqa: E731
    for x in (24, 76, 128):
        assert pixel(x, 16)[0] > 200 and pixel(x, 52)[2] > 200
    assert pixel(50, 16) == (0, 0, 0)
    done = subprocess.run([SORA, "show", "a.mp4", "-o", "SHEET.PNG"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "SHEET.PNG").exists()
    done = subprocess.run([SORA, "show", "a.mp4", "-o", "sheet.png"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "--force" in done.stderr
    for name in ("sheet.png", "sheet.jpg"):  # before any file is looked at
        done = subprocess.run([SORA, "show", "nowhere.mp4", "-o", name], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2 and name in done.stderr
    done = subprocess.run([SORA, "show", "nowhere.mp4", "-o", "no.png"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 4
    (tmp_path / "text.mp4").write_text("text")
    done = subprocess.run([SORA, "show", "text.mp4", "-o", "no.png"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3 and not (tmp_path / "no.png").exists()


@pytest.mark.parametrize("answer,sign", [(PLAIN, "▄".encode()), (KITTY, b"\x1b_Ga=T"), (SIXEL, b"\x1bP")])
def test_show_plays_and_leaves_a_sheet(tmp_path, answer, sign):
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=96x64:d=1:r=8", "-pix_fmt", "yuv420p", tmp_path / "a.mp4"], check=True)
    code, output, _ = on_terminal(["show", "a.mp4"], tmp_path, answer)
    assert code == 0 and output.count(sign) >= 9
    lines = screen_after(output)
    assert lines[0] == "a.mp4"
    if answer == PLAIN:
        assert len(lines) > 4
    code, output, _ = on_terminal(["show", "a.mp4", "--still"], tmp_path, answer)
    assert code == 0 and (answer == PLAIN or output.count(sign) == 1)
