"""What is said about a scene, in English and Chinese, in many phrasings of the same facts.

A caption is a list of words (`words`); `text` joins them, with spaces in English and without in Chinese. Keeping
the words apart is what lets the tokenizer be built from real words in both languages.
"""

import numpy as np

EN_SHAPES = {
    "ball": ["ball", "circle", "sphere", "disc"], "square": ["square", "box", "block", "cube"],
    "triangle": ["triangle", "pyramid"], "star": ["star"], "heart": ["heart", "love heart"],
    "ring": ["ring", "hoop", "donut"], "fish": ["fish"], "boat": ["boat", "sailboat", "ship"],
    "bird": ["bird"], "car": ["car", "automobile"],
}
ZH_SHAPES = {
    "ball": ["球", "圆球", "小球", "圆形"], "square": ["正方形", "方块", "方形", "盒子"],
    "triangle": ["三角形", "三角"], "star": ["星星", "五角星", "星形"], "heart": ["心形", "爱心", "心"],
    "ring": ["圆环", "环", "圈"], "fish": ["鱼", "小鱼"], "boat": ["船", "帆船", "小船"],
    "bird": ["鸟", "小鸟"], "car": ["汽车", "车", "小汽车"],
}
ZH_MEASURE = {"fish": "条", "boat": "艘", "bird": "只", "car": "辆", "star": "颗", "heart": "颗"}
EN_COLOURS = {
    "red": ["red", "crimson", "scarlet"], "orange": ["orange"], "yellow": ["yellow", "golden"],
    "green": ["green"], "blue": ["blue"], "purple": ["purple", "violet"], "pink": ["pink"],
    "white": ["white"], "black": ["black"],
}
ZH_COLOURS = {
    "red": ["红色", "红"], "orange": ["橙色", "橘色", "橙"], "yellow": ["黄色", "黄", "金黄色"],
    "green": ["绿色", "绿"], "blue": ["蓝色", "蓝"], "purple": ["紫色", "紫"], "pink": ["粉色", "粉红色"],
    "white": ["白色", "白"], "black": ["黑色", "黑"],
}
# (finite, participle)
EN_MOTIONS = {
    "left": [("moves left", "moving left"), ("moves to the left", "moving to the left"),
             ("slides left", "sliding left"), ("goes to the left", "going to the left"),
             ("drifts leftward", "drifting leftward"), ("travels from right to left", "travelling from right to left")],
    "right": [("moves right", "moving right"), ("moves to the right", "moving to the right"),
              ("slides right", "sliding right"), ("goes to the right", "going to the right"),
              ("drifts rightward", "drifting rightward"),
              ("travels from left to right", "travelling from left to right")],
    "up": [("moves up", "moving up"), ("rises", "rising"), ("goes up", "going up"), ("floats upward", "floating upward"),
           ("climbs", "climbing")],
    "down": [("moves down", "moving down"), ("falls", "falling"), ("goes down", "going down"),
             ("sinks", "sinking"), ("drops downward", "dropping downward"), ("descends", "descending")],
    "bounces": [("bounces", "bouncing"), ("bounces up and down", "bouncing up and down"), ("hops", "hopping"),
                ("jumps", "jumping")],
    "circles": [("circles", "circling"), ("moves in a circle", "moving in a circle"),
                ("goes round and round", "going round and round"), ("orbits", "orbiting")],
    "spins": [("spins", "spinning"), ("rotates", "rotating"), ("turns on the spot", "turning on the spot")],
    "grows": [("grows", "growing"), ("gets bigger", "getting bigger"), ("becomes larger", "becoming larger"),
              ("expands", "expanding")],
    "shrinks": [("shrinks", "shrinking"), ("gets smaller", "getting smaller"),
                ("becomes smaller", "becoming smaller")],
    "still": [("stays still", "staying still"), ("does not move", "not moving"), ("rests", "resting"),
              ("stands still", "standing still")],
}
ZH_MOTIONS = {
    "left": [["向", "左", "移动"], ["往", "左", "移动"], ["向", "左", "滑动"], ["从", "右", "到", "左", "移动"]],
    "right": [["向", "右", "移动"], ["往", "右", "移动"], ["向", "右", "滑动"], ["从", "左", "到", "右", "移动"]],
    "up": [["向", "上", "移动"], ["上升"], ["升起"], ["往", "上", "飘"]],
    "down": [["向", "下", "移动"], ["下落"], ["落下"], ["往", "下", "沉"], ["下降"]],
    "bounces": [["弹跳"], ["上下", "弹跳"], ["跳动"], ["蹦跳"]],
    "circles": [["绕圈"], ["转圈", "移动"], ["绕", "圈", "运动"], ["沿", "圆圈", "移动"]],
    "spins": [["旋转"], ["自转"], ["原地", "旋转"]],
    "grows": [["变大"], ["慢慢", "变大"], ["放大"], ["长大"]],
    "shrinks": [["变小"], ["缩小"], ["收缩"]],
    "still": [["静止"], ["静止", "不动"], ["停", "着", "不动"], ["保持", "不动"]],
}
EN_SPEEDS = {"slowly": ["slowly", "gently"], "quickly": ["quickly", "fast"]}
ZH_SPEEDS = {"slowly": ["缓慢地", "慢慢地"], "quickly": ["快速地", "飞快地"]}
EN_PLACES = {
    "sky": ["in the sky", "in a blue sky", "among the clouds", "in the air"],
    "sea": ["over the sea", "on the sea", "on the ocean", "at sea", "on the water"],
    "meadow": ["on the grass", "in a meadow", "on the meadow", "on the grassland", "on a green field"],
    "night": ["at night", "in the night sky", "under the stars", "in the night"],
    "desert": ["in the desert", "in a desert", "on the sand", "over the dunes"],
    "snow": ["in the snow", "on the snow", "in a snowy field", "on a snowy day"],
    "gray": ["on a gray background", "on a grey background", "on gray", "in front of a gray wall"],
    "black": ["on a black background", "on black", "in the dark"],
    "cream": ["on a cream background", "on cream", "on a beige background"],
}
ZH_PLACES = {
    "sky": [["在", "天空", "中"], ["在", "蓝天", "上"], ["在", "空中"]],
    "sea": [["在", "海上"], ["在", "大海", "上"], ["在", "海面", "上"], ["在", "海洋", "上"]],
    "meadow": [["在", "草地", "上"], ["在", "草原", "上"], ["在", "草坪", "上"]],
    "night": [["在", "夜空", "中"], ["在", "夜里"], ["在", "夜晚"], ["在", "星空", "下"]],
    "desert": [["在", "沙漠", "中"], ["在", "沙漠", "里"], ["在", "沙丘", "上"]],
    "snow": [["在", "雪地", "上"], ["在", "雪", "中"], ["在", "雪地", "里"]],
    "gray": [["在", "灰色", "背景", "上"], ["在", "灰色", "背景", "前"]],
    "black": [["在", "黑色", "背景", "上"], ["在", "黑色", "背景", "前"]],
    "cream": [["在", "米色", "背景", "上"], ["在", "奶油色", "背景", "上"]],
}
EN_CAMERAS = {
    "zoom_in": ["the camera zooms in", "zooming in"], "zoom_out": ["the camera zooms out", "zooming out"],
    "pan_left": ["the camera pans left", "panning left"], "pan_right": ["the camera pans right", "panning right"],
}
ZH_CAMERAS = {
    "zoom_in": [["镜头", "拉近"], ["镜头", "推进"]], "zoom_out": [["镜头", "拉远"]],
    "pan_left": [["镜头", "向", "左", "平移"]], "pan_right": [["镜头", "向", "右", "平移"]],
}
EN_STYLES = {
    "pixel": ["pixel art", "in pixel art style"], "pencil": ["pencil sketch", "in pencil sketch style"],
    "noir": ["film noir", "in black and white film noir style"], "neon": ["neon", "in neon style", "neon lights"],
}
ZH_STYLES = {"pixel": [["像素", "风格"], ["像素画"]], "pencil": [["铅笔", "素描"], ["素描", "风格"]],
             "noir": [["黑色电影", "风格"], ["黑白", "电影"]], "neon": [["霓虹", "风格"], ["霓虹灯", "风格"]]}
