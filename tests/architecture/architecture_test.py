"""The source tree keeps its rules, and each rule can be broken."""

import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("rules", HERE / "rules.py")
rules = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rules)

# A smallest tree that breaks each rule: rule, file, its text, a word of the complaint.
BROKEN = [
    (rules.includes_point_down, "lib/nn/a.h", '// A.\n#pragma once\n#include "lib/text/b.h"\n', "nn may not see text"),
    (rules.includes_point_down, "kernels/a.h", '// A.\n#pragma once\n#include "lib/core/b.h"\n', "kernels may not see core"),
    (rules.includes_point_down, "lib/text/a.h", '// A.\n#pragma once\n#include "lib/models/b.h"\n', "text may not see models"),
    (rules.includes_point_down, "lib/stray/a.h", "// A.\n#pragma once\n", "stray has no place"),
    (rules.includes_are_written_from_the_root, "lib/nn/a.cpp", '// A.\n#include "linear.h"\n', "linear.h"),
    (rules.headers_include_no_circle, "lib/nn/a.h", '// A.\n#pragma once\n#include "lib/nn/a.h"\n', "includes itself"),
    (rules.each_dependency_has_one_door, "lib/text/a.cpp", "// A.\n#include <CLI/CLI.hpp>\n", "CLI11"),
    (rules.each_dependency_has_one_door, "lib/models/a.cpp", "// A.\n#include <libavutil/frame.h>\n", "FFmpeg"),
    (rules.each_dependency_has_one_door, "lib/media/clip.cpp", "// A.\n#include <stb/stb_image.h>\n", "stb"),
    (rules.torch_stays_out_of_the_program, "cli/a.cpp", "// A.\n#include <ATen/ATen.h>\n", "without torch"),
    (rules.torch_stays_out_of_the_program, "lib/sora.h", '// A.\n#include "lib/nn/b.h"\n', "without torch"),
    (rules.ffmpeg_stays_out_of_the_program, "cli/a.cpp", "// A.\n#include <libavutil/frame.h>\n", "without FFmpeg"),
    (rules.cuda_units_include_no_torch, "kernels/cuda/a.cu", '// A.\n#include "lib/nn/b.h"\n', "nvcc"),
    (rules.processor_units_share_no_inline_code, "kernels/cpu/a_avx2.cpp", "// A.\n#include <vector>\n", "<vector>"),
    (rules.files_say_what_they_are, "lib/nn/a.cpp", "int a;\n", "comment"),
    (rules.headers_are_read_once, "lib/nn/a.h", "// A.\nint a;\n", "pragma once"),
    (rules.names_say_something, "lib/nn/utils.h", "// A.\n#pragma once\n", "utils"),
]

# What the broken files above may lean on.
SOUND = {
    "lib/nn/b.h": "// B.\n#pragma once\n#include <ATen/ATen.h>\n",
    "lib/text/b.h": "// B.\n#pragma once\n",
    "lib/models/b.h": "// B.\n#pragma once\n",
    "lib/core/b.h": "// B.\n#pragma once\n",
    "kernels/cpu/b_avx512.cpp": "// B.\n#include <immintrin.h>\n#include <cstdint>\n",
}


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return rules.Tree(root)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(rule):
    tree = rules.Tree(HERE.parents[1])
    assert len(tree.program()) > 10
    assert list(rule(tree)) == []


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_a_sound_tree_passes(rule, tmp_path):
    assert list(rule(write(tmp_path, SOUND))) == []


@pytest.mark.parametrize("rule,name,text,word", BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_tree_is_seen(rule, name, text, word, tmp_path):
    complaints = list(rule(write(tmp_path, {**SOUND, name: text})))
    assert len(complaints) == 1 and name in complaints[0] and word in complaints[0]


def test_every_rule_has_a_broken_tree():
    assert {rule for rule, *_ in BROKEN} == set(rules.RULES)
