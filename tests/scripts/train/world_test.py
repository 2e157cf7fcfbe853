"""The drawn world, its captions, the tokenizer and the scorer. Run: python -m unittest tests/scripts/train/world_test.py"""

import dataclasses
import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts/train"))

from scorer.reading import read  # noqa: E402
from scorer.seeing import find_camera, find_style, judge, see, shrunk  # noqa: E402
from world import captions  # noqa: E402
from world.draw import PALETTE, draw  # noqa: E402
from world.spec import CAMERAS, PLACES, SIMPLE_SHAPES, STYLES, Scene, Thing, World, is_held_out, random_scene  # noqa: E402

ONE = World(shapes=SIMPLE_SHAPES)


class Drawing(unittest.TestCase):
    def test_same_seed_gives_the_same_bytes(self):
        a, b = (draw(random_scene(3, World(styled=0.5, pairs=0.5), 96, 64, 9)) for _ in range(2))
        self.assertTrue((a == b).all())

    def test_two_seeds_differ(self):
        a, b = (draw(random_scene(k, ONE, 96, 64, 9)) for k in (1, 2))
        self.assertFalse((a == b).all())

    def test_a_part_of_a_clip_has_the_frames_of_the_whole(self):
        for seed in range(12):
            world = World(styled=0.5, moving_camera=0.5, pairs=0.5)
            whole = draw(random_scene(seed, world, 96, 64, 33))
            part = draw(random_scene(seed, world, 96, 64, 9, part=(seed * 2, 33)))
            self.assertTrue((part == whole[seed * 2 :][:9]).all(), seed)

    def test_what_moves_moves_on_after_the_end(self):
        for motion, still_there in (("left", False), ("up", False), ("grows", True), ("circles", True), ("still", True)):
            world = World(shapes=("ball",), motions=(motion,))
            empty = draw(dataclasses.replace(random_scene(4, world, 96, 64, 9, part=(60, 17)), things=[]))
            seen = draw(random_scene(4, world, 96, 64, 9, part=(60, 17)))
            self.assertEqual((seen[-1] != empty[-1]).any(), still_there, motion)

    def test_a_moving_camera_does_not_go_past_the_end(self):
        scene = random_scene(4, World(moving_camera=1), 96, 64, 9, part=(15, 17))
        self.assertEqual((scene.before, scene.whole), (8, 17))

    def test_every_place_camera_and_style_draws_any_aspect(self):
        for width, height in ((96, 64), (64, 64), (48, 80)):
            for place in PLACES:
                self.assertEqual(draw(random_scene(1, ONE, width, height, 5, place=place)).shape, (5, height, width, 3))
            for camera in CAMERAS:
                scene = random_scene(2, ONE, width, height, 5)
                scene.camera = camera
                self.assertEqual(draw(scene).dtype, np.uint8)
            for style in STYLES:
                scene = random_scene(2, ONE, width, height, 5)
                scene.style = style
                self.assertEqual(draw(scene).shape, (5, height, width, 3))

    def test_the_middle_of_an_object_has_its_colour(self):
        for colour, rgb in PALETTE.items():
            scene = Scene("gray", [Thing("square", colour, "still", "normal", 0.25, (0.75, 0.5))], width=96, height=64,
                          frames=1)
            middle = draw(scene)[0, 34, 50].astype(int)
            self.assertLess(np.abs(middle - rgb).max(), 60, colour)

    def test_training_never_holds_a_held_out_combination(self):
        for seed in range(400):
            scene = random_scene(seed, World(pairs=0.3))
            for thing in scene.things:
                self.assertFalse(is_held_out(thing.shape, thing.colour, thing.motion, scene.place))
            thing = random_scene(seed, ONE, held_out=True)
            self.assertTrue(is_held_out(thing.things[0].shape, thing.things[0].colour, thing.things[0].motion,
                                        thing.place))


