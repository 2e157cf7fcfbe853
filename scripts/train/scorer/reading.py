"""What a caption asks for: the facts in its words, English or Chinese, without knowing the scene."""

import re
from dataclasses import dataclass, field

from world import captions


# Of the first object that is named to the second.
RELATIONS = {
    "en": [("on the left", "left_of"), ("left of", "left_of"), ("right of", "right_of"), ("on top", "above"), ("above", "above"),
           ("under", "below")],
    "zh": [("在左", "left_of"), ("在右", "right_of"), ("在上方", "above"), ("在上面", "above"), ("在下", "below")],
}


@dataclass
class Facts:
    place: str = ""
    style: str = ""
    camera: str = ""
    relation: str = ""
    things: list = field(default_factory=list)  # dicts of colour, shape, motion; missing ones are empty


def _phrases(table):
    """(phrase, key), longest first. An option is a phrase, two forms of one (English), or words (Chinese)."""
    found = []
    for key, options in table.items():
        for option in options:
            forms = option if isinstance(option, tuple) else ["".join(option)]
            found += [(form, key) for form in forms]
    return sorted(found, key=lambda item: -len(item[0]))


def _take(text, phrases, chinese):
    """The first phrase found, its key, where, and the text with the phrase blanked."""
    for phrase, key in phrases:
        pattern = re.escape(phrase) if chinese else rf"\b{re.escape(phrase)}\b"
        match = re.search(pattern, text)
        if match:
            return key, match.start(), text[: match.start()] + "~" * len(phrase) + text[match.end() :]
    return "", -1, text


def _take_all(text, phrases, chinese):
    found = []
    while True:
        key, at, text = _take(text, phrases, chinese)
        if at < 0:
            return sorted(found), text
        found.append((at, key))


def _first_relation(text, relations):
    """The relation whose words come first, or none."""
    found = [(text.index(phrase), relation) for phrase, relation in relations if phrase in text]
    return min(found)[1] if found else ""


def _without_preposition(table):
    return {key: options + [o[1:] for o in options if o[0] == "在"] for key, options in table.items()}


def read(caption):
    text = caption.lower()
    chinese = any("\u4e00" <= c <= "\u9fff" for c in text)
    zh = chinese
    cameras = captions.ZH_CAMERAS if zh else captions.EN_CAMERAS
    styles = captions.ZH_STYLES if zh else captions.EN_STYLES
    places = _without_preposition(captions.ZH_PLACES) if zh else captions.EN_PLACES
    motions = captions.ZH_MOTIONS if zh else captions.EN_MOTIONS
    camera, _, text = _take(text, _phrases(cameras), zh)
    style, _, text = _take(text, _phrases(styles), zh)
    place, _, text = _take(text, _phrases(places), zh)
    moved, text = _take_all(text, _phrases(motions), zh)
    coloured, text = _take_all(text, _phrases(captions.ZH_COLOURS if zh else captions.EN_COLOURS), zh)
    shaped, text = _take_all(text, _phrases(captions.ZH_SHAPES if zh else captions.EN_SHAPES), zh)
    relation = _first_relation(text, RELATIONS["zh" if zh else "en"])
    facts = Facts(place, style, camera, relation)
    for n, (at, shape) in enumerate(shaped):
        until = shaped[n + 1][0] if n + 1 < len(shaped) else len(text)
        colours = [c for p, c in coloured if p < at and (n == 0 or p > shaped[n - 1][0])]
        after = [m for p, m in moved if at < p < until]
        facts.things.append({"shape": shape, "colour": colours[-1] if colours else "",
                             "motion": after[0] if after else ("still" if not moved else "")})
    return facts
