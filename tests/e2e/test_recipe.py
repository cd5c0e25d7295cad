"""Recipes: every step's values held to nibabel, SciPy and numpy, on volumes made here and on real ones."""
import glob
import json
import os
import subprocess
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)
try:
    import nibabel
    import nibabel.processing
    import scipy.ndimage
except ImportError:
    print("skipped: nibabel and SciPy are needed")
    sys.exit(77)

import common
from common import CliTest, data_folder, main

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "recipe_probe")


def recipe(steps, kind="volume", **keys):
    lines = ["recipe: 1", f"input: {kind}"] + [f"{k}: {v}" for k, v in keys.items()] + ["steps:"]
    return "\n".join(lines + [f"  - {s}" for s in steps]) + "\n"


def otsu(values, bins=256):
    """The definition, by trying every threshold."""
    v = np.asarray(values, np.float64).ravel()
    low, high = v.min(), v.max()
    width = (high - low) / bins
    index = np.minimum((v - low) / width, bins - 1).astype(int)
    best, at = -1, 0
    for t in range(bins - 1):
        a, b = index[index <= t], index[index > t]
        if len(a) and len(b):
            between = len(a) * len(b) * (a.mean() - b.mean()) ** 2
            if between > best:
                best, at = between, t
    return np.float32(low + width * (at + 1))