class Captions(unittest.TestCase):
    def test_a_third_or_more_are_chinese(self):
        rng = np.random.default_rng(0)
        languages = [captions.caption(random_scene(k, ONE), rng)[1] for k in range(600)]
        self.assertGreater(languages.count("zh") / 600, 1 / 3)

    def test_facts_can_be_read_back_in_both_languages(self):
        for seed in range(400):
            scene = random_scene(seed, World())
            language = ("en", "zh")[seed % 2]
            text, _ = captions.caption(scene, np.random.default_rng(seed), language=language)
            facts, thing = read(text), scene.things[0]
            self.assertEqual(facts.place, scene.place, text)
            self.assertEqual(facts.things[:1],
                             [{"shape": thing.shape, "colour": thing.colour, "motion": thing.motion}], text)


    def test_the_relation_is_that_of_the_thing_named_first(self):
        back = {"left_of": "right_of", "above": "below"}
        seen = set()
        for seed in range(400):
            scene, language = random_scene(seed, World(pairs=1, stacked=seed % 4 > 1)), ("en", "zh")[seed % 2]
            facts = read(captions.caption(scene, np.random.default_rng(seed), language=language)[0])
            named = [(thing["shape"], thing["colour"]) for thing in facts.things]
            drawn = [(thing.shape, thing.colour) for thing in scene.things]
            if facts.relation == back[scene.relation]:
                named.reverse()
            elif facts.relation:
                self.assertEqual(facts.relation, scene.relation)
            self.assertEqual(named, drawn)
            seen.add((language, facts.relation))
        self.assertEqual(seen, {(language, r) for language in ("en", "zh") for r in ("", "left_of", "right_of", "above", "below")})

    def test_words_tell_which_thing_they_are_about(self):
        for seed in range(300):
            scene, language = random_scene(seed, World(pairs=1, moving_camera=0.3)), ("en", "zh")[seed % 2]
            words = captions.words(scene, np.random.default_rng(seed), language)
            text, things = captions.text(words, language).encode(), captions.things_of_bytes(words, language)
            self.assertEqual(len(text), len(things), text)
            tables = [captions.EN_COLOURS, captions.EN_SHAPES] if language == "en" else [captions.ZH_COLOURS, captions.ZH_SHAPES]
            for n, thing in enumerate(scene.things):
                about = bytes(b for b, of in zip(text, things) if of == n).decode()
                for table, value in zip(tables, (thing.colour, thing.shape)):
                    self.assertTrue(any(word.replace(" ", "") in about for word in table[value]), (text, n, about))


@unittest.skipUnless(importlib.util.find_spec("transformers"), "needs the Python of scripts/python-env")
class Tokenizer(unittest.TestCase):
    def test_transformers_gives_sentencepiece_ids(self):
        import tokenizer
        with tempfile.TemporaryDirectory() as folder:
            theirs = tokenizer.build(Path(folder))
            ours = tokenizer.processor(Path(folder))
            rng = np.random.default_rng(0)
            texts = [captions.caption(random_scene(k, World(styled=0.3, moving_camera=0.3, pairs=0.3)), rng)[0]
                     for k in range(300)]
            for text in texts:
                self.assertNotIn(2, ours.encode(text), text)
            for text in texts + ["", "A Dragon in Paris", "一条红色的龙", "ＲＥＤ　ball", "héllo 🎈 world", "龙 x"]:
                self.assertEqual(ours.encode(text) + [1], theirs(text).input_ids, text)
            for text in texts:
                spans = tokenizer.spans(ours, text)
                self.assertEqual(len(spans), len(ours.encode(text)), text)
                self.assertEqual(b"".join(text.encode()[a:b] for a, b in spans), text.encode())


class Scorer(unittest.TestCase):
    def test_drawn_clips_score_right_and_wrong_captions_score_wrong(self):
        right, wrong = [], []
        for seed in range(24):
            scene = random_scene(900_000 + seed, ONE, 160, 96, 17)
            seen = see(draw(scene))
            text, _ = captions.caption(scene, np.random.default_rng(seed))
            right.append(judge(read(text), seen)["all"])
            other = random_scene(910_000 + seed, ONE, 160, 96, 17)
            text, _ = captions.caption(other, np.random.default_rng(seed))
            wrong.append(judge(read(text), seen)["all"])
        self.assertGreater(np.mean(right), 0.9)
        self.assertLess(np.mean(wrong), 0.1)

    def test_both_of_two_objects_are_seen(self):
        marks = []
        for seed in range(12):
            scene = random_scene(920_000 + seed, World(shapes=SIMPLE_SHAPES, pairs=1.0), 160, 96, 17)
            facts = read(captions.caption(scene, np.random.default_rng(seed))[0])
            marks.append(judge(facts, see(draw(scene))))
        for part in ("place", "colour", "number"):
            self.assertGreater(np.mean([m[part] for m in marks]), 0.9, part)

    def test_camera_and_style_are_seen(self):
        camera, style = [], []
        for seed in range(24):
            scene = random_scene(930_000 + seed, World(moving_camera=0.8), 160, 96, 17, place=PLACES[seed % 6])
            camera.append(find_camera(shrunk(draw(scene))) == scene.camera)
            scene = random_scene(940_000 + seed, World(styled=0.8), 160, 96, 17)
            style.append(find_style(draw(scene)) == scene.style)
        self.assertGreater(np.mean(camera), 0.8)
        self.assertGreater(np.mean(style), 0.8)

    def test_one_object_is_not_two(self):
        scene = random_scene(5, ONE, 160, 96, 17)
        facts = read("a red ball and a blue square on a gray background")
        self.assertFalse(judge(facts, see(draw(scene)))["all"])

    def test_what_a_caption_asks_for_is_read(self):
        facts = read("a red ball bounces on the left and a blue star spins in the desert, the camera zooms in, pixel art")
        self.assertEqual((facts.place, facts.camera, facts.style, facts.relation),
                         ("desert", "zoom_in", "pixel", "left_of"))
        self.assertEqual([t["motion"] for t in facts.things], ["bounces", "spins"])


if __name__ == "__main__":
    unittest.main()