# Where the first of two objects is as the second sees it, and the other way round. (Not EN_: all of it is made of words
# and characters that other tables have.)
BESIDE = {"left_of": (["to the left of", "left of"], ["to the right of", "right of"]), "above": (["above"], ["under"])}
# Where each of the two is in the picture.
SIDES = {"en": {"left_of": (["on the left"], ["on the right"]), "above": (["on top"], [""])},
         "zh": {"left_of": (["在左面", "在左方"], ["在右面", "在右方"]), "above": (["在上面", "在上方"], ["在下面", "在下方"])}}
# Words that tell nothing by themselves.
FUNCTION_WORDS = set("a an the and with to on of 一 的 个 只 条 艘 辆 颗 地 着".split())
EN_FRAMES = ["a video of", "a clip of", "an animation of"]


class Word(str):
    """A word of a caption, and which of the scene's things it is about: None where it is about the whole scene."""

    thing = None


def _about(thing, words):
    found = [Word(word) for word in words]
    for word in found:
        word.thing = thing
    return found


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def _en_thing(thing, rng, drop):
    colour = [] if drop("colour") else [_pick(rng, EN_COLOURS[thing.colour])]
    words = colour + _pick(rng, EN_SHAPES[thing.shape]).split()
    article = "the" if rng.random() < 0.15 else ("an" if words[0][0] in "aeiou" else "a")
    return [article] + words


def _en_motion(thing, rng, participle):
    words = _pick(rng, EN_MOTIONS[thing.motion])[1 if participle else 0].split()
    if thing.speed == "normal":
        return words
    speed = _pick(rng, EN_SPEEDS[thing.speed])
    return [speed] + words if rng.random() < 0.35 and speed != "fast" else words + [speed]


