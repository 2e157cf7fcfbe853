"""What training relies on. Run with the Python of scripts/python-env: python -m unittest tests/scripts/train/training_test.py"""

import importlib.util
import os
import sys
import unittest
from pathlib import Path

import numpy as np

os.environ["TORCH_COMPILE_DISABLE"] = "1"  # compiling takes longer than the tests
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts/train"))

from world.draw import PALETTE, draw  # noqa: E402
from world.spec import SIMPLE_SHAPES, World, random_scene  # noqa: E402

HAVE_DIFFUSERS = importlib.util.find_spec("diffusers") and importlib.util.find_spec("torch")


@unittest.skipUnless(HAVE_DIFFUSERS, "needs the Python of scripts/python-env")
class ObjectMaps(unittest.TestCase):
    def test_covered_cells_have_the_object_s_colour(self):
        import object_maps
        for seed in range(12):
            scene = random_scene(seed, World(shapes=SIMPLE_SHAPES), 160, 96, 17, place="gray")
            clip, maps = draw(scene).astype(int), object_maps.of_scene(scene).numpy()
            self.assertEqual(maps.shape, (5, object_maps.MOMENTS, 24, 40))
            distance = np.abs(clip - np.array(PALETTE[scene.things[0].colour])).sum(-1)
            cells = distance.reshape(17, 24, 4, 40, 4).mean((2, 4))
            for f in range(5):
                for moment, frame in enumerate((max(0, 4 * f - 3), 4 * f)):
                    full, empty = maps[f, moment] == 255, maps[f, moment] == 0
                    self.assertLess(cells[frame][full].mean(), 0.5 * cells[frame][empty].mean(), (seed, f, moment))

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
        text = torch.randn(2, settings.MAX_TEXT, settings.TEXT["d_model"]).bfloat16()
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


if __name__ == "__main__":
    unittest.main()
