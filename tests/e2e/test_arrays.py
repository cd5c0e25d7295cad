"""Volumes and masks in .npz files by a recipe: held to the same volumes as NIfTI files, and to numpy."""
import csv
import json
import os
import sys
import unittest
import zipfile

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import nifti_files
from common import CliTest, data_folder, main

SIDES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
WHOLE = """recipe: 1
input: volume
steps:
  - {orient}
  - fit: {{size: [9, 11, 7], fill: 0}}
  - slices: {{axis: slices}}
store: {{bits: 16, range: [0, 65535]}}
"""
PICTURES = """recipe: 1
input: picture
steps:
  - resize: {size: [12, 10]}
"""


class Arrays(CliTest):
    def recipe(self, text, name="r.yaml"):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def imported(self, data, recipe, *options):
        """The manifest, the samples, the masks (or None)."""
        out = self.path("set")
        m = self.ok_json("data", "import", data, "--recipe", recipe, "--out", out, "--threads", 2, *options)
        shape = (m["images"], m["height"], m["width"], m["channels"])
        pixels = np.fromfile(os.path.join(out, "pixels.bin"), "<u1" if m["bits"] == 8 else "<u2").reshape(shape)
        masks = os.path.join(out, "masks.bin")
        return m, pixels, np.fromfile(masks, "u1").reshape(shape[:3]) if m["masks"] else None

    def save(self, name="x.npz", **arrays):
        np.savez_compressed(self.path(name), **arrays)
        return self.path(name)

    def test_as_nifti_files(self):
        """The same volumes in files with affines: every step, several directions and types, samples for samples."""
        recipe = self.recipe("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - resample: {spacing: [1, 1.5, 2]}\n"
                             "  - percentiles: {low: 1, high: 99}\n  - slices: {axis: axial, neighbours: 1}\n"
                             "  - fit: {size: [20, 24]}\n")
        turned = self.recipe("recipe: 1\ninput: volume\nsteps:\n  - percentiles: {low: 2, high: 98}\n"
                             "  - slices: {axis: columns}\n  - resize: {size: [9, 8]}\n", "t.yaml")
        rng = np.random.default_rng(1)
        for axes, kind in (("RAS", "<f4"), ("SPL", "u1"), ("AIR", ">i2"), ("LAI", "<f8")):
            x = (rng.normal(size=(5, 12, 9, 14)).cumsum(1).cumsum(3) * 9 + 99).clip(0, 255).astype(kind)
            mask = (x > 120).astype("i8") + (x > 170)
            spacing = (np.array([1.5, 2.0, 0.75]) * (1 + np.arange(5)[:, None] / 10)).astype("f4")
            folder = self.path("n" + axes)
            for sub, a in (("images", x), ("masks", mask.astype("u1"))):
                os.makedirs(os.path.join(folder, sub))
                for i in range(5):
                    srow = np.zeros((3, 4))
                    for k, letter in enumerate(axes):
                        srow[SIDES[letter][0], k] = SIDES[letter][1] * spacing[i, k]
                    a_i = a[i].astype(a.dtype.newbyteorder("="))
                    with open(os.path.join(folder, sub, f"v{i}.nii"), "wb") as f:
                        f.write(nifti_files.file(a_i, sform=1, srow=srow, pixdim=tuple(spacing[i])))
            file = self.save(f"{axes}.npz", x=x, m=mask, axes=axes, spacing=spacing)
            for r in (recipe, turned):
                m, pixels, masks = self.imported(file, r, "--masks", "m")
                self.assertEqual([w for w in m["warnings"] if "assume" in w or "does not say" in w], [])
                n, want, want_masks = self.imported(os.path.join(folder, "images"), r, "--masks",
                                                    os.path.join(folder, "masks"))
                self.assertEqual((m["recipe_hash"], m["source"]["spacing"]), (n["recipe_hash"], n["source"]["spacing"]))
                self.assertGreater(len(np.unique(pixels)), 50)
                np.testing.assert_array_equal(pixels, want)
                np.testing.assert_array_equal(masks, want_masks)
                self.assertEqual(set(np.unique(masks)), {0, 1, 2})

    def test_as_numpy_has_them(self):
        """Columns, rows and slices are the axes of x[i]; without 'axes' they run to the right, front and top."""
        rng = np.random.default_rng(2)
        x = rng.integers(0, 65536, (11, 9, 11, 7)).astype(np.uint16)
        mask = rng.integers(0, 256, x.shape).astype(np.uint8)
        file = self.save(x=x, y=np.arange(11) % 2, mask=mask)
        m, pixels, masks = self.imported(file, self.recipe(WHOLE.format(orient="orient: RAS")), "--masks", "mask")
        np.testing.assert_array_equal(pixels[..., 0], x.transpose(0, 3, 2, 1).reshape(77, 11, 9))
        np.testing.assert_array_equal(masks, mask.transpose(0, 3, 2, 1).reshape(77, 11, 9))
        self.assertEqual((m["samples"], m["classes"], m["label_key"]), (11, ["0", "1"], "array 'y'"))
        self.assertEqual(m["source"]["formats"], {"array": 11})
        self.assertEqual(m["source"]["sizes"], [{"size": "9 x 11 x 7", "samples": 11}])
        self.assertTrue(any("does not say how its volumes lie" in w for w in m["warnings"]))
        # A recipe that does not ask how they lie says nothing of it. Trailing ones are fine, axes turn.
        m, again, _ = self.imported(self.save(x=x[..., None], y=np.arange(11) % 2),
                                    self.recipe(WHOLE.format(orient="window: {low: 0, high: 65535}")
                                                .replace("65535]", "1]")))
        np.testing.assert_array_equal(again, pixels)
        self.assertFalse(any("does not say" in w for w in m["warnings"]))
        spl = x.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1]
        m, again, _ = self.imported(self.save(x=spl, y=np.arange(11) % 2, axes="SPL"),
                                    self.recipe(WHOLE.format(orient="orient: RAS")))
        np.testing.assert_array_equal(again, pixels)

    def test_labels_and_patients(self):
        rng = np.random.default_rng(3)
        x = rng.integers(0, 255, (12, 9, 11, 7)).astype(np.uint8)
        recipe = self.recipe(WHOLE.format(orient="orient: RAS").replace("65535", "255").replace("16", "8"))
        with open(self.path("labels.csv"), "w", newline="") as f:
            w = csv.writer(f)
            w.writerow(["index", "class", "grade", "patient"])
            for i in range(12):  # two volumes have no grade
                w.writerow([i, ("well", "ill")[i % 2], "" if i in (3, 8) else f"g{i % 3}", f"p{i // 4}"])
        file = self.save(x=x, y=np.arange(12) % 2, ward=np.arange(12) // 2, group=np.arange(12) // 6)
        records = np.dtype([("who", "V16"), ("label", "<u4"), ("bunch", "<u4"), ("part", "u1"), ("pad", "V7")])

        def bunches():
            r = np.fromfile(self.path("set", "records.bin"), records)
            return [int(b) for b in r["bunch"]][::7], [int(b) for b in r["label"]][::7]
        m, pixels, _ = self.imported(file, recipe)
        self.assertEqual((m["classes"], m["patient_key"], m["patients"]), (["ill", "well"], "array 'group'", 2))
        self.assertEqual(bunches(), ([0] * 6 + [1] * 6, [1, 0] * 6))
        m, _, _ = self.imported(file, recipe, "--patient", "ward")
        self.assertEqual((m["patients"], bunches()[0]), (6, [i // 2 for i in range(12)]))
        m, _, _ = self.imported(file, recipe, "--patient", "patient")
        self.assertEqual((m["patient_key"], m["patients"]), ("patient in labels.csv", 3))
        m, some, _ = self.imported(file, recipe, "--label", "grade")
        self.assertEqual((m["samples"], m["source"]["unlabelled"], m["classes"]), (10, 2, ["g0", "g1", "g2"]))
        kept = [i for i in range(12) if i not in (3, 8)]
        np.testing.assert_array_equal(some, pixels.reshape(12, 7, 11, 9, 1)[kept].reshape(70, 11, 9, 1))
        # A table of another name; what is not there is named; an import of the same is done at once.
        os.rename(self.path("labels.csv"), self.path("other.csv"))
        m, _, _ = self.imported(file, recipe, "--label", "grade", "--labels", self.path("other.csv"))
        self.assertEqual((m["samples"], m["label_key"]), (10, "grade in the table"))
        self.assertTrue(self.imported(file, recipe, "--label", "grade", "--labels", self.path("other.csv"))[0]["unchanged"])
        m, _, _ = self.imported(file, recipe)
        self.assertEqual((m["classes"], m["unchanged"]), (["0", "1"], False))
        out = ("--recipe", recipe, "--out", self.path("s"))
        self.fails(12, "no array 'grade' among", "data", "import", file, "--label", "grade", *out)
        self.fails(12, "no array 'nobody' among", "data", "import", file, "--patient", "nobody", *out)
        self.fails(12, "no array 'seg', which --masks names", "data", "import", file, "--masks", "seg", *out)

    def test_parts_and_sequences(self):
        rng = np.random.default_rng(4)
        a, b, c = (rng.integers(0, 255, (n, 9, 11, 7)).astype(np.uint8) for n in (4, 3, 3))
        recipe = self.recipe(WHOLE.format(orient="orient: RAS").replace("65535", "255").replace("16", "8"))
        file = self.save(train_images=a, train_labels=np.arange(4)[:, None] % 2, val_images=b,
                         val_labels=np.arange(3)[:, None] % 2, test_images=c, test_labels=np.arange(3)[:, None] % 2,
                         train_mask=a % 3, val_mask=b % 3, test_mask=c % 3)
        m, pixels, masks = self.imported(file, recipe, "--masks", "mask")
        whole = np.concatenate([a, b, c]).transpose(0, 3, 2, 1).reshape(70, 11, 9)
        np.testing.assert_array_equal(pixels[..., 0], whole)
        np.testing.assert_array_equal(masks, whole % 3)
        parts = np.fromfile(self.path("set", "records.bin"), "u1").reshape(-1, 32)[::7, 24]
        self.assertEqual(list(parts), [1] * 4 + [2] * 3 + [3] * 3)

        two = self.recipe(WHOLE.format(orient="orient: RAS").replace("65535", "255").replace("16", "8")
                          .replace("input: volume", "input: volume\nsequences: [flair, t1]"), "two.yaml")
        file = self.save(t1=b, flair=c, y=np.arange(3) % 2)
        m, pixels, _ = self.imported(file, two)
        np.testing.assert_array_equal(pixels, np.stack([c, b], -1).transpose(0, 3, 2, 1, 4).reshape(21, 11, 9, 2))
        out = ("--recipe", two, "--out", self.path("s"))
        self.fails(12, "no array 't1', which is a sequence", "data", "import", self.save(flair=c, y=np.arange(3) % 2), *out)
        self.fails(12, "no array 'flair', which the recipe names", "data", "import", self.save(t1=c, y=np.arange(3)), *out)
        self.fails(12, "wanted are 3 volumes of 9 x 11 x 7", "data", "import",
                   self.save(flair=c, t1=a, y=np.arange(3) % 2), *out)

    def test_pictures_with_masks(self):
        rng = np.random.default_rng(5)
        x = rng.integers(0, 256, (8, 20, 24)).astype(np.uint8)
        seg = (x > 99).astype(np.int32) + (x > 200)
        file = self.save(x=x, seg=seg, group=np.arange(8) // 2)
        m, pixels, masks = self.imported(file, self.recipe(PICTURES), "--masks", "seg")
        np.testing.assert_array_equal(masks, seg[:, 1::2, 1::2])  # the pixel at or behind the new one's centre
        np.testing.assert_allclose(pixels[..., 0], x.reshape(8, 10, 2, 12, 2).mean((2, 4)), atol=0.51)
        self.assertEqual((m["patients"], m["label_key"]), (4, "the largest structure of each mask"))
        # N x H x W x 3 are pictures in colour, or volumes of three slices: as the recipe's input says.
        colour = rng.integers(0, 256, (8, 20, 24, 3)).astype(np.uint8)
        file = self.save(x=colour, y=np.arange(8) % 2)
        m, pixels, _ = self.imported(file, self.recipe(PICTURES + "colour: rgb\n"))
        self.assertEqual((m["images"], m["channels"]), (8, 3))
        m, _, _ = self.imported(file, self.recipe("recipe: 1\ninput: volume\nsteps:\n  - slices: {axis: slices}\n"
                                                  "  - resize: {size: [10, 12]}\nstore: {range: [0, 255]}\n"))
        self.assertEqual((m["images"], m["channels"]), (24, 1))
        self.fails(12, "is named as its own mask", "data", "import", file, "--recipe", self.recipe(PICTURES), "--masks", "x",
                   "--out", self.path("s"))
        self.fails(2, "drawings go with", "data", "import", "phantom", "--recipe", self.recipe(PICTURES), "--masks", "x",
                   "--out", self.path("s"))

    def test_refusals(self):
        recipe = self.recipe(WHOLE.format(orient="orient: RAS"))
        x, y = np.zeros((6, 9, 11, 7), np.float32) + np.arange(7), np.arange(6) % 2
        out = ("--recipe", recipe, "--out", self.path("s"))
        cases = [(16, "which is one of pictures", dict(x=x[0], y=y)), (16, "several channels", dict(x=x[..., None].repeat(2, 4))),
                 (16, "volumes are expected as", dict(x=x[0, 0, 0])), (16, "holds text", dict(x=np.array(["a"]))),
                 (12, "is empty", dict(x=x[:, :0], y=y)), (16, "Fortran order", dict(x=np.asfortranarray(x), y=y)),
                 (12, "array 'axes' is one text", dict(x=x, y=y, axes="RAL")),
                 (12, "array 'axes' is one text", dict(x=x, y=y, axes=np.arange(3))),
                 (12, "array 'axes' is one text", dict(x=x, y=y, axes=["R", "A", "S"])),
                 (12, "array 'spacing' holds 0", dict(x=x, y=y, spacing=[1.0, 0, 1])),
                 (12, "array 'spacing' holds nan", dict(x=x, y=y, spacing=[np.nan, 1, 1])),
                 (12, "or 6 x 3 for 6 volumes", dict(x=x, y=y, spacing=np.ones((5, 3)))),
                 (12, "but there are 6 images", dict(x=x, y=y[:5])), (12, "there is no array 'y'", dict(x=x)),
                 (12, "neither the arrays 'x' and 'y'", dict(volumes=x)),
                 (16, "holds text, not volumes", dict(x=np.full((6, 9, 11, 7), "a"), y=y))]
        for code, words, arrays in cases:
            with self.subTest(words):
                self.fails(code, words, "data", "import", self.save(**arrays), *out)
                self.assertFalse(os.path.exists(self.path("s", "set.json")))
        self.fails(12, "wanted are 6 volumes", "data", "import", self.save(x=x, m=x[:, :8]), "--masks", "m", *out)
        self.fails(16, "taken by a recipe of 'input: volume'", "data", "inspect", "--data", self.save(x=x, y=y))

        # Volumes that cannot be used are left out and named; masks too.
        bad, mask = x.copy(), (x > 2).astype(np.float32)
        bad[1, 2, 3, 4], mask[3, 0, 0, 0], mask[4, 0, 0, 0] = np.inf, 300, 0.5
        told = self.ok("data", "import", self.save(x=bad, m=mask), "--masks", "m", *out)
        self.assertIn("skipped: volume 1: a value that is not a finite number", told.stderr)
        self.assertIn("skipped: volume 3: a mask holds whole numbers", told.stderr)
        self.assertIn("21 of 3 samples", told.stdout)
        # Volumes of the same content have one entry in the cache, which several threads may write at once.
        told = self.ok_json("data", "import", self.save(x=x[:1].repeat(64, 0), y=np.arange(64) % 2), "--threads", 4, *out)
        self.assertEqual((told["samples"], told["patients"]), (64, 1))
        self.fails(12, "volume 3", "data", "import", self.save(x=x, m=mask), "--masks", "m", "--refuse-bad", *out)

        # A damaged archive: its checksum is compared at the end, before there is a set.
        file = self.path("stored.npz")
        np.savez(file, x=np.random.default_rng(0).integers(0, 99, (40, 9, 11, 7)), y=np.arange(40) % 2)
        with zipfile.ZipFile(file) as z:
            at = z.getinfo("x.npy").header_offset + 5000
        with open(file, "r+b") as f:
            f.seek(at)
            f.write(b"\x55")
        self.fails(5, "x.npy", "data", "import", file, "--recipe", recipe, "--out", self.path("d"))
        self.assertFalse(os.path.exists(self.path("d", "set.json")))

    def test_trains_on_them(self):
        rng = np.random.default_rng(6)
        i, j, _ = np.ogrid[:16, :24, :6]
        x, mask = np.empty((24, 16, 24, 6), np.float32), np.zeros((24, 16, 24, 6), np.uint8)
        for v in range(24):
            a, b = rng.integers(5, 11), rng.integers(7, 17)
            mask[v][np.broadcast_to((i - a) ** 2 + (j - b) ** 2 < 14, mask[v].shape)] = 1
            x[v] = 200 + 300 * mask[v] + 20 * rng.normal(size=x[v].shape)
        file = self.save(x=x, mask=mask, group=np.arange(24) // 2, spacing=[1, 1, 3])
        recipe = self.recipe("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - percentiles: {low: 1, high: 99}\n"
                             "  - slices: {axis: axial, count: 4}\n  - fit: {size: [16, 24]}\nstore: {bits: 8, range: [0, 1]}\n")
        os.makedirs(self.path("mask"))  # a folder of the array's name is no folder of masks
        few = ("--clients", 3, "--batch", 8, "--rounds", 2, "--lr", 0.01, "--validation-fraction", 0.2, "--compare", "none",
               "--bootstrap", 20, "--quiet")
        r = self.ok_json("simulate", "--data", "x.npz", "--recipe", recipe, "--masks", "mask", "--model", "unet2d", "--out",
                         self.path("run"), *few, cwd=self.path())
        self.assertEqual((r["task"], r["sum_exact"], r["data"]["images"]), ("segmentation", True, 96))
        self.assertEqual((r["data"]["groups"], r["data"]["label_key"]), (12, "masks alone"))
        self.assertGreater(r["encrypted"]["dice"], 0.5)
        e = self.ok_json("evaluate", "--model", self.path("run", "agg_model.h5"), "--data", file, "--recipe", recipe, "--masks",
                         "mask", "--set", self.path("run.set"), "--part", "test", "--validation-fraction", 0.2, "--bootstrap", 0)
        self.assertAlmostEqual(e["dice"], r["encrypted"]["dice"], places=6)

    def test_figures_by_volume(self):
        """A model that marks what is bright, so that what it finds is known: figures of whole volumes, against SciPy."""
        try:
            import h5py
            from scipy import ndimage
        except ImportError:
            self.skipTest("h5py and SciPy are needed")
        with open(self.path("bright.yaml"), "w") as f:
            f.write("name: bright\ninput: {height: 10, width: 12, channels: 1}\nclasses: 2\nlayers:\n"
                    "  - conv: {filters: classes, kernel: 1}\n")
        self.ok("model", "init", self.path("bright.yaml"), "--out", self.path("bright.h5"))
        with h5py.File(self.path("bright.h5"), "r+") as f:
            f["model_weights/conv1/conv1/kernel:0"][...] = np.array([0, 1], np.float32).reshape(1, 1, 1, 2)
            f["model_weights/conv1/conv1/bias:0"][...] = 0
        rng = np.random.default_rng(8)
        # Pictures are normalised one by one, so each needs both: dark and bright.
        smooth = ndimage.gaussian_filter(rng.normal(size=(2, 7, 12, 10, 8)), (0, 0, 1.5, 1.5, 1.5))
        truth, found = smooth > 0.5 * smooth.std()
        truth[3, :, :, :] = False  # a structure that one volume lacks
        found[:, 0, 0], found[:, -1, -1] = False, True
        patients = np.array([4, 4, 4, 1, 2, 2, 9])
        one = np.array([0.8, 1.5, 2.5])

        def surface(m):
            return m & ~(ndimage.binary_erosion(m) if m.shape[0] > 1 else ndimage.binary_erosion(m[0])[None])

        def distance(a, b, spacing):
            if not a.any() or not b.any():
                return np.nan
            sa, sb = surface(a), surface(b)
            return max(np.percentile(ndimage.distance_transform_edt(~y, sampling=spacing)[x], 95)
                       for x, y in ((sa, sb), (sb, sa)))

        def mean(values):
            values = [v for v in values if not np.isnan(v)]
            return np.mean(values) if values else np.nan

        each = one * (1 + np.arange(7)[:, None])
        cases = [("axial", range(8), one, one, 1), ("axial, count: 4", [1, 3, 5, 7], one, one, 2),
                 ("axial, count: 3", [1, 4, 6], one, one, 0), ("axial", range(8), each, np.ones(3), 1)]
        for k, (slices, chosen, spacing, mm, step) in enumerate(cases):
            file = self.save(x=found.astype(np.uint8) * 200, m=truth, group=patients, axes="RAS", spacing=spacing)
            recipe = self.recipe("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - window: {low: 0, high: 200}\n"
                                 f"  - slices: {{axis: {slices}}}\n  - fit: {{size: [12, 10]}}\n")
            e = self.ok_json("evaluate", "--model", self.path("bright.h5"), "--data", file, "--recipe", recipe, "--masks", "m",
                             "--set", self.path(f"set{k}"), "--bootstrap", 20)
            with self.subTest(slices):
                self.assertEqual((e["volumes"], e["patients"], e["volumes_by_slice"]), (7, 4, 0 if step else 7))
                self.assertEqual(e["hausdorff95_unit"], "pixels" if spacing is each else "mm")
                dice, far, right = [], [], []
                for v in range(7):
                    a, b = (m[v][:, :, chosen].transpose(2, 1, 0)[:, ::-1] for m in (truth, found))
                    dice.append(2 * (a & b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else np.nan)
                    right.append((a == b).mean())
                    if step:
                        far.append(distance(a, b, (mm[2] * step, mm[1], mm[0])))
                    else:
                        far.append(mean([distance(a[i:i + 1], b[i:i + 1], mm[::-1]) for i in range(len(a))]))
                for name, values in (("dice", dice), ("hausdorff95", far), ("accuracy", right)):
                    want = mean([mean([x for x, p in zip(values, patients) if p == q]) for q in np.unique(patients)])
                    self.assertAlmostEqual(e[name], want, places=9, msg=name)
                self.assertEqual(e["structures"][0]["hausdorff95"], e["hausdorff95"])
        text = self.ok("evaluate", "--model", self.path("bright.h5"), "--data", self.path("set0"), "--bootstrap", 20).stdout
        self.assertIn("Hausdorff-95, mm", text)

    @unittest.skipIf(data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_volumes(self):
        file = os.path.join(data_folder(), "mri3d_hippocampus", "dev", "hippo_40x56x44.npz")
        recipe = self.recipe("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - fit: {size: [40, 56, 44]}\n"
                             "  - slices: {axis: coronal, count: 5}\nstore: {bits: 8, range: [0, 255]}\n")
        m, pixels, masks = self.imported(file, recipe, "--masks", "mask")
        with np.load(file) as z:
            x, mask, y = z["x"], z["mask"], z["y"]
        chosen = [(2 * k + 1) * 56 // 10 for k in range(5)]
        for got, a in ((pixels[..., 0], x), (masks, mask)):  # the top of the head up, right at the right
            np.testing.assert_array_equal(got, a[:, :, chosen, ::-1].transpose(0, 2, 3, 1).reshape(-1, 44, 40))
        labels = np.fromfile(self.path("set", "records.bin"), "<u4").reshape(-1, 8)[::5, 4]
        np.testing.assert_array_equal(labels, y)
        file = os.path.join(data_folder(), "mri3d_contrast", "dev", "contrast_64x64x32.npz")
        m, _, _ = self.imported(file, recipe)
        self.assertEqual((m["classes"], m["patients"], m["patient_key"]), (["FLAIR", "T1W", "T2W"], 4, "patient in labels.csv"))


if __name__ == "__main__":
    main()