def _en_pair(clauses, relation, rng):
    """One sentence of two; what is said first is what is left or above, unless the words say otherwise."""
    one, two = clauses
    form = rng.random()
    if form < 0.35:
        return one + ["and"] + two
    if form < 0.6:
        first, second = (_pick(rng, options).split() for options in SIDES["en"][relation])
        return one + first + ["and"] + two + (second if rng.random() < 0.3 else [])
    there, back = BESIDE[relation]
    if form < 0.8:
        return one + _pick(rng, there).split() + two
    return two + _pick(rng, back).split() + one


def _english(scene, rng, drop):
    participle = rng.random() < 0.35
    clauses = []
    for n, thing in enumerate(scene.things):
        unsaid = thing.motion == "still" and rng.random() < 0.25
        motion = [] if unsaid else _en_motion(thing, rng, participle)
        clauses.append(_about(n, _en_thing(thing, rng, drop) + motion))
    words = clauses[0] if len(clauses) == 1 else _en_pair(clauses, scene.relation, rng)
    if participle and rng.random() < 0.4:
        words = _pick(rng, EN_FRAMES).split() + words
    if not drop("place"):
        place = _pick(rng, EN_PLACES[scene.place]).split()
        words = place + [","] + words if rng.random() < 0.25 else words + place
    for table, value in ((EN_CAMERAS, scene.camera), (EN_STYLES, scene.style)):
        if value in table:
            extra = _pick(rng, table[value]).split()
            words = extra + [","] + words if rng.random() < 0.3 else words + [","] + extra
    return words


def _zh_thing(thing, rng, drop, counted):
    words = ["一" + ZH_MEASURE.get(thing.shape, "个")] if counted else []
    if not drop("colour"):
        colour = _pick(rng, ZH_COLOURS[thing.colour])
        words += [colour] + (["的"] if colour.endswith("色") and rng.random() < 0.75 else [])
    return words + [_pick(rng, ZH_SHAPES[thing.shape])]


def _chinese(scene, rng, drop):
    counted = rng.random() < 0.75
    place = [] if drop("place") else _pick(rng, ZH_PLACES[scene.place])
    clauses = []
    for n, thing in enumerate(scene.things):
        speed = [_pick(rng, ZH_SPEEDS[thing.speed])] if thing.speed != "normal" else []
        motion = speed + _pick(rng, ZH_MOTIONS[thing.motion])
        clauses.append((_about(n, _zh_thing(thing, rng, drop, counted)), _about(n, motion)))
    if len(clauses) == 2 and rng.random() < 0.5:
        sides = [[_pick(rng, options)] for options in SIDES["zh"][scene.relation]]
        clauses = [(subject, side + motion) for (subject, motion), side in zip(clauses, sides)]
        if rng.random() < 0.3:
            clauses.reverse()
    subject, motion = clauses[0]
    first_place = rng.random() < 0.4
    if first_place and place:
        words = (place[1:] if rng.random() < 0.6 else place) + ["，"] + subject + motion
    else:
        words = subject + place + motion
    for subject, motion in clauses[1:]:
        words += ["，"] + subject + motion
    for table, value in ((ZH_CAMERAS, scene.camera), (ZH_STYLES, scene.style)):
        if value in table:
            words += ["，"] + _pick(rng, table[value])
    return words


def words(scene, rng, language, dropped=0.0):
    """The caption's words. `dropped` is the chance that colour or place is left out (any value is then right)."""
    left_out = set(part for part in ("colour", "place") if rng.random() < dropped)
    make = _english if language == "en" else _chinese
    return make(scene, rng, lambda part: part in left_out)


def text(caption_words, language, rng=None):
    """The words as one string; with `rng`, sometimes with a capital and a full stop."""
    if language == "zh":
        joined = "".join(caption_words)
        return joined + "。" if rng is not None and rng.random() < 0.3 else joined
    joined = " ".join(caption_words).replace(" ,", ",")
    if rng is not None and rng.random() < 0.5:
        joined = joined[0].upper() + joined[1:]
    if rng is not None and rng.random() < 0.4:
        joined += "."
    return joined


def things_of_bytes(caption_words, language):
    """For each UTF-8 byte of text(caption_words, language), without a full stop: the `thing` of the word that it is in;
    None between words."""
    found = []
    for k, word in enumerate(caption_words):
        if language == "en" and k and word != ",":
            found.append(None)
        found += [getattr(word, "thing", None)] * len(word.encode())
    return found


def random_language(rng):
    """Two in five are Chinese."""
    return "zh" if rng.random() < 0.4 else "en"


def caption(scene, rng, dropped=0.0, language=None):
    """A random caption in a random language, unless one is given: (text, language)."""
    language = language or random_language(rng)
    return text(words(scene, rng, language, dropped), language, rng), language


def vocabulary():
    """Every word that a caption can hold, both languages."""
    found = FUNCTION_WORDS | set("top above , . ， 。".split())

    def walk(value):
        if isinstance(value, str):
            found.update(value.split())
        elif isinstance(value, dict):
            for part in value.values():
                walk(part)
        else:
            for part in value:
                walk(part)

    for name, table in globals().items():
        if name[:3] in ("EN_", "ZH_"):
            walk(table)
    found.update("一" + m for m in list(ZH_MEASURE.values()) + ["个"])
    return sorted(found)