class RecipeTest(CliTest):
    def probe(self, text, *files, code=0):
        with open(self.path("r.yaml"), "w") as f:
            f.write(text)
        r = subprocess.run([PROBE, self.path("r.yaml"), self.path("out"), *files], capture_output=True, text=True)
        self.assertEqual(r.returncode, code, r.stderr + text)
        if code:
            return r.stderr
        facts = json.loads(r.stdout)
        if files:
            shape = (facts["channels"], facts["sides"][2], facts["sides"][1], facts["sides"][0])
            facts["values"] = np.fromfile(self.path("out.values"), "<f4").reshape(shape)
            each = facts["each"]  # slices of a picture
            shape = (facts["sides"][2] // each, facts["sides"][1], facts["sides"][0], facts["channels"] * each)
            kind = "<u1" if facts["bits"] == 8 else "<u2"
            facts["samples"] = np.fromfile(self.path("out.samples"), kind).reshape(shape)
            if os.path.exists(self.path("out.mask")):
                facts["mask"] = np.fromfile(self.path("out.mask"), "<f4").reshape(shape[:3])
        return facts

    def through(self, steps, shape, *files, **keys):
        """The steps alone, the whole volume out: of channel 0, as nibabel has it (columns, rows, slices)."""
        keys.setdefault("store", "{range: [-1e6, 1e6]}")
        size = f"fit: {{size: [{shape[0]}, {shape[1]}, {shape[2]}], fill: -12345}}"
        f = self.probe(recipe(steps + [size, "slices: {axis: slices}"], **keys), *files)
        self.assertEqual(f["sides"], list(shape))
        self.last = f
        return f["values"][0].transpose(2, 1, 0)

    def volume(self, name, shape=(31, 24, 17), spacing=(0.9, 1.3, 2.6), turn=(0.2, -0.1, 0.3), axes=(2, 0, 1), seed=1,
               shift=(0, 0, 0)):
        """A smooth volume, oblique, with axes exchanged and one reversed."""
        rng = np.random.default_rng(seed)
        v = scipy.ndimage.gaussian_filter(rng.normal(size=shape), 1.5) * 1000 + 200
        a, b, c = turn
        rz = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        rx = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
        affine = np.eye(4)
        affine[:3, :3] = (rz @ ry @ rx)[:, list(axes)] @ np.diag(spacing) @ np.diag([1, -1, 1])
        affine[:3, 3] = np.array([-30, 20, 11]) + shift
        image = nibabel.Nifti1Image(v.astype(np.float32), affine)
        image.to_filename(self.path(name))
        return image, self.path(name)

    def volumes(self, large=False):
        """(image, path): made ones and, where they are, real ones; a large one if asked."""
        yield self.volume("a.nii.gz")
        yield self.volume("b.nii", shape=(20, 21, 9), turn=(0, 0, 0), axes=(0, 1, 2), seed=2)
        folder = data_folder()
        for path in sorted(glob.glob(os.path.join(folder or "", "mri3d_hippocampus", "dev", "images", "*.nii.gz")))[:1]:
            yield nibabel.load(path), path
        for name in ("anatomical.nii", "IXI012-HH-1211_T1.nii.gz")[: 2 if large else 1]:
            for path in glob.glob(os.path.join(folder or "", "nifti", "**", name), recursive=True):
                yield nibabel.load(path), path

    @staticmethod
    def data_of(image):
        v = image.get_fdata(dtype=np.float64)
        return v[..., 0] if v.ndim == 4 else v

    def three_d(self, image):
        return nibabel.Nifti1Image(self.data_of(image), image.affine)

    def test_orient(self):
        for image, path in self.volumes(large=True):
            image = self.three_d(image)
            for axes in ("RAS", "LPS", "SAL"):
                want = image.as_reoriented(nibabel.orientations.ornt_transform(
                    nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(axes)))
                got = self.through([f"orient: {axes}"], want.shape, path)
                np.testing.assert_array_equal(got, want.get_fdata().astype(np.float32))
            self.assertEqual(nibabel.aff2axcodes(nibabel.as_closest_canonical(image).affine), ("R", "A", "S"))

    def test_resample(self):
        for image, path in self.volumes():
            image = self.three_d(image)
            old = np.array(nibabel.affines.voxel_sizes(image.affine))
            for new in ((1.0, 1.0, 1.0), (1.7, 0.8, 2.0)):
                new = np.array(new)
                shape = np.maximum(1, np.floor(np.array(image.shape) * old / new + 0.5)).astype(int)
                # The same middle, in voxels.
                m = np.diag([*(new / old), 1])
                m[:3, 3] = (np.array(image.shape) - 1) / 2 - new / old * (shape - 1) / 2
                for by, order in (("linear", 1), ("nearest", 0)):
                    step = f"resample: {{spacing: [{new[0]}, {new[1]}, {new[2]}], by: {by}}}"
                    got = self.through([step], shape, path)
                    want = scipy.ndimage.affine_transform(image.get_fdata(), m[:3, :3], m[:3, 3], tuple(shape), order=order,
                                                          mode="nearest")
                    scale = np.abs(want).max()
                    if order == 1:
                        np.testing.assert_allclose(got, want, atol=2e-6 * scale)
                        other = nibabel.processing.resample_from_to(image, (tuple(shape), image.affine @ m), order=1,
                                                                    mode="nearest").get_fdata()
                        np.testing.assert_allclose(got, other, atol=1e-5 * scale)
                    else:  # halves go up, also where SciPy's arithmetic falls short of one
                        want = scipy.ndimage.affine_transform(image.get_fdata(), m[:3, :3], m[:3, 3] + 1e-4, tuple(shape),
                                                              order=0, mode="nearest")
                        np.testing.assert_array_equal(got, want.astype(np.float32))

    def test_values(self):
        for image, path in self.volumes():
            v = self.data_of(image)
            shape = v.shape
            got = self.through(["window: {centre: 150, width: 300}"], shape, path)
            np.testing.assert_allclose(got, np.clip(v / 300, 0, 1), atol=1e-6)
            for low, high in ((1, 99), (0, 100), (2.5, 66.6)):
                a, b = np.percentile(v, [low, high])
                got = self.through([f"percentiles: {{low: {low}, high: {high}}}"], shape, path)
                np.testing.assert_allclose(got, np.clip((v - a) / (b - a), 0, 1), atol=2e-5)
            got = self.through(["zscore: {}"], shape, path)
            np.testing.assert_allclose(got, (v - v.mean()) / v.std(), atol=2e-4, rtol=1e-4)
            threshold = otsu(v.astype(np.float32))
            inside = v.astype(np.float32) > threshold
            got = self.through(["zscore: {of: otsu}"], shape, path)
            np.testing.assert_allclose(got, (v - v[inside].mean()) / v[inside].std(), atol=1e-3, rtol=1e-4)
            got = self.through(["zscore: {of: {above: 100}}"], shape, path)
            np.testing.assert_allclose(got, (v - v[v > 100].mean()) / v[v > 100].std(), atol=1e-3, rtol=1e-4)

    def test_fit(self):
        image, path = self.volume("f.nii", shape=(20, 11, 8))
        v = image.get_fdata().astype(np.float32)
        got = self.through([], (26, 7, 9), path)
        want = np.full((26, 7, 9), -12345, np.float32)
        # Twice the middle is 19, 10, 7: first voxels -3, 2, and of -1/2 the lower one, -1.
        want[3:23, :, 1:9] = v[:, 2:9, :]
        np.testing.assert_array_equal(got, want)
        box = np.full((20, 11, 8), 5, np.float32)
        box[12:16, 1:4, 5:8] = 900
        nibabel.Nifti1Image(box, image.affine).to_filename(self.path("box.nii"))
        f = self.probe(recipe(["fit: {size: [6, 5, 3], about: content}", "slices: {axis: slices}"],
                              store="{range: [0, 1000]}"), self.path("box.nii"))
        padded = np.pad(box, 3, constant_values=5)
        np.testing.assert_array_equal(f["values"][0].transpose(2, 1, 0), padded[14:20, 3:8, 8:11])

    def test_resize(self):
        image, path = self.volume("z.nii", shape=(24, 18, 5))
        v = image.get_fdata()
        for size in ((12, 6, 5), (7, 18, 5), (31, 40, 5), (24, 18, 5)):
            got = self.through([f"resize: {{size: [{size[0]}, {size[1]}, {size[2]}]}}"], size, path)
            want = v
            for axis in range(3):
                n, m = want.shape[axis], size[axis]
                w = np.zeros((m, n))
                for i in range(m):
                    if m < n:  # the share of each old voxel in the new one's extent
                        for j in range(n):
                            w[i, j] = max(0, min(j + 1, (i + 1) * n / m) - max(j, i * n / m)) * m / n
                    else:
                        c = min(max((i + 0.5) * n / m - 0.5, 0), n - 1)
                        w[i, int(c)] += 1 - (c - int(c))
                        w[i, min(int(c) + 1, n - 1)] += c - int(c)
                want = np.moveaxis(np.tensordot(w, want, (1, axis)), 0, axis)
            np.testing.assert_allclose(got, want, atol=1e-3)

    def test_slices(self):
        for image, path in self.volumes():
            canonical = nibabel.as_closest_canonical(self.three_d(image))
            v = canonical.get_fdata().astype(np.float32)
            views = {"axial": v.transpose(2, 1, 0)[:, ::-1], "coronal": v.transpose(1, 2, 0)[:, ::-1],
                     "sagittal": v.transpose(0, 2, 1)[:, ::-1]}
            for axis, stack in views.items():
                n, h, w = stack.shape
                fit = f"fit: {{size: [{w}, {h}]}}"
                got = self.probe(recipe(["orient: RAS", f"slices: {{axis: {axis}}}", fit],
                                        store="{range: [-1e6, 1e6]}"), path)["values"][0]
                np.testing.assert_array_equal(got, stack)
                content = (stack > otsu(v)).reshape(n, -1).sum(1)
                eligible = np.nonzero(content >= 0.5 * content.max())[0]
                count = min(4, len(eligible))
                chosen = eligible[[(2 * k + 1) * len(eligible) // (2 * count) for k in range(count)]]
                got = self.probe(recipe(["orient: RAS", f"slices: {{axis: {axis}, share: 0.5, count: 4}}", fit],
                                        store="{range: [-1e6, 1e6]}"), path)["values"][0]
                np.testing.assert_array_equal(got, stack[chosen])

    def test_neighbours_are_channels(self):
        """Slices before and behind, of each sequence; the outer ones repeat; the mask is the middle slice's."""
        first, a = self.volume("n1.nii", shape=(13, 11, 9))
        second, b = self.volume("n2.nii", shape=(13, 11, 9), seed=5)
        mask = nibabel.Nifti1Image((first.get_fdata() > 250).astype(np.uint8), first.affine)
        mask.to_filename(self.path("nm.nii"))
        turned = [nibabel.as_closest_canonical(v).get_fdata().astype(np.float32) for v in (first, second, mask)]
        views = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
        for n, axis in ((1, "axial"), (2, "coronal"), (3, "sagittal")):
            stacks = [v.transpose(views[axis])[:, ::-1] for v in turned]
            depth, h, w = stacks[0].shape
            for count in (None, 3):
                step = f"slices: {{axis: {axis}, neighbours: {n}" + (f", count: {count}}}" if count else "}")
                # Two columns more on each side get the smallest value of the sequence's slices, taken or beside.
                f = self.probe(recipe(["orient: RAS", step, f"fit: {{size: [{w + 4}, {h}]}}"], sequences="[T1, T2]",
                                      store="{range: [-3000, 3000]}"), a, b, "-m", self.path("nm.nii"))
                chosen = [(2 * k + 1) * depth // (2 * count) for k in range(count)] if count else list(range(depth))
                around = np.clip(np.array(chosen)[:, None] + np.arange(-n, n + 1), 0, depth - 1)
                want = [np.pad(s[around], ((0, 0), (0, 0), (0, 0), (2, 2)), constant_values=s[around].min())
                        for s in stacks[:2]]
                want = np.concatenate(want, axis=1).transpose(0, 2, 3, 1)  # sequence after sequence
                self.assertEqual(f["samples"].shape, (len(chosen), h, w + 4, 2 * (2 * n + 1)))
                stored = np.floor((want.astype(np.float64) + 3000) / 6000 * 65535 + 0.5)
                self.assertLessEqual(np.abs(f["samples"] - stored).max(), 1)
                self.assertGreater((f["samples"] == stored).mean(), 0.9999)
                np.testing.assert_array_equal(f["mask"][:, :, 2:-2], stacks[2][chosen])
                self.assertFalse(f["mask"][:, :, :2].any() or f["mask"][:, :, -2:].any())

    def test_neighbours_change_the_hash(self):
        def hash_of(more):
            return self.probe(recipe(["fit: {size: [8, 8, 8]}", f"slices: {{axis: slices{more}}}", "resize: {size: [4, 4]}"],
                                     store="{range: [0, 1]}"))["hash"]
        hashes = [hash_of(m) for m in ("", ", neighbours: 0", ", neighbours: 1", ", neighbours: 2")]
        self.assertEqual(hashes[0], hashes[1])
        self.assertEqual(len(set(hashes)), 3)

    def test_sequences_share_a_grid(self):
        """Three sequences, each on a grid of its own, come onto the first one's."""
        first, a = self.volume("t1.nii", shape=(26, 22, 14))
        second, b = self.volume("t2.nii", shape=(20, 30, 12), spacing=(1.1, 1.0, 3.0), turn=(0.1, 0.05, 0.2), seed=3,
                                shift=(4, -3, 2))
        third, c = self.volume("flair.nii", shape=(26, 22, 14), seed=4)
        f = self.probe(recipe(["fit: {size: [26, 22, 14]}", "slices: {axis: slices}"], store="{range: [-1e6, 1e6]}",
                              sequences="[T1, T2, FLAIR]"), a, b, c)
        got = f["values"].transpose(0, 3, 2, 1)
        np.testing.assert_array_equal(got[0], first.get_fdata().astype(np.float32))
        np.testing.assert_array_equal(got[2], third.get_fdata().astype(np.float32))
        m = np.linalg.inv(second.affine) @ first.affine
        at = np.einsum("ij,j...->i...", m[:3, :3], np.indices(first.shape)) + m[:3, 3].reshape(3, 1, 1, 1)
        size = np.array(second.shape).reshape(3, 1, 1, 1)
        inside = ((at >= -0.5) & (at <= size - 0.5)).all(0)
        want = nibabel.processing.resample_from_to(second, first, order=1, mode="nearest").get_fdata()
        self.assertTrue(0.05 < inside.mean() < 0.95)
        np.testing.assert_allclose(got[1][inside], want[inside], atol=0.01)
        self.assertTrue((got[1][~inside] == second.get_fdata().astype(np.float32).min()).all())
        error = self.probe(recipe(["fit: {size: [26, 22, 14]}", "slices: {axis: slices}"], store="{range: [-1e6, 1e6]}",
                                  sequences="[T1, T2]"), a, code=1)
        self.assertIn("the recipe asks for 2", error)

    @unittest.skipIf(data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_sequences(self):
        """T1 and FLAIR of one patient, of different thickness and place."""
        good = os.path.join(data_folder(), "nifti", "dev", "good")
        paths = [os.path.join(good, f"ms_patient20_study2_{s}.nii.gz") for s in ("T1W", "FLAIR")]
        t1, flair = (self.three_d(nibabel.load(p)) for p in paths)
        got = self.probe(recipe(["fit: {size: [256, 256, 44]}", "slices: {axis: slices}"], store="{range: [0, 600]}",
                                sequences="[T1W, FLAIR]"), *paths)["values"].transpose(0, 3, 2, 1)
        np.testing.assert_array_equal(got[0], t1.get_fdata().astype(np.float32))
        want = nibabel.processing.resample_from_to(flair, t1, order=1, mode="nearest").get_fdata()
        m = np.linalg.inv(flair.affine) @ t1.affine
        at = np.einsum("ij,j...->i...", m[:3, :3], np.indices(t1.shape)) + m[:3, 3].reshape(3, 1, 1, 1)
        inside = ((at >= -0.49) & (at <= np.array(flair.shape).reshape(3, 1, 1, 1) - 0.51)).all(0)
        self.assertGreater(inside.mean(), 0.8)
        np.testing.assert_allclose(got[1][inside], want[inside], atol=0.01)

    def test_masks_stay_labels(self):
        image, path = self.volume("m.nii")
        mask = (image.get_fdata() > 250).astype(np.uint8) + (image.get_fdata() > 400).astype(np.uint8)
        nibabel.Nifti1Image(mask, image.affine).to_filename(self.path("mask.nii.gz"))
        f = self.probe(recipe(["orient: RAS", "resample: {spacing: [1, 1, 1]}", "zscore: {}",
                               "slices: {axis: axial, count: 6}", "resize: {size: [40, 40]}"]),
                       path, "-m", self.path("mask.nii.gz"))
        self.assertLessEqual(set(np.unique(f["mask"])), {0, 1, 2})
        # Written as floats with a type of integers: stored 0, 127, 255 and a slope.
        scaled = nibabel.Nifti1Image(mask.astype(np.float32), image.affine)
        scaled.set_data_dtype(np.uint8)
        scaled.to_filename(self.path("scaled.nii"))
        raw = nibabel.load(self.path("scaled.nii")).dataobj.get_unscaled()
        self.assertGreater(raw.max(), 2)
        keep = f["mask"]
        f = self.probe(recipe(["orient: RAS", "resample: {spacing: [1, 1, 1]}", "zscore: {}",
                               "slices: {axis: axial, count: 6}", "resize: {size: [40, 40]}"]),
                       path, "-m", self.path("scaled.nii"))
        np.testing.assert_array_equal(f["mask"], keep)
        # Voxels of the mask are where the image is bright.
        bright, dark = f["values"][0][f["mask"] == 2], f["values"][0][f["mask"] == 0]
        self.assertGreater(bright.mean() - dark.mean(), 1)
        folder = data_folder()
        if folder:
            base = os.path.join(folder, "mri3d_hippocampus", "dev")
            name = sorted(os.listdir(os.path.join(base, "images")))[0]
            f = self.probe(recipe(["orient: RAS", "percentiles: {low: 1, high: 99}", "fit: {size: [48, 64, 48]}",
                                   "slices: {axis: coronal}"]), os.path.join(base, "images", name), "-m",
                           os.path.join(base, "labels", name))
            want = nibabel.as_closest_canonical(nibabel.load(os.path.join(base, "labels", name))).get_fdata()
            for label in (1, 2):
                self.assertEqual((f["mask"] == label).sum(), (want == label).sum())

    def test_stored_samples(self):
        image, path = self.volume("s.nii")
        for bits, top in ((8, 255), (16, 65535)):
            f = self.probe(recipe(["zscore: {}", "fit: {size: [31, 24, 17]}", "slices: {axis: slices}"],
                                  store=f"{{bits: {bits}, range: [-2, 2]}}"), path)
            v = f["values"][0].astype(np.float64)
            want = np.floor(np.clip((v + 2) / 4, 0, 1) * top + 0.5)
            self.assertLessEqual(np.abs(f["samples"][..., 0] - want).max(), 1)
            self.assertGreater((f["samples"][..., 0] == want).mean(), 0.9999)
            self.assertEqual(f["clipped"], ((v + 2) / 4 * top < -0.5).sum() + ((v + 2) / 4 * top > top + 0.5).sum())

    def test_hash_is_of_what_is_done(self):
        a = self.probe("recipe: 1\nname: one\ninput: picture\nsteps:\n  - resize: {size: [64, 48]}\n")
        same = self.probe("# another way to write it\nname: other\nrecipe: 1\nstore: {bits: 8, range: [0, 1.0]}\n"
                          "steps: [{resize: {size: [64, 48]}}]\nvalues: display\ninput: 'picture'\n")
        other = self.probe("recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [64, 49]}\n")
        self.assertEqual(a["hash"], same["hash"])
        self.assertNotEqual(a["hash"], other["hash"])
        # The hash is part of what hospitals compare: it may not change from one version to the next.
        import hashlib
        with open(self.path("out.yaml"), "rb") as f:
            text = f.read()
        label = b"msfl.recipe.v1"
        self.assertEqual(other["hash"], hashlib.blake2b(len(label).to_bytes(8, "little") + label + text,
                                                        digest_size=32).hexdigest())
        self.assertEqual(a["hash"], "cd411a859339b637082d2e09956bccca0c8ddd71780beef91033fa4da9eaeb8c")

    def test_examples_are_recipes(self):
        paths = glob.glob(os.path.join(common.SOURCE, "examples", "recipes", "*.yaml"))
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            with open(path) as f:
                self.assertEqual(len(self.probe(f.read())["hash"]), 64)

    def test_refusals_say_where(self):
        cases = [("recipe: 2\ninput: picture\nsteps: [{resize: {size: [4, 4]}}]", "version 2"),
                 ("recipe: 1\ninput: volume\nsteps: [{resize: {size: [4, 4, 1]}}]", "a volume of one slice comes out"),
                 ("recipe: 1\ninput: volume\nsteps: [{percentiles: {low: 1, high: 99}}]", "or take slices of the volume"),
                 ("recipe: 1\ninput: volume\nsteps: [{resize: {size: [4096, 4096, 5]}}]\nstore: {range: [0, 1]}",
                  "more than 67108864 values"),
                 ("recipe: 1\ninput: picture\nsteps: [{slices: {axis: axial}}]", "is for volumes"),
                 ("recipe: 1\ninput: picture\nsteps: [{zscore: {}}]", "the size of what comes out"),
                 ("recipe: 1\ninput: volume\nsteps: [{slices: {axis: axial}}]", "orient: RAS"),
                 ("recipe: 1\ninput: volume\nsteps: [{slices: {axis: rows}}, {zscore: {}}]", "comes before slices"),
                 ("recipe: 1\ninput: volume\nsteps: [{slices: {axis: rows}}, {resize: {size: [4, 4]}}]", "no known range"),
                 ("recipe: 1\ninput: picture\nsteps: [{sharpen: {}}]", "there is no step 'sharpen'"),
                 ("recipe: 1\ninput: picture\nsteps: [{window: {low: 3, high: 3}}]", "empty"),
                 ("recipe: 1\ninput: picture\nsteps: [{resize: {size: [4, 4.5]}}]", "whole numbers"),
                 ("recipe: 1\ninput: picture\nsteps: [{resize: {size: [4, 4, 4]}}]", "list of 2 numbers"),
                 ("recipe: 1\ninput: volume\nsteps: [{orient: RAL}]", "three letters"),
                 ("recipe: 1\ninput: volume\nsteps: [{slices: {axis: rows, neighbours: 8}}]", "neighbours"),
                 ("recipe: 1\ninput: volume\nsequences: [a, b, c, d, e, f]\nsteps: [{slices: {axis: rows, neighbours: 1}}, "
                  "{resize: {size: [4, 4]}}]\nstore: {range: [0, 1]}", "18 channels")]
        for text, words in cases:
            error = self.probe(text, code=1)
            self.assertIn(words, error)
            self.assertIn("line ", error)
        _, path = self.volume("n.nii")
        steps = ["percentiles: {low: 1, high: 99}", "fit: {size: [9, 9, 9]}", "slices: {axis: rows}"]
        flat = nibabel.Nifti1Image(np.full((5, 6, 7), 3, np.float32), np.eye(4))
        flat.to_filename(self.path("flat.nii"))
        self.assertIn("same value", self.probe(recipe(steps), self.path("flat.nii"), code=1))
        bad = nibabel.Nifti1Image(np.full((5, 6, 7), np.nan, np.float32), np.eye(4))
        bad.to_filename(self.path("nan.nii"))
        self.assertIn("not a finite number", self.probe(recipe(steps), self.path("nan.nii"), code=1))
        self.assertIn("mask", self.probe(recipe(steps), path, "-m", path, code=1))


if __name__ == "__main__":
    main()
