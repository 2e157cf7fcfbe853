"""What training relies on. Run with the Python of scripts/python-env: python -m unittest tests/scripts/train/training_test.py"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

WORK = tempfile.TemporaryDirectory()
os.environ["SORA_TRAIN_DIR"] = WORK.name
os.environ["TORCH_COMPILE_DISABLE"] = "1"  # compiling takes longer than the tests
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts/train"))

from world.draw import PALETTE, draw  # noqa: E402
from world.spec import SIMPLE_SHAPES, World, random_scene  # noqa: E402

HAVE_DIFFUSERS = importlib.util.find_spec("diffusers") and importlib.util.find_spec("torch")


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class ObjectMaps(unittest.TestCase):
    def test_covered_cells_have_the_object_s_colour(self):
        import object_maps
        for seed in range(24):
            scene = random_scene(seed, World(shapes=SIMPLE_SHAPES, moving_camera=seed % 2), 160, 96, 17, place="gray")
            clip, maps = draw(scene).astype(int), object_maps.of_scene(scene).numpy()
            self.assertEqual(maps.shape, (5, object_maps.MOMENTS, 24, 40))
            distance = np.abs(clip - np.array(PALETTE[scene.things[0].colour])).sum(-1)
            cells = distance.reshape(17, 24, 4, 40, 4).mean((2, 4))
            for f in range(5):
                for moment, frame in enumerate((max(0, 4 * f - 3), 4 * f)):
                    full, empty = maps[f, moment] == 255, maps[f, moment] == 0
                    self.assertLess(cells[frame][full].mean(), 0.5 * cells[frame][empty].mean(), (seed, f, moment))

    def test_tokens_show_the_kinds_of_what_covers_them(self):
        import object_maps
        from world.spec import CAMERAS, COLOURS, MOTIONS, SHAPES, STYLES
        columns = [(part, name) for part, names in (("colour", COLOURS), ("shape", SHAPES), ("motion", MOTIONS),
                                                    ("camera", CAMERAS), ("style", STYLES)) for name in names]
        for seed in range(12):
            scene = random_scene(seed, World(shapes=SIMPLE_SHAPES, moving_camera=0.5, pairs=1), 192, 96, 17)
            maps = object_maps.of_things(scene)
            kinds = object_maps.kinds_of(scene, maps)
            self.assertEqual(kinds.shape, (5 * 3 * 6, len(columns)))
            of = {column: kinds[:, n].view(5, 3, 6) for n, column in enumerate(columns)}
            for thing, covered in zip(scene.things, maps):
                tokens = covered.amax(1).view(5, 3, 8, 6, 8).amax((2, 4)) >= 128
                self.assertTrue(tokens.any(), seed)
                for part in ("colour", "shape", "motion"):
                    self.assertTrue(of[part, getattr(thing, part)][tokens].all(), (seed, part))
            self.assertEqual(sum(int(of["colour", c].any()) for c in COLOURS), 2, seed)
            self.assertTrue(of["camera", scene.camera].all() and of["style", "flat"].all(), seed)
            self.assertEqual(int(kinds[0, -len(CAMERAS) - len(STYLES) :].sum()), 2, seed)

    def test_targets_and_importance_lie_where_the_object_lies(self):
        import object_maps
        import torch
        maps = torch.zeros(1, 1, object_maps.MOMENTS, 16, 24, dtype=torch.uint8)
        maps[0, 0, 1, 8:12, 16:20] = 255  # the upper left cell of 16 pixels of the last token
        targets = object_maps.targets(maps)
        self.assertEqual(targets.shape, (1, 6, 128))
        self.assertEqual(targets.sum((0, 2)).tolist(), [0, 0, 0, 0, 0, 16])
        weights = object_maps.importance(maps, 3.0)
        self.assertEqual(weights.shape, (1, 1, 1, 4, 6))
        self.assertEqual(float(weights[0, 0, 0, 2, 4]), 4)
        self.assertEqual(float(weights.sum()), 27)


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class KnownFrames(unittest.TestCase):
    def test_parts_have_known_frames_and_most_go_past_the_end(self):
        import stage_latents
        masked = parts = past = 0
        for seed in range(300):
            known, part = stage_latents.known_frames(seed, 17)
            scene = stage_latents.scene_of("single-64x64x17", seed)
            if known is not None:
                masked += 1
                self.assertTrue(known.any() and not known.all(), seed)
            if part:
                parts += 1
                self.assertIsNotNone(known, seed)
                self.assertLess(part[0], part[1] + 8)
                past += part[0] + 17 > part[1]
                self.assertEqual((scene.before, scene.whole, scene.frames), (*part, 17))
            else:
                self.assertEqual((scene.before, scene.length), (0, 17))
        self.assertAlmostEqual(masked / 300, stage_latents.MASKED_SHARE, delta=0.08)
        self.assertAlmostEqual(parts / masked, stage_latents.PART_SHARE, delta=0.12)
        self.assertAlmostEqual(past / parts, 2 / 3, delta=0.2)


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class TextEncoder(unittest.TestCase):
    def test_a_word_has_other_features_in_the_second_clause_than_in_the_first(self):
        import settings
        import stage_diffusion
        import tokenizer
        import torch
        nano = stage_diffusion.Nano(settings.prepare(0), pretrained=False)
        rows, lengths = tokenizer.ids(nano.pieces, ["a red ball and a blue star", "a blue star and a red ball"])
        ids = torch.tensor(rows)[:, : lengths[0]]
        with torch.no_grad():
            features = nano.text_encoder(ids, torch.ones_like(ids)).last_hidden_state
        red = [features[n][rows[n].index(nano.pieces.piece_to_id("▁red"))] for n in range(2)]
        self.assertGreater(float((red[0] - red[1]).norm() / red[0].norm()), 0.05)

    def test_each_id_of_a_caption_belongs_to_what_it_tells_about(self):
        import settings
        import stage_diffusion
        import stage_text
        nano = stage_diffusion.Nano(settings.prepare(0), pretrained=False)
        ends = set()
        for seed in range(40):
            scene = random_scene(seed, World(pairs=seed % 2))
            text, owners = stage_text.spoken(nano, scene, np.random.default_rng(seed))
            pieces = [nano.pieces.id_to_piece(n).strip("▁") for n in nano.pieces.encode(text)]
            self.assertEqual(len(pieces), len(owners), text)
            self.assertEqual(set(owners) - {0}, set(range(1, 1 + len(scene.things))), text)
            self.assertFalse(any(owner for piece, owner in zip(pieces, owners) if piece in (",", ".", "。")), text)
            ends.add(text[-1] in ".。")
        self.assertEqual(ends, {True, False})

    def test_the_second_of_one_thing_is_unsaid(self):
        import stage_text
        one, two = (random_scene(3, World(pairs=pairs)) for pairs in (0, 1))
        self.assertEqual(len(stage_text.labels(one)), len(stage_text.FACTS))
        self.assertEqual(stage_text.labels(one)[-4:], [stage_text.UNSAID] * 4)
        self.assertNotIn(stage_text.UNSAID, stage_text.labels(two))
        self.assertTrue(stage_text.is_plain(one) and not stage_text.is_plain(two))


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class FastTransformer(unittest.TestCase):
    def test_velocity_is_that_of_diffusers_with_the_whole_padded_text(self):
        import fast_transformer
        import settings
        import torch
        from diffusers import WanTransformer3DModel
        torch.manual_seed(0)
        model = WanTransformer3DModel(**settings.TRANSFORMER)
        working = fast_transformer.Working([model])
        x, timestep = torch.randn(2, 100, 2, 4, 6), torch.tensor([900.0, 300.0])
        lengths, kept = torch.tensor([9, 3]), 16
        text = torch.randn(2, settings.MAX_TEXT, settings.TEXT["d_model"]).to(settings.matrix_type("cpu"))
        text *= (torch.arange(settings.MAX_TEXT)[None] < lengths[:, None])[..., None]
        bias = fast_transformer.padding_bias(lengths, kept, settings.MAX_TEXT)
        with torch.no_grad():
            theirs = model(x, timestep, text.float(), return_dict=False)[0]
            ours = fast_transformer.forward(model, working, x, timestep, (text[:, :kept], bias))
        self.assertLess(float((ours - theirs).norm() / theirs.norm()), 0.02)

    def test_attention_has_the_gradients_of_its_plain_form(self):
        import fast_transformer
        import torch
        torch.manual_seed(0)
        inputs = [torch.randn(2, 3, 5, 4, requires_grad=True) for _ in range(3)]
        bias, towards = torch.randn(2, 5), torch.randn(2, 3, 5, 4)
        fast_transformer._Attention.apply(*inputs, bias).backward(towards)
        ours = [t.grad.clone() for t in inputs]
        for t in inputs:
            t.grad = None
        q, k, v = inputs
        (torch.softmax(q @ k.transpose(-1, -2) / 2 + bias[:, None, None], -1) @ v).backward(towards)
        for mine, t in zip(ours, inputs):
            self.assertLess(float((mine - t.grad).abs().max()), 1e-5)


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class Turbo(unittest.TestCase):
    def test_noise_levels_are_those_of_diffusers_euler(self):
        import stage_turbo
        from diffusers import FlowMatchEulerDiscreteScheduler
        scheduler = FlowMatchEulerDiscreteScheduler(shift=stage_turbo.SHIFT)
        scheduler.set_timesteps(sigmas=stage_turbo.plain_levels().tolist())
        np.testing.assert_allclose(stage_turbo.levels(), scheduler.sigmas.numpy(), atol=1e-6)
        self.assertEqual(len(stage_turbo.SMALL_STEPS), stage_turbo.STEPS)

    def test_diffusers_loads_the_lora_as_it_was_trained(self):
        import copy
        import settings
        import stage_turbo
        import torch
        from diffusers import WanTransformer3DModel
        torch.manual_seed(0)
        model = WanTransformer3DModel(**settings.TRANSFORMER | {"num_layers": 1})
        plain = copy.deepcopy(model)
        lora = stage_turbo.Lora(model, 4)
        self.assertEqual(len(lora.of), 10)
        with torch.no_grad():
            for _, _, _, up in lora.of.values():
                up.normal_(0, 0.05)
        lora.apply()
        inputs = torch.randn(1, 100, 2, 4, 4), torch.tensor([500.0]), torch.randn(1, 8, settings.TEXT["d_model"])
        with torch.no_grad():
            before, trained = (m(*inputs, return_dict=False)[0] for m in (plain, model))
            plain.load_lora_adapter(lora.tensors())
            loaded = plain(*inputs, return_dict=False)[0]
        self.assertLess(float((loaded - trained).norm() / trained.norm()), 1e-4)
        self.assertGreater(float((before - trained).norm() / trained.norm()), 1e-2)
        another = stage_turbo.Lora(WanTransformer3DModel(**settings.TRANSFORMER | {"num_layers": 1}), 4)
        another.copy_(lora.tensors())
        for name, tensor in lora.tensors().items():
            self.assertTrue(torch.equal(another.tensors()[name], tensor), name)


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class Orthogonal(unittest.TestCase):
    def test_singular_values_come_near_one_and_vectors_stay(self):
        import muon
        import torch
        torch.manual_seed(0)
        for rows, columns in ((32, 32), (24, 96), (96, 24), (16, 27 * 16)):
            x = torch.randn(3, rows, columns)
            found = muon._orthogonalise(x)
            u, _, v = torch.linalg.svd(x, full_matrices=False)
            values = torch.diagonal(u.transpose(1, 2) @ found @ v.transpose(1, 2), dim1=1, dim2=2)
            self.assertGreater(float(values.median()), 0.65, (rows, columns))
            self.assertLess(float(values.max()), 1.35, (rows, columns))
            rest = found - u @ torch.diag_embed(values) @ v
            self.assertLess(float(rest.norm() / found.norm()), 0.05, (rows, columns))


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class Vae(unittest.TestCase):
    def test_outlines_weigh_most_and_the_mean_is_one(self):
        import stage_vae
        import torch
        coverage = torch.zeros(1, 1, 2, 32, 32)
        coverage[..., 8:24, 8:24] = 1
        weights = stage_vae.importance(coverage)[0, 0, 0]
        self.assertAlmostEqual(float(weights.mean()), 1, places=4)
        self.assertGreater(weights[16, 8], 2 * weights[16, 16])
        self.assertGreater(weights[16, 16], weights[2, 2])


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class FromModel(unittest.TestCase):
    def test_checkpoints_hold_the_model_s_own_weights_and_count_as_complete(self):
        import from_model
        import settings
        import stage_diffusion
        import torch
        from safetensors.torch import load_file
        with mock.patch.object(sys, "argv", ["from_model.py", str(settings.MODEL_DIR)]):
            from_model.main()
        saved = settings.load(settings.WORK / "diffusion/paired.pt")
        own = load_file(settings.MODEL_DIR / "transformer/diffusion_pytorch_model.safetensors")
        for name, tensor in own.items():
            self.assertTrue(torch.equal(saved["average"]["transformer." + name], tensor.float()), name)
        names = {n for n, _ in stage_diffusion.Nano("cpu").named_parameters() if not n.startswith("head.")}
        self.assertEqual(names, set(saved["average"]))
        self.assertEqual(saved["step"], settings.COMPLETE)


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class CachedClips(unittest.TestCase):
    def test_as_many_clips_are_drawn_as_are_asked_for_and_more_go_on_from_them(self):
        import settings
        import stage_latents
        import stage_vae
        settings.save(stage_vae.FOLDER / f"{stage_vae.REFINED}.pt", {"model": stage_vae.new_vae().state_dict()})
        folder = stage_latents.FOLDER / "single-64x64x5"

        def drawn(clips):
            with mock.patch.object(sys, "argv", ["stage_latents.py", folder.name, "--clips", str(clips), "--shard", "2"]):
                stage_latents.main()
            return [settings.load(path)["seeds"].tolist() for path in sorted(folder.glob("*.pt"))]

        self.assertEqual(drawn(3), [[0, 1], [2]])
        first = (folder / "0001.pt").read_bytes()
        self.assertEqual(drawn(6), [[0, 1], [2], [3, 4], [5]])
        self.assertEqual(drawn(4), [[0, 1], [2], [3, 4], [5]])
        self.assertEqual((folder / "0001.pt").read_bytes(), first)

    def test_clips_with_other_shapes_are_passed_over_and_masks_stay_with_their_clips(self):
        import settings
        import stage_diffusion
        import stage_latents
        import torch
        bucket, count = "objects-64x64x5", 60
        masks = {k: known for k in range(count) if (known := stage_latents.known_frames(k, 5)[0]) is not None}
        numbers = torch.arange(count).view(count, 1, 1, 1, 1)
        settings.save(stage_latents.FOLDER / bucket / "0000.pt", {
            "seeds": torch.arange(count), "latents": numbers, "conditions": numbers[list(masks)],
            "known": torch.stack([torch.from_numpy(known) for known in masks.values()]), "index": torch.tensor(list(masks))})
        for shapes in SIMPLE_SHAPES, ("fish", "boat"):
            cache = stage_diffusion.Cache(bucket, shapes)
            wanted = [k for k in range(count) if stage_latents.scene_of(bucket, k).things[0].shape in shapes]
            self.assertEqual(cache.refresh(), len(wanted))
            self.assertEqual([int(x) for x in cache.latents], wanted)
            self.assertEqual([scene.seed for scene in cache.scenes], wanted)
            self.assertEqual({int(cache.latents[i]): int(cache.conditions[n]) for i, n in cache.condition_of.items()},
                             {k: k for k in wanted if k in masks})
            for i, n in cache.condition_of.items():
                self.assertEqual(cache.known[n].tolist(), masks[wanted[i]].tolist())


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class FinishedClips(unittest.TestCase):
    def test_crops_of_latents_and_pixels_are_of_one_place_and_what_borders_on_the_rest_counts_nothing(self):
        import stage_decoder
        import torch
        rows, columns, size = 4, 6, 48
        cells = torch.arange(rows * columns).view(rows, columns)
        pixels = cells.repeat_interleave(16, 0).repeat_interleave(16, 1)
        clip = torch.zeros(4, 5, rows * 16, columns * 16, dtype=torch.uint8)
        clip[:3], clip[3, :, 20:50, 30:70] = pixels, 255
        pool = stage_decoder.Pool([], [], 1, np.random.default_rng(0))
        pool.clips.append((clip, cells.float().expand(2, 2, rows, columns)))
        seen = set()
        for _ in range(40):
            latents, target, weights = pool.crop(size)
            first = int(latents[0, 0, 0, 0, 0])
            seen.add(first)
            self.assertTrue(torch.equal(((target[0, 0, 0] + 1) * 127.5).round()[::16, ::16], latents[0, 0, 0]))
            row, column, border = first // columns, first % columns, stage_decoder.BORDER
            counted = (weights[0, 0, 0] > 0)
            self.assertEqual(counted.any(1).nonzero().flatten().tolist(),
                             list(range(border * (row > 0), size - border * (row < rows - 3))))
            self.assertEqual(counted.any(0).nonzero().flatten().tolist(),
                             list(range(border * (column > 0), size - border * (column < columns - 3))))
        self.assertGreater(len(seen), 3)

    def test_a_batch_that_the_model_finishes_goes_back_to_its_own_latents_where_the_model_knows_them(self):
        import settings
        import stage_decoder
        import stage_diffusion
        import stage_latents
        import stage_vae
        import torch
        z = settings.Z
        settings.save(stage_vae.FOLDER / f"{stage_vae.REFINED}.pt", {"model": stage_vae.new_vae().state_dict()})
        nano = stage_diffusion.Nano("cpu", pretrained=False)
        settings.save(stage_diffusion.FOLDER / "finishes.pt", {
            "average": dict(nano.named_parameters()), "mean": torch.full((z,), 2.0), "std": torch.full((z,), 3.0)})
        model = stage_decoder.Model("cpu", "finishes")
        latents = torch.randn(2, z, 2, 4, 4) * 3 + 2
        clean = (latents - 2) / 3
        extras = []

        def knowing(nano, x, extra, sigma, texts, guidance):
            """The velocity of a model that knows the clip."""
            extras.append(extra)
            return (x - clean) / float(sigma)

        with mock.patch.object(stage_decoder.stage_turbo, "guided", knowing):
            found = model.finished(latents, ["a", "b"], np.random.default_rng(0))
        torch.testing.assert_close(found, latents, atol=1e-4, rtol=1e-4)
        vae = stage_latents.load_vae(stage_vae.REFINED, "cpu")
        grey = stage_latents.encode_video(vae, torch.zeros(1, 3, 5, 64, 64)).float()
        for extra in extras:
            self.assertFalse(extra[:, :4].any())
            torch.testing.assert_close(extra[:, 4:], ((grey - 2) / 3).expand(2, -1, -1, -1, -1))


PAIR = """
import os
import torch
from together import Together
together = Together()
weights = [torch.nn.Parameter(torch.zeros(n)) for n in (3, 2)] + [torch.nn.Parameter(torch.zeros(1))]
for n, p in enumerate(weights[:2]):
    p.grad = torch.full_like(p, 10.0 * n + together.rank)
together.average_(weights)
said = together.from_first(["agreed", together.rank])
assert weights[2].grad is None
for count in (1, 3):
    rows = torch.arange(2.0 * count).view(count, 2)
    assert torch.equal(together.shared(lambda mine: mine * 2, rows), rows * 2)
with open(f"{os.environ['SORA_TRAIN_DIR']}/rank{together.rank}", "w") as file:
    print([p.grad.tolist() for p in weights[:2]], said, together.is_first, file=file)
together.end()
"""


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class TrainingTogether(unittest.TestCase):
    def test_gradients_are_averaged_and_the_first_process_decides(self):
        folder = Path(WORK.name)
        script = folder / "pair.py"
        script.write_text(PAIR)
        subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
                       check=True, env={**os.environ, "PYTHONPATH": sys.path[0]}, capture_output=True, timeout=120)
        for rank in range(2):
            self.assertEqual((folder / f"rank{rank}").read_text().strip(),
                             f"[[0.5, 0.5, 0.5], [10.5, 10.5]] ['agreed', 0] {rank == 0}")


if __name__ == "__main__":
    unittest.main()
