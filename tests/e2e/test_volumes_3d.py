"""Whole volumes, from a recipe without slices to a network over three dimensions: `simulate --model unet3d`, its model file,
`evaluate`, `predict`; what does not fit is refused."""
import json
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

from common import CliTest, main
from test_volumes import volumes

RECIPE = """recipe: 1
input: volume
steps:
  - orient: RAS
  - resample: {spacing: [1, 1, 1]}
  - percentiles: {low: 1, high: 99}
  - fit: {size: [16, 24, 8]}
store: {bits: 8, range: [0, 1]}
"""
FEW = ("--clients", 3, "--batch", 2, "--rounds", 4, "--local-epochs", 2, "--lr", 0.01, "--validation-fraction", 0.2, "--bootstrap",
       20, "--quiet")


class Volumes3d(CliTest):
    def setUp(self):
        super().setUp()
        volumes(self.path("data", "images"), self.path("data", "labels"))
        self.write("r.yaml", RECIPE)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def by(self, recipe="r.yaml"):
        return ("--data", self.path("data", "images"), "--recipe", self.path(recipe), "--masks", self.path("data", "labels"))

    def simulate(self, out, *options):
        return self.ok_json("simulate", *self.by(), "--model", "unet3d", "--out", self.path(out), *FEW, *options)

    def bytes(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()

    def test_learns_and_judges_volumes(self):
        r = self.simulate("a", "--compare", "plain,central")
        self.assertEqual((r["task"], r["sum_exact"], r["data"]["images"]), ("segmentation", True, 24))
        self.assertEqual((r["data"]["depth"], r["data"]["height"], r["data"]["width"]), (8, 24, 16))
        for way in ("encrypted", "plain", "central"):
            self.assertGreater(r[way]["dice"], 0.6, way)
            self.assertEqual((r[way]["hausdorff95_unit"], r[way]["volumes"]), ("mm", r[way]["n"]), way)
            self.assertEqual([s["class"] for s in r[way]["structures"]], [1, 2])
        self.assertEqual(r["encrypted"]["dice"], r["plain"]["dice"])  # the very same integers were added
        # A set of volumes: slice by slice, with the spacing that resample made.
        m = json.loads(self.bytes("a.set", "set.json"))
        self.assertEqual((m["images"], m["depth"], m["picture_spacing"]), (24, 8, [1.0, 1.0, 1.0]))
        masks = np.frombuffer(self.bytes("a.set", "masks.bin"), np.uint8).reshape(24, 8, 24, 16)
        pixels = np.frombuffer(self.bytes("a.set", "pixels.bin"), np.uint8).reshape(masks.shape)
        self.assertTrue((masks[:, [0, 7]] == 0).all() and (masks[:, 1:7].max((2, 3)) == 2).all())  # padded from 6 slices
        self.assertGreater(pixels[masks == 2].min(), pixels[masks == 1].max())
        page = self.bytes("a", "report.html").decode()
        self.assertRegex(page, "Hausdorff-95, mm|Hausdorff-95 in mm|mm")
        self.assertRegex(page, r"test volume \d+, slice [2-7]")

        # Another number of threads gives the same bytes; stopped and continued is the same run.
        self.simulate("b", "--compare", "none", "--threads", 1)
        self.assertEqual(self.bytes("a", "agg_model.h5"), self.bytes("b", "agg_model.h5"))
        done = self.ok_json("simulate", "--resume", "--out", self.path("a"), "--quiet")
        self.assertEqual(done["encrypted"]["dice"], r["encrypted"]["dice"])

        model = self.path("a", "agg_model.h5")
        info = self.ok_json("model", "info", model)
        self.assertEqual((info["depth"], info["tensors"][0]["shape"]), (8, [3, 3, 3, 1, 8]))
        self.assertIn("8 x 24 x 16 x 1 -> 3 classes", self.ok("model", "info", model).stdout)
        e = self.ok_json("evaluate", "--model", model, *self.by(), "--set", self.path("a.set"), "--part", "test",
                         "--validation-fraction", 0.2, "--bootstrap", 20)
        self.assertAlmostEqual(e["dice"], r["encrypted"]["dice"], places=6)
        self.assertAlmostEqual(e["hausdorff95"], r["encrypted"]["hausdorff95"], places=6)
        one = self.ok_json("predict", "--model", model, "--recipe", self.path("r.yaml"),
                           self.path("data", "images", "v03.nii.gz"))[0]
        for s in one["structures"]:
            self.assertAlmostEqual(s["millilitres"], s["voxels"] / 1000, places=9)
            self.assertLess(s["voxels"], masks[0].size / 4)
        self.assertIn(" ml)", self.ok("predict", "--model", model, "--recipe", self.path("r.yaml"),
                                      self.path("data", "images", "v04.nii.gz")).stdout)

        # What the data is like, and what augmentation does, from the middle slices.
        self.assertEqual(self.ok_json("data", "card", self.path("a.set"))["depth"], 8)
        self.ok("data", "augment-preview", self.path("a.set"), "--augment", "strong", "--out", self.path("sheet.html"))

    def test_what_does_not_fit(self):
        to = ("--out", self.path("x"), "--compare", "none", *FEW)
        self.fails(7, "is a network for pictures, and these are volumes", "simulate", *self.by(), "--model", "unet2d", *to)
        self.write("flat.yaml", RECIPE.replace("store:", "  - slices: {axis: axial, count: 4}\nstore:"))
        self.fails(7, "is a network for volumes, and these are pictures", "simulate", *self.by("flat.yaml"), "--model",
                   "unet3d", "--out", self.path("y"), *FEW)
        self.write("odd.yaml", RECIPE.replace("[16, 24, 8]", "[16, 24, 12]"))
        self.fails(7, "sides of 16 x 24 x 16 would do: let the recipe", "simulate", *self.by("odd.yaml"), "--model", "unet3d", "--out",
                   self.path("z"), *FEW)


if __name__ == "__main__":
    main()
