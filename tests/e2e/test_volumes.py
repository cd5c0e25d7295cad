"""Segmentation from volumes and masks in NIfTI files, by a recipe: `simulate --masks`, `evaluate --recipe --masks`."""
import csv
import gzip
import json
import os
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import nifti_files
from common import CliTest, main, run

RECIPE = """recipe: 1
input: volume
steps:
  - orient: RAS
  - percentiles: {low: 1, high: 99}
  - slices: {axis: axial, count: 4}
  - fit: {size: [16, 24]}
store: {bits: 8, range: [0, 1]}
"""
# Left to right and back: half of the files are stored mirrored, with a header that says so.
MIRRORED = np.array([[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
FEW = ("--clients", 3, "--batch", 8, "--rounds", 3, "--local-epochs", 2, "--lr", 0.01, "--validation-fraction", 0.2,
       "--compare", "none", "--bootstrap", 20, "--quiet")


def volumes(images, masks, n=24, seed=1):
    """n volumes of 16 x 24 x 6 with a bright disc (structure 1) and a brighter bar right of it (structure 2)."""
    rng = np.random.RandomState(seed)
    os.makedirs(images)
    os.makedirs(masks)
    x, y, _ = np.ogrid[:16, :24, :6]
    for i in range(n):
        cx, cy = rng.randint(5, 8), rng.randint(7, 17)
        mask = np.zeros((16, 24, 6), np.uint8)
        mask[np.broadcast_to((x - cx) ** 2 + (y - cy) ** 2 < 12, mask.shape)] = 1
        mask[np.broadcast_to((abs(y - cy) < 4) & (x - cx > 4) & (x - cx < 8), mask.shape)] = 2
        image = (200 + 300.0 * (mask == 1) + 700.0 * (mask == 2) + 20 * rng.randn(*mask.shape)).astype(np.float32)
        for folder, a in ((images, image), (masks, mask)):
            content = nifti_files.file(a[::-1], sform=1, srow=MIRRORED) if i % 2 else nifti_files.file(a, sform=1)
            with open(os.path.join(folder, f"v{i:02d}.nii.gz"), "wb") as f:
                f.write(gzip.compress(content))


class Volumes(CliTest):
    def setUp(self):
        super().setUp()
        volumes(self.path("data", "images"), self.path("data", "labels"))
        with open(self.path("r.yaml"), "w") as f:
            f.write(RECIPE)

    def simulate(self, out, data, masks, *options, **kwargs):
        return self.ok_json("simulate", "--data", data, "--recipe", self.path("r.yaml"), "--masks", masks, "--model",
                            "unet2d", "--out", self.path(out), *FEW, *options, **kwargs)

    def bytes(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()

    def test_learns_from_a_folder(self):
        # The masks lie beside the images, in the data folder: they are no pictures.
        r = self.simulate("a", self.path("data"), self.path("data", "labels"))
        self.assertEqual((r["task"], r["sum_exact"], r["data"]["images"]), ("segmentation", True, 24 * 4))
        self.assertGreater(r["encrypted"]["dice"], 0.8)
        self.assertEqual([s["class"] for s in r["encrypted"]["structures"]], [1, 2])
        # A patient is a volume, and no volume is on two sides: whole volumes everywhere.
        self.assertEqual(r["encrypted"]["n"], 4 * r["encrypted"]["patients"])
        self.assertEqual(sum(h["patients"] for h in r["data"]["hospitals"]) + r["encrypted"]["patients"], 24)
        for h in r["data"]["hospitals"]:
            self.assertEqual(h["train"] % 4, 0)
            self.assertEqual(h["train"] + h["validation"], 4 * h["patients"])
        # Mirrored files were turned with their masks: in every slice the bar has larger first coordinates than the disc.
        masks = np.frombuffer(self.bytes("a.set", "masks.bin"), np.uint8).reshape(96, 24, 16)
        pixels = np.frombuffer(self.bytes("a.set", "pixels.bin"), np.uint8).reshape(masks.shape)
        self.assertGreater(pixels[masks == 2].min(), pixels[masks == 1].max())
        self.assertGreater(pixels[masks == 1].min(), pixels[masks == 0].max())
        for m in masks:
            self.assertEqual(np.sign((np.nonzero(m == 2)[1].mean() - np.nonzero(m == 1)[1].mean())),
                             np.sign((np.nonzero(masks[0] == 2)[1].mean() - np.nonzero(masks[0] == 1)[1].mean())))
        config = json.loads(self.bytes("a", "config.json"))
        self.assertEqual(config["masks"], os.path.realpath(self.path("data", "labels")))

        # From the images' own folder, with relative paths and without classes: the same figures. 'evaluate' uses the set
        # of the first run.
        other = run("simulate", "--data", "images", "--recipe", "../r.yaml", "--masks", "labels", "--model", "unet2d", "--out",
                    "../b", *FEW, cwd=self.path("data"))
        self.assertEqual(other.returncode, 0, other.stderr)
        with open(self.path("b", "result.json")) as f:
            b = json.load(f)
        self.assertEqual((b["encrypted"]["dice"], b["data"]["label_key"]), (r["encrypted"]["dice"], "masks alone"))
        e = self.ok_json("evaluate", "--model", self.path("a", "agg_model.h5"), "--data", self.path("data"), "--recipe",
                         self.path("r.yaml"), "--masks", self.path("data", "labels"), "--set", self.path("a.set"), "--part",
                         "test", "--validation-fraction", 0.2, "--bootstrap", 20)
        self.assertAlmostEqual(e["dice"], r["encrypted"]["dice"], places=6)
        told = self.ok("evaluate", "--model", self.path("a", "agg_model.h5"), "--data", self.path("data", "images"),
                       "--recipe", self.path("r.yaml"), "--masks", self.path("data", "labels"), "--set", self.path("e.set"))
        self.assertIn("Dice ", told.stdout)
        self.assertIn("patients           24", told.stdout)
        self.assertNotIn("auc", told.stdout)

        # Continued from elsewhere it ends in the same result; with other masks it is another run.
        done = self.ok_json("simulate", "--resume", "--out", self.path("a"), "--quiet")
        self.assertEqual(done["encrypted"]["dice"], r["encrypted"]["dice"])
        self.fails(13, "another 'masks'", "simulate", "--data", self.path("data"), "--recipe", self.path("r.yaml"), "--masks",
                   self.path("data", "images"), "--model", "unet2d", "--resume", "--out", self.path("a"), *FEW)

    def test_neighbouring_slices_as_channels(self):
        """Three or five channels: the set, training, evaluation, cards and pictures take them; three are no colours."""
        images, masks = self.path("data", "images"), self.path("data", "labels")
        for n, channels in ((1, 3), (2, 5)):
            with open(self.path("r.yaml"), "w") as f:
                f.write(RECIPE.replace("count: 4", f"neighbours: {n}"))
            self.ok("data", "import", images, "--recipe", self.path("r.yaml"), "--masks", masks, "--out", self.path("set"))
            with open(self.path("set", "set.json")) as f:
                m = json.load(f)
            self.assertEqual((m["channels"], m["shown"], m["images"]), (channels, n, 24 * 6))
            pixels = np.frombuffer(self.bytes("set", "pixels.bin"), np.uint8).reshape(24, 6, 24, 16, channels)
            for k in range(channels):  # every slice is the middle of one picture, and beside it in others
                beside = np.clip(np.arange(6) + k - n, 0, 5)
                np.testing.assert_array_equal(pixels[..., k], pixels[:, beside][..., n])
            self.assertIn(f"{channels} channels", self.ok("data", "inspect", self.path("set")).stdout)
            self.ok("data", "card", self.path("set"), "--html", self.path("card.html"))
            self.ok("data", "augment-preview", self.path("set"), "--out", self.path("sheet.html"))
            self.fails(7, f"has {channels} channels, and 1 were asked for", "simulate", "--data", self.path("set"),
                       "--channels", 1, "--model", "unet2d", "--out", self.path("x"), *FEW)
        r = self.ok_json("simulate", "--data", self.path("set"), "--model", "unet2d", "--out", self.path("a"), *FEW,
                         "--rounds", 1, "--local-epochs", 1)
        self.assertEqual((r["data"]["channels"], r["data"]["shown"], r["sum_exact"]), (5, 2, True))
        self.assertIn(b"5 channels", self.bytes("a", "report.html"))
        e = self.ok_json("evaluate", "--model", self.path("a", "agg_model.h5"), "--data", self.path("set"), "--part", "test",
                         "--validation-fraction", 0.2, "--bootstrap", 0)
        self.assertAlmostEqual(e["dice"], r["encrypted"]["dice"], places=6)

    def test_masks_by_a_column(self):
        with open(self.path("data", "labels.csv"), "w", newline="") as f:
            w = csv.writer(f)
            w.writerow(["file", "mask", "self", "patient"])
            for i in range(24):  # two volumes of each patient
                w.writerow([f"images/v{i:02d}.nii.gz", f"labels/v{i:02d}.nii.gz", f"images/v{i:02d}.nii.gz", f"p{i // 2}"])
        options = ("--recipe", self.path("r.yaml"), "--patient", "patient")
        r = self.simulate("a", self.path("data", "images"), "mask", "--patient", "patient", "--rounds", 1)
        self.assertEqual(sum(h["patients"] for h in r["data"]["hospitals"]) + r["encrypted"]["patients"], 12)
        self.assertEqual(json.loads(self.bytes("a", "config.json"))["masks"], "mask")
        self.fails(12, "as its own mask", "data", "import", self.path("data", "images"), *options, "--masks", "self",
                   "--out", self.path("s"))
        self.fails(12, "has no column 'other'", "data", "import", self.path("data", "images"), *options, "--masks", "other",
                   "--out", self.path("s"))

    def test_refusals(self):
        to = ("--model", "unet2d", "--out", self.path("x"), *FEW)
        images, masks = self.path("data", "images"), self.path("data", "labels")
        by = ("--recipe", self.path("r.yaml"))
        self.fails(2, "go with --recipe", "simulate", "--data", images, "--masks", masks, *to)
        self.fails(12, "no folder, and there is no table", "simulate", "--data", images, *by, "--masks", "mask", *to)
        self.fails(12, "every picture of the data lies in this folder", "simulate", "--data", images, *by, "--masks", images,
                   *to)
        os.makedirs(self.path("empty"))
        # Folders taken for one another are one error, also where the images' values are whole and would do as masks.
        self.fails(2, "images and masks are exchanged", "simulate", "--data", masks, *by, "--masks", images, *to)
        x = np.arange(16 * 24 * 6).reshape(16, 24, 6)
        for name in sorted(os.listdir(images)):
            os.makedirs(self.path("whole"), exist_ok=True)
            with open(self.path("whole", name), "wb") as f:
                f.write(gzip.compress(nifti_files.file((x % 200).astype(np.uint8), sform=1)))
        self.fails(2, "images and masks are exchanged", "simulate", "--data", masks, *by, "--masks", self.path("whole"), *to)
        self.fails(12, "24 lack a file or a mask", "simulate", "--data", images, *by, "--masks", self.path("empty"), *to)
        self.fails(12, "nothing tells the classes", "simulate", "--data", images, *by, *to)
        self.assertFalse(os.path.exists(self.path("x")))
        # evaluate
        model = ("evaluate", "--model", self.path("m.h5"), "--data", images)
        self.ok("simulate", "--data", self.path("data"), *by, "--masks", masks, "--model", "unet2d", "--out", self.path("y"),
                *FEW, "--rounds", 1)
        os.rename(self.path("y", "agg_model.h5"), self.path("m.h5"))
        self.fails(2, "go with --recipe", *model, "--masks", masks)
        self.fails(2, "--set DIR", *model, *by, "--masks", masks)

    def test_single_exchanged_pairs_are_left_out(self):
        images, masks = self.path("data", "images"), self.path("data", "labels")
        for name in ("v00.nii.gz", "v23.nii.gz"):
            os.rename(os.path.join(images, name), self.path("spare"))
            os.rename(os.path.join(masks, name), os.path.join(images, name))
            os.rename(self.path("spare"), os.path.join(masks, name))
            r = run("data", "import", images, "--recipe", self.path("r.yaml"), "--masks", masks, "--out", self.path("s" + name),
                    "--json")
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertEqual(json.loads(r.stdout)["samples"], 23 if name == "v00.nii.gz" else 22)
            self.assertIn("is it an image?", r.stderr)

    def test_without_masks_the_configuration_is_as_before(self):
        self.ok("simulate", "--data", "phantom", "--phantom-images", 60, "--size", 16, "--out", self.path("p"), "--clients", 3,
                "--rounds", 1, "--compare", "none", "--bootstrap", 0, "--quiet")
        self.assertNotIn("masks", json.loads(self.bytes("p", "config.json")))


if __name__ == "__main__":
    main()
