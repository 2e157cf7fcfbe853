"""The rules of the source tree, each a function from a tree to the sentences that say where it is broken.

Read off the text of the files: which includes which, what a file begins with, what folders are called.
"""

import functools
import pathlib
import re

SOURCE_SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)

# Who may include whom, one step down; what lies further down may be included too. All lib folders see core.
STEPS_DOWN = {
    "cli": ["lib"],
    "lib": ["jobs", "gallery", "serve", "hub", "provenance"],  # lib/sora.h and the engine behind it
    "jobs": ["provenance"],
    "gallery": ["provenance", "http"],
    "serve": ["provenance", "http"],
    "hub": ["provenance"],
    "provenance": ["pipelines"],
    "pipelines": ["text", "models", "schedulers", "media"],
    "text": ["nn"],
    "models": ["nn"],
    "nn": ["tensor_io", "kernels"],
    "tensor_io": ["core"],
    "schedulers": ["core"],
    "media": ["core"],
    "http": ["core"],
    "kernels": [],
    "core": [],
}

# What the program may see of the library: loading torch is left to libsora.so.
TORCH_FREE = re.compile(r"^(cli/|lib/core/|lib/jobs/|lib/pipelines/request|lib/gallery/gallery\.h$|lib/serve/video_service\.h$|lib/sora\.h$|lib/export\.h$)")
TORCH = re.compile(r"^(ATen|torch|c10|caffe2)/")

# One door per dependency: the headers of a library, and the only files that may include them.
DOORS = [
    ("CLI11", re.compile(r"^CLI/"), re.compile(r"^cli/")),
    ("FFmpeg", re.compile(r"^lib(av\w+|sw\w+|postproc)/"), re.compile(r"^lib/media/")),
    ("stb", re.compile(r"^stb/|^stb_"), re.compile(r"^lib/media/image")),
    ("zimg", re.compile(r"^zimg"), re.compile(r"^lib/media/")),
    ("SentencePiece", re.compile(r"^sentencepiece"), re.compile(r"^lib/text/")),
    ("ICU", re.compile(r"^unicode/"), re.compile(r"^lib/(text|provenance)/")),
    ("libcurl", re.compile(r"^curl/"), re.compile(r"^lib/hub/http_client")),
    ("RE2", re.compile(r"^re2/"), re.compile(r"^lib/provenance/")),
    ("toml++", re.compile(r"^toml\+\+/"), re.compile(r"^lib/(provenance|jobs)/")),
    ("cpp-httplib", re.compile(r"^httplib"), re.compile(r"^lib/(gallery|serve|http)/")),
    ("libarchive", re.compile(r"^archive(_entry)?\.h$"), re.compile(r"^lib/gallery/archive\.")),
    ("chafa", re.compile(r"^chafa"), re.compile(r"^lib/media/terminal_picture")),
    ("OpenSSL", re.compile(r"^openssl/"), re.compile(r"^lib/provenance/")),
    ("libyaml", re.compile(r"^yaml"), re.compile(r"^lib/(jobs/|pipelines/yaml\.cpp)")),
    ("xxHash", re.compile(r"^xxhash"), re.compile(r"^lib/jobs/")),
    ("torch's c10d", re.compile(r"^torch/csrc/distributed/"), re.compile(r"^lib/nn/(ranks\.cpp$|nccl/)")),
    ("SQLite", re.compile(r"^(SQLiteCpp/|sqlite3)"), re.compile(r"^lib/jobs/")),
]

# A unit compiled for a newer processor (cmake/sora_targets.cmake).
PROCESSOR_UNIT = re.compile(r"_(avx2|avx512|avx512bf16|amx)\.cpp$")
EMPTY_NAMES = re.compile(r"^(utils?|helpers?|common|managers?|misc)(_.*)?$")
GENERATED = {"sora/build_config.h", "sora/embedded_gallery.h", "sora/embedded_policy.h", "sora/embedded_plans.h"}


