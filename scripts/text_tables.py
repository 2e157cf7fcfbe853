"""Generates the tables of lib/text: see scripts/make-text-tables.

ftfy (Apache License 2.0, Robyn Speer) is read as data: its regular expressions are parsed by Python's own parser and
written out again in the syntax of ICU, its encodings are tabulated from the codecs it registers.
"""

import html
import html.entities
import pathlib
import re._parser as parser
import sys

import ftfy
from ftfy import badness, chardata

WIDTH = 100


def write_header(path: pathlib.Path, what: str, includes: str, body: str) -> None:
    path.write_text(
        f"// {what}\n// Made by scripts/make-text-tables; do not edit.\n// clang-format off\n#pragma once\n\n"
        f"{includes}\nnamespace sora {{\n\n{body}\n}}  // namespace sora\n"
    )


def wrapped(items: list[str]) -> str:
    """The items, each followed by a comma, on lines of at most WIDTH columns."""
    lines, line = [], ""
    for item in items:
        if line and len(line) + len(item) + 2 > WIDTH:
            lines.append(line)
            line = ""
        line += ("" if not line else " ") + item + ","
    return "\n".join(lines + [line]) + "\n"


def c_string(text: str) -> str:
    """A string literal of the UTF-8 bytes. Octal escapes end after three digits, hexadecimal ones do not."""
    quoted = ""
    for byte in text.encode():
        printable = 0x20 <= byte < 0x7F and chr(byte) not in '"\\'
        quoted += chr(byte) if printable else f"\\{byte:03o}"
    return f'"{quoted}"'


def entity_table(name: str, entities: dict[str, str]) -> str:
    rows = wrapped([f"{{{c_string(name)}, {c_string(text)}}}" for name, text in sorted(entities.items())])
    return f"inline constexpr HtmlEntity {name}[] = {{\n{rows}}};\n"


def uppercase_entities() -> dict[str, str]:
    """ftfy's own: names in capitals which HTML does not know, such as &EACUTE;, mean the capital letter."""
    return {
        name[1:]: text
        for name, text in chardata.HTML_ENTITIES.items()
        if name[1:] not in html.entities.html5
    }


def icu_character(code: int) -> str:
    if chr(code).isascii() and chr(code).isalnum():
        return chr(code)
    assert code <= 0xFFFF
    return f"\\u{code:04X}"


# What Python's classes mean for text, in ICU's terms.
ICU_CATEGORIES = {"CATEGORY_SPACE": r"\p{White_Space}\u001C-\u001F", "CATEGORY_WORD": r"\p{L}\p{N}_"}


def icu_set(members) -> str:
    inside = ""
    for kind, value in members:
        if str(kind) == "NEGATE":
            inside += "^"
        elif str(kind) == "LITERAL":
            inside += icu_character(value)
        elif str(kind) == "RANGE":
            inside += f"{icu_character(value[0])}-{icu_character(value[1])}"
        else:
            inside += ICU_CATEGORIES[str(value)]
    return f"[{inside}]"


def icu_pattern(tree) -> list[str]:
    """The pattern in pieces between which a line may be broken."""
    pieces = []
    for kind, value in tree:
        kind = str(kind)
        if kind == "LITERAL":
            pieces.append(icu_character(value))
        elif kind == "ANY":
            pieces.append(r"[^\u000A]")
        elif kind == "AT":
            assert str(value) == "AT_BEGINNING"
            pieces.append("^")
        elif kind == "IN":
            pieces.append(icu_set(value))
        elif kind == "BRANCH":
            pieces.append("(?:")
            for i, branch in enumerate(value[1]):
                pieces += (["|"] if i else []) + icu_pattern(branch)
            pieces.append(")")
        elif kind == "SUBPATTERN":
            pieces += ["(?:", *icu_pattern(value[3]), ")"]
        elif kind == "MAX_REPEAT":
            low, high, inner = value
            suffix = f"{{{low},}}" if str(high) == "MAXREPEAT" else f"{{{low},{high}}}"
            pieces += ["(?:", *icu_pattern(inner), ")" + suffix]
        elif kind == "ASSERT_NOT":
            assert value[0] == -1
            pieces += ["(?<!", *icu_pattern(value[1]), ")"]
        else:
            raise ValueError(f"{kind} has no translation")
    return pieces


def pattern_literal(name: str, compiled) -> str:
    """A raw string literal over several lines, which the compiler joins."""
    text = "".join(icu_pattern(parser.parse(compiled.pattern, compiled.flags)))
    assert text.isascii() and ')"' not in text
    room = WIDTH - len('R"()"')
    lines = "\n".join(f'R"({text[i : i + room]})"' for i in range(0, len(text), room))
    return f"inline constexpr char {name}[] =\n{lines};\n"


def encoding_row(name: str) -> str:
    decoded = bytes([*range(0x80, 0x100), 0x1A]).decode(name)
    rows = wrapped([f"0x{ord(character):04X}" for character in decoded])
    return f'{{"{name}", {{\n{rows}}}}},\n'


ENTITY_TYPE = """struct HtmlEntity {
  std::string_view name;  // what stands between "&" and the end
  std::string_view text;
};

"""

ENCODING_TYPE = """struct ByteEncoding {
  std::string_view name;
  char16_t characters[129];  // of the bytes 80 to FF, and last of byte 1A
};

"""


def main() -> None:
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(exist_ok=True)
    write_header(
        directory / "html_entities.h",
        "HTML's named character references, and names in capitals that ftfy takes for capital letters, sorted by name.",
        "#include <string_view>\n",
        ENTITY_TYPE
        + entity_table("kHtmlEntities", html.entities.html5)
        + "\n"
        + entity_table("kUppercaseEntities", uppercase_entities()),
    )
    write_header(
        directory / "mojibake_tables.h",
        f"What ftfy {ftfy.__version__} (Apache License 2.0) knows about wrongly decoded text.",
        "#include <string_view>\n",
        ENCODING_TYPE
        + "// The single-byte encodings it tries, in its order.\n"
        + "inline constexpr ByteEncoding kByteEncodings[] = {\n"
        + "".join(encoding_row(name) for name in chardata.CHARMAP_ENCODINGS)
        + "};\n\n// Text that nobody means (BADNESS_RE), as a regular expression of ICU.\n"
        + pattern_literal("kMojibakePattern", badness.BADNESS_RE)
        + "\n// UTF-8 decoded as one byte a character (UTF8_DETECTOR_RE).\n"
        + pattern_literal("kMisreadUtf8Pattern", chardata.UTF8_DETECTOR_RE),
    )


if __name__ == "__main__":
    main()
