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


def header(what: str) -> str:
    return f"// {what}\n// Made by scripts/make-text-tables; do not edit.\n"


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


def entity_rows(entities: dict[str, str]) -> str:
    return wrapped([f"{{{c_string(name)}, {c_string(text)}}}" for name, text in sorted(entities.items())])


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


def pattern_literal(compiled) -> str:
    """A raw string literal over several lines, which the compiler joins."""
    text = "".join(icu_pattern(parser.parse(compiled.pattern, compiled.flags)))
    assert text.isascii() and ')"' not in text
    room = WIDTH - len('R"()"')
    return "\n".join(f'R"({text[i : i + room]})"' for i in range(0, len(text), room))


def encoding_table(name: str) -> str:
    """What the bytes 80 to FF mean, and last what byte 1A means."""
    decoded = bytes([*range(0x80, 0x100), 0x1A]).decode(name)
    rows = wrapped([f"0x{ord(character):04X}" for character in decoded])
    return f'{{"{name}", {{\n{rows}}}}},\n'


def main() -> None:
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(exist_ok=True)
    (directory / "html_entities.inc").write_text(
        header("HTML's named character references, sorted by name.") + entity_rows(html.entities.html5)
    )
    (directory / "uppercase_entities.inc").write_text(
        header("Names in capitals that ftfy takes for capital letters, sorted by name.") + entity_rows(uppercase_entities())
    )
    (directory / "encodings.inc").write_text(
        header(f"The single-byte encodings that ftfy {ftfy.__version__} tries, in its order.")
        + "".join(encoding_table(name) for name in chardata.CHARMAP_ENCODINGS)
    )
    (directory / "mojibake_pattern.inc").write_text(
        header(f"Where ftfy {ftfy.__version__} takes text for wrongly decoded (its BADNESS_RE, Apache License 2.0).")
        + pattern_literal(badness.BADNESS_RE)
        + "\n"
    )
    (directory / "utf8_pattern.inc").write_text(
        header(f"What UTF-8 looks like when decoded as one byte a character (ftfy {ftfy.__version__}, UTF8_DETECTOR_RE).")
        + pattern_literal(chardata.UTF8_DETECTOR_RE)
        + "\n"
    )


if __name__ == "__main__":
    main()