class Tree:
    """The C++ sources below a root, by their path from it, with what they include."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.text = {}
        for folder in ("cli", "lib", "kernels", "tests"):
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in SOURCE_SUFFIXES:
                    self.text[path.relative_to(self.root).as_posix()] = path.read_text()

    def program(self):
        return [name for name in self.text if not name.startswith("tests/")]

    def quoted(self, name):
        return [target for quote, target in INCLUDE.findall(self.text[name]) if quote == '"']

    def included(self, name):
        return [target for _, target in INCLUDE.findall(self.text[name])]

    @functools.cached_property
    def reach(self):
        """For each file, everything it includes, directly or through other files of the tree."""
        reach = {}
        for name in self.text:
            seen, unread = set(), [name]
            while unread:
                for target in self.included(unread.pop()):
                    if target not in seen:
                        seen.add(target)
                        if target in self.text:
                            unread.append(target)
            reach[name] = seen
        return reach


def part_of(name):
    """cli, kernels, a folder of lib, or lib itself."""
    parts = name.split("/")
    if parts[0] == "lib":
        return parts[1] if len(parts) > 2 else "lib"
    return parts[0]


def below(part):
    seen, unread = set(), [part]
    while unread:
        for lower in STEPS_DOWN[unread.pop()]:
            if lower not in seen:
                seen.add(lower)
                unread.append(lower)
    if part != "kernels":
        seen.add("core")
    return seen


def includes_point_down(tree):
    for name in tree.program():
        part = part_of(name)
        if part not in STEPS_DOWN:
            yield f"{name}: the folder {part} has no place in tests/architecture/rules.py"
            continue
        for target in tree.quoted(name):
            if target in tree.text and target != "lib/export.h":
                other = part_of(target)
                if other != part and other not in below(part):
                    yield f"{name} includes {target}: {part} may not see {other}"


def includes_are_written_from_the_root(tree):
    for name in tree.text:
        for target in tree.quoted(name):
            if target not in tree.text and target not in GENERATED:
                yield f'{name} includes "{target}", which is no file counted from the root'


def headers_include_no_circle(tree):
    for name in tree.text:
        if name in tree.reach[name]:
            yield f"{name} includes itself, through others"


def each_dependency_has_one_door(tree):
    for name in tree.program():
        for target in tree.included(name):
            for library, headers, door in DOORS:
                if headers.match(target) and not door.match(name):
                    yield f"{name} includes <{target}>: {library} belongs to {door.pattern}"


def torch_stays_out_of_the_program(tree):
    for name in tree.program():
        if TORCH_FREE.match(name):
            for target in sorted(tree.reach[name]):
                if TORCH.match(target):
                    yield f"{name} reaches <{target}>, and is to build without torch"


def ffmpeg_stays_out_of_the_program(tree):
    for name in tree.program():
        if TORCH_FREE.match(name):
            for target in sorted(tree.reach[name]):
                if DOORS[1][1].match(target):
                    yield f"{name} reaches <{target}>, and is to build without FFmpeg"


def cuda_units_include_no_torch(tree):
    for name in tree.program():
        if name.endswith((".cu", ".cuh")):
            for target in sorted(tree.reach[name]):
                if TORCH.match(target):
                    yield f"{name} reaches <{target}>: one torch header costs nvcc 40 s"


def processor_units_share_no_inline_code(tree):
    """The linker keeps one copy of an inline function: one compiled for a newer processor could be run on an older."""
    for name in tree.program():
        if PROCESSOR_UNIT.search(name):
            for target in sorted(tree.reach[name] - set(tree.text)):
                if not re.match(r"^(\w*intrin\.h|c[a-z]+|type_traits|initializer_list|[a-z]+\.h)$", target):
                    yield f"{name} reaches <{target}>: it may use intrinsics and the C library only"


def files_say_what_they_are(tree):
    """Each begins with a comment, but for tests, and sources whose header does: a.cpp, cpu/a.cpp, cpu/a_avx2.cpp of a.h."""
    for name, text in tree.text.items():
        path = pathlib.PurePosixPath(PROCESSOR_UNIT.sub(".cpp", name))
        headers = {(folder / path.stem).as_posix() + ".h" for folder in (path.parent, path.parent.parent)}
        explained = name.endswith("_test.cpp") or (path.suffix == ".cpp" and headers & set(tree.text))
        if not explained and not text.startswith("//"):
            yield f"{name} does not begin with a comment saying what it is"


def headers_are_read_once(tree):
    for name, text in tree.text.items():
        if name.endswith((".h", ".cuh")) and "\n#pragma once\n" not in text:
            yield f"{name} has no #pragma once"


def names_say_something(tree):
    for name in tree.text:
        for part in pathlib.PurePosixPath(name).with_suffix("").parts:
            if EMPTY_NAMES.match(part):
                yield f"{name}: {part} says nothing of what is in it"


RULES = [
    includes_point_down,
    includes_are_written_from_the_root,
    headers_include_no_circle,
    each_dependency_has_one_door,
    torch_stays_out_of_the_program,
    ffmpeg_stays_out_of_the_program,
    cuda_units_include_no_torch,
    processor_units_share_no_inline_code,
    files_say_what_they_are,
    headers_are_read_once,
    names_say_something,
]
