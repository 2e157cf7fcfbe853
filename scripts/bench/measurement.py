"""A command run as a whole process: wall and CPU time, memory by kind, and the phases it tells of on stderr.

Phases are read from lines as `sora --progress json` writes them: {"phase", "done", "total", "elapsed_s"}, or from what a
program's own reader makes of its lines. Beside the wall time each gets the CPU time of the process, which other work on the
machine disturbs less."""

import collections
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

MEMORY_INTERVAL_S = 0.05
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
KIB = 1024


@dataclasses.dataclass
class Phase:
    steps: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    cpu_at_begin_s: float = 0.0
    before_wall_s: float = 0.0  # of the times that it ran earlier
    before_cpu_s: float = 0.0
    first_step_s: float | None = None


@dataclasses.dataclass
class Memory:
    """Bytes resident: all, anonymous (heap, stacks), and pages of files, which the system can drop and read again."""

    total: int = 0
    anonymous: int = 0
    file: int = 0


@dataclasses.dataclass
class Measurement:
    wall_s: float
    cpu_s: float  # of the process and those it started
    peak_rss: int  # as the system counted it
    peak: Memory  # the highest sample of each kind
    phases: dict[str, Phase]
    mappings: dict[str, int]  # bytes by kind of mapping in the last denoise step

    @property
    def cores(self):
        return self.cpu_s / self.wall_s


def cpu_seconds(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "VmRSS" not in values:
        return None
    kib = {name: int(values[name].split()[0]) * KIB for name in ("VmRSS", "RssAnon", "RssFile", "RssShmem")}
    return Memory(kib["VmRSS"], kib["RssAnon"], kib["RssFile"] + kib["RssShmem"])


def mappings(pid):
    """Resident bytes of the weight files, of other files and of anonymous memory; and how much of the weight files'
    mappings has become the process's own memory, as a page does that is written to."""
    sizes = collections.Counter()
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    kind = "anonymous"
    for line in lines:
        words = line.split()
        if not words[0].endswith(":"):
            path = words[5] if len(words) > 5 else ""
            weights = path.endswith(".safetensors")
            kind = "weights" if weights else "other files" if path.startswith("/") else "anonymous"
        elif words[0] == "Rss:":
            sizes[kind] += int(words[1]) * KIB
        elif words[0] == "Anonymous:" and kind == "weights":
            sizes["weights, changed and so copied"] += int(words[1]) * KIB
    return dict(sizes)


def read_json(line):
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "phase" in told else None


class Watcher:
    """Reads what a running process writes and uses; ends it where the phase `until` is done."""

    def __init__(self, process, until=None, read=read_json):
        self.process, self.until, self.read = process, until, read
        self.stopped = False
        self.peak = Memory()
        self.phases = {}
        self.mappings = {}
        self.messages = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._watch_memory, self._read_lines)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _watch_memory(self):
        while not self._ended.wait(MEMORY_INTERVAL_S):
            now = resident(self.process.pid)
            if now is not None:
                for kind in ("total", "anonymous", "file"):
                    setattr(self.peak, kind, max(getattr(self.peak, kind), getattr(now, kind)))

    def _read_lines(self):
        for line in self.process.stdout or self.process.stderr:
            told = self.read(line)
            if told:
                self._note(told)
            else:
                self.messages.append(line)
            if self.stopped:  # what was said before the end came belongs to the next phase
                return

    def _note(self, told):
        cpu_s = cpu_seconds(self.process.pid)
        phase = self.phases.setdefault(told["phase"], Phase())
        if told["done"] == 0:  # some phases begin more than once
            phase.before_wall_s, phase.before_cpu_s, phase.cpu_at_begin_s = phase.wall_s, phase.cpu_s, cpu_s or 0.0
        phase.steps, phase.wall_s = told["done"], phase.before_wall_s + told["elapsed_s"]
        if cpu_s is not None:
            phase.cpu_s = phase.before_cpu_s + cpu_s - phase.cpu_at_begin_s
        if told["done"] == 1:
            phase.first_step_s = told["elapsed_s"]
        if told["phase"] == "denoise" and told["done"] == max(1, told["total"] - 1):
            self.mappings = mappings(self.process.pid)
        if told["phase"] == self.until and told["done"] == told["total"]:
            self.stopped = True
            self.process.kill()


def measure(command, until=None, read=None):
    """Runs the command to its end, or to that of the phase `until`. A failure ends this program with its messages.

    Its stdout is dropped, unless a `read` is given: a function that turns a line of either stream into a dictionary as above,
    or None.

    OpenMP's threads sleep while they wait, unless the environment says otherwise: by default libtorch's spin, and where
    other work has the cores a program waits so many times longer than it computes, in wall and CPU time alike."""
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE if read else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if read else subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    )
    with Watcher(process, until, read or read_json) as watcher:
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not watcher.stopped:
        sys.stderr.writelines(watcher.messages[-20:])
        sys.exit(f"exit code {process.returncode}: {' '.join(map(str, command))}")
    return Measurement(
        wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB, watcher.peak, watcher.phases, watcher.mappings
    )
