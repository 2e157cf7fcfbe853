"""The program on a pseudo-terminal that answers as real ones do, and what then stands on the screen, as pyte, a terminal in
Python, sees it."""

import fcntl
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest

pyte = pytest.importorskip("pyte")

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
ROWS, COLUMNS = 24, 80
PLAIN = b"\x1b[?62;22c"
IMAGES = re.compile(rb"\x1b_G.*?\x1b\\|\x1bP.*?\x1b\\", re.DOTALL)


def on_terminal(arguments, cwd, answer=PLAIN, **environment):
    """Runs sora with a terminal for stderr, stdin and, unless captured, stdout; (exit code, what the terminal got, chunks)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def take_terminal():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    variables = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLORTERM", "SSH_CONNECTION")}
    variables |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | environment
    process = subprocess.Popen([SORA, *map(str, arguments)], cwd=cwd, env=variables, stdin=slave, stdout=slave, stderr=slave,
                               preexec_fn=take_terminal)
    os.close(slave)
    chunks, until = [], time.monotonic() + 300
    asked = False
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            chunks.append(chunk)
            if not asked and b"\x1b[c" in b"".join(chunks) and answer:
                asked = True
                os.write(master, answer)
        elif process.poll() is not None:
            break
    code = process.wait(60)
    os.close(master)
    return code, b"".join(chunks), chunks


def screen_after(output):
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    stream.feed(IMAGES.sub(b"", output))
    return [line.rstrip() for line in screen.display if line.strip()]
