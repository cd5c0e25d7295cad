"""From what a hospital has to a report, by a recipe, in one step each: a folder of DICOM with a table, NIfTI volumes with masks, class
folders of pictures, an archive; made ones always, real ones (MSFL_TEST_DATA) where there are any. And what is said to those whose data
is not in order: what is left out is counted, named by line or file, and what cannot go on says why, with its exit status."""
import gzip
import json
import os
import re
import shutil
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import dicom_files as df
import nifti_files as nf
from common import SANITIZED, CliTest, data_folder, main, run
from test_data import png

PICTURES = "recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [16, 16]}\n"
VOLUMES = ("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - percentiles: {low: 1, high: 99}\n"
           "  - slices: {axis: axial, count: 4}\n  - fit: {size: [16, 16]}\nstore: {bits: 8, range: [0, 1]}\n")
CORONAL = ("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - percentiles: {low: 1, high: 99}\n  - fit: {size: [32, 48, 32]}\n"
           "  - slices: {axis: coronal, share: 0.5, count: 2}\nstore: {bits: 8, range: [0, 1]}\n")
FEW = ("--clients", 3, "--rounds", 1, "--batch", 8, "--compare", "none", "--bootstrap", 10, "--quiet",
       *(("--threads", 1) if SANITIZED else ()))
USAGE, FORMAT, DATA, MISSING = 2, 5, 12, 14


class Sources(CliTest):
    def setUp(self):
        super().setUp()
        self.rng = np.random.default_rng(1)
        for name, text in (("p.yaml", PICTURES), ("v.yaml", VOLUMES), ("c.yaml", CORONAL)):
            self.put(name, text.encode())

    def put(self, *names_and_content):
        *names, content = names_and_content
        os.makedirs(os.path.dirname(self.path(*names)), exist_ok=True)
        with open(self.path(*names), "wb") as f:
            f.write(content)
        return self.path(*names)

    def picture(self, i, side=20):
        return np.clip(self.rng.integers(0, 150, (side, side)) + 90 * (i % 2), 0, 255).astype("u1")

    def dicom(self, i):
        pixels = self.picture(i)[None, :, :, None]
        e = df.image(pixels)
        e[0x00100020] = ("LO", f"p{i // 2}")
        e[0x7FE00010] = ("OB", pixels.tobytes())
        return df.file(e)

    def films(self, table=True, n=36):
        shutil.rmtree(self.path("d"), ignore_errors=True)
        for i in range(n):
            self.put("d", f"{i:02d}.dcm", self.dicom(i))
        if table:
            self.put("d", "labels.csv", ("file,class\n" + "".join(f"{i:02d}.dcm,{'ab'[i % 2]}\n" for i in range(n))).encode())
        return self.path("d")

    def volumes(self, n=18):
        shutil.rmtree(self.path("v"), ignore_errors=True)
        for i in range(n):
            m = np.zeros((16, 16, 6), "u1")
            m[4:9, 5 + i % 4:11, :] = 1
            v = (500.0 * m + self.rng.normal(100, 20, m.shape)).astype("f4")
            self.put("v", "images", f"{i:02d}.nii.gz", gzip.compress(nf.file(v, sform=1), 1))
            self.put("v", "labels", f"{i:02d}.nii.gz", gzip.compress(nf.file(m, sform=1), 1))
        return self.path("v", "images"), self.path("v", "labels")

    def mask(self, a, **how):
        self.put("v", "labels", "03.nii.gz", gzip.compress(nf.file(a, **{"sform": 1, **how}), 1))

    def simulate(self, data, recipe, *options, code=0):
        shutil.rmtree(self.path("out"), ignore_errors=True)
        shutil.rmtree(self.path("out.set"), ignore_errors=True)
        r = run("simulate", "--data", data, *(("--recipe", self.path(recipe)) if recipe else ()), "--out", self.path("out"), *FEW,
                *options)
        self.assertEqual(r.returncode, code, r.stdout + r.stderr)
        self.assertNotIn("Sanitizer", r.stderr)
        # True of most data here, and of nothing that these tests are about.
        r.stderr = "".join(line for line in r.stderr.splitlines(True) if "no patient key: " not in line and "near copies" not in line)
        return r

    def whole(self, data, recipe, *options, task=None, images=None):
        """Run; result and page hold together; the set is reused by the same command into another folder, to the same figures."""
        r = self.simulate(data, recipe, *options)
        self.assertEqual(r.stderr, "")
        with open(self.path("out", "result.json")) as f:
            result = json.load(f)
        self.assertEqual((result["complete"], result["sum_exact"], result["rounds_done"], result.get("task")), (True, True, 1, task))
        d = result["data"]
        self.assertEqual(d["train"] + d["validation"] + d["test"], d["images"])
        self.assertEqual(len(d["hospitals"]), 3)
        if images is not None:
            self.assertEqual(d["images"], images)
        key = "dice" if task else "auc"
        self.assertTrue(0 <= result["encrypted"][key] <= 1, result["encrypted"])
        if recipe:
            described = self.ok_json("data", "recipe", self.path(recipe))
            self.assertEqual(d["recipe"], described["hash"])
        with open(self.path("out", "report.html"), encoding="utf-8") as f:
            page = f.read()
        self.assertIn("<svg", page)
        self.assertIn("data:image/png;base64", page)
        self.assertIsNone(re.search(r'(?:src|href)="https?://', page))
        for name in ("agg_model.h5", "main_model.h5", "metrics.jsonl", "config.json"):
            self.assertGreater(os.path.getsize(self.path("out", name)), 0)
        return result

    def manifest(self):
        with open(self.path("out.set", "set.json")) as f:
            return json.load(f)

    def warns(self, r, *texts):
        """Exactly these warnings, one a line."""
        lines = r.stderr.splitlines()
        self.assertEqual(len(lines), len(texts), r.stderr)
        for line, text in zip(lines, texts):
            self.assertTrue(line.startswith("data: warning: "), line)
            self.assertIn(text, line)

    # --- from end to end ---

    def test_dicom(self):
        self.whole(self.films(), "p.yaml", images=36)

    def test_volumes(self):
        images, masks = self.volumes()
        self.whole(images, "v.yaml", "--masks", masks, "--model", "unet2d", task="segmentation", images=72)

    def test_class_folders(self):
        for i in range(36):
            self.put("c", "ab"[i % 2], f"{i}.png", png(self.picture(i)))
        a = self.whole(self.path("c"), "p.yaml", images=36)
        b = self.whole(self.path("c"), None, "--size", 16, images=36)
        self.assertEqual(a["data"]["test"], b["data"]["test"])

    def test_archive(self):
        x = np.stack([self.picture(i, 16) for i in range(36)])
        np.savez(self.path("a.npz"), x=x, y=np.arange(36) % 2, group=np.arange(36) // 2)
        a = self.whole(self.path("a.npz"), "p.yaml", images=36)
        b = self.whole(self.path("a.npz"), None, images=36)
        # A resize to the same size changes nothing: the same pixels, whichever way they came.
        self.assertEqual(a["data"]["classes"] if "classes" in a["data"] else None, b["data"].get("classes"))

    @unittest.skipIf(data_folder() is None or SANITIZED, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_ones(self):
        base = data_folder()
        r = self.whole(os.path.join(base, "cxr_dicom", "dev"), "p.yaml", "--label", "pneumonia", images=96)
        self.assertNotIn("ZZ", json.dumps(r))
        hippocampus = os.path.join(base, "mri3d_hippocampus", "dev")
        os.makedirs(self.path("h"))
        for name in sorted(os.listdir(os.path.join(hippocampus, "images")))[:24]:
            os.symlink(os.path.join(hippocampus, "images", name), self.path("h", name))
        self.whole(self.path("h"), "c.yaml", "--masks", os.path.join(hippocampus, "labels"), "--model", "unet2d", task="segmentation",
                   images=48)
        for label in ("normal", "bacteria"):
            os.makedirs(self.path("k", label))
            folder = os.path.join(base, "cxr_kermany", "dev", "png128", label)
            for name in sorted(os.listdir(folder))[:60]:
                os.symlink(os.path.join(folder, name), self.path("k", label, name))
        self.whole(self.path("k"), "p.yaml", images=120)
        self.whole(os.path.join(base, "breast_us_28", "dev", self.archive(base)), "p.yaml")

    @staticmethod
    def archive(base):
        return next(n for n in sorted(os.listdir(os.path.join(base, "breast_us_28", "dev"))) if n.endswith(".npz"))

    # --- data that is not in order ---

    def refused(self, code, text, data, recipe, *options):
        r = self.simulate(data, recipe, *options, code=code)
        self.assertIn(text, r.stderr)
        self.assertFalse(os.path.exists(self.path("out")), "a run that cannot begin leaves no folder")

    def test_films_not_in_order(self):
        self.refused(DATA, "nothing tells the classes", self.films(table=False), "p.yaml")
        data = self.films()
        self.refused(DATA, "there is no label 'finding'", data, "p.yaml", "--label", "finding")
        self.refused(DATA, "no column 'person'", data, "p.yaml", "--patient", "person")
        table = ("--labels", self.put("t.csv", b"file,class\nnobody.dcm,a\n"))
        self.refused(DATA, "no column of it names files", data, "p.yaml", *table)
        # A row without a file; a file without a row: counted, the row by its line, and no name of either is said.
        with open(os.path.join(data, "labels.csv"), "a") as f:
            f.write("99.dcm,a\n98.dcm,b\n")
        self.put("d", "extra.dcm", self.dicom(3))
        r = self.simulate(data, "p.yaml")
        self.warns(r, "left out: 1 samples without a label", "2 rows of " + os.path.join(data, "labels.csv"))
        self.assertIn("the first is line 38", r.stderr)
        source = self.manifest()["source"]
        self.assertEqual((source["unlabelled"], source["unmatched_rows"], source["skipped"]), (1, 2, 0))
        # What is no file: a link to nowhere, a pipe, a folder.
        data = self.films()
        for i, make in enumerate((lambda p: os.symlink("/nowhere", p), os.mkfifo, os.makedirs)):
            os.remove(os.path.join(data, f"{i:02d}.dcm"))
            make(os.path.join(data, f"{i:02d}.dcm"))
        r = self.simulate(data, "p.yaml")
        self.warns(r, "02.dcm holds no pictures", "3 rows of")
        self.refused(DATA, "an earlier line names too",
                     os.path.dirname(self.put("d", "labels.csv", b"file,class\n03.dcm,a\n03.dcm,b\n04.dcm,a\n")), "p.yaml")

    def test_films_that_cannot_be_read(self):
        data = self.films()
        whole = self.dicom(1)
        broken = {"00.dcm": b"", "01.dcm": whole[:-50], "02.dcm": b"\0" * 500, "03.dcm": whole[:200]}
        for name, content in broken.items():
            self.put("d", name, content)
        r = self.simulate(data, "p.yaml")
        self.warns(r, *[f"skipped: {os.path.join(data, name)}: " for name in broken])
        self.assertEqual(self.manifest()["source"]["skipped"], 4)
        r = self.simulate(data, "p.yaml", "--refuse-bad", code=FORMAT)
        self.assertIn("broken images are to be refused", r.stderr)
        for i in range(36):
            self.put("d", f"{i:02d}.dcm", whole[:200])
        self.refused(DATA, "none of 36 samples can be used", data, "p.yaml")
        if os.geteuid() != 0:
            data = self.films()
            os.chmod(os.path.join(data, "05.dcm"), 0)
            self.warns(self.simulate(data, "p.yaml"), "05.dcm")

    def test_folders_not_in_order(self):
        for i in range(36):
            self.put("c", "ab"[i % 2], f"{i}.png", png(self.picture(i)))
        os.makedirs(self.path("c", "empty"))
        for recipe in ("p.yaml", None):
            self.warns(self.simulate(self.path("c"), recipe), "c/empty holds no pictures")
        shutil.rmtree(self.path("c", "b"))
        for recipe in ("p.yaml", None):
            self.refused(DATA, "of one class", self.path("c"), recipe)
            self.refused(DATA, "no PNG, JPEG, DICOM or NIfTI files", self.path("c", "empty"), recipe)
            self.refused(DATA, "nothing at all lies there", self.path("c", "empty"), recipe)
            self.refused(MISSING, "there is no such", self.path("absent"), recipe)
        self.put("arrays", "a.npz", b"")
        for recipe in ("p.yaml", None):
            self.refused(DATA, "name the file itself, " + self.path("arrays", "a.npz"), self.path("arrays"), recipe)
        # Masks beside images are no second class.
        for folder in ("images", "labels"):
            for i in range(18):
                self.put("m", folder, f"{i}.png", png(self.picture(i)))
        for recipe in ("p.yaml", None):
            self.assertIn("are taken for two classes", self.simulate(self.path("m"), recipe).stderr)
        # A folder of notes beside films and their table is no class.
        data = self.films()
        self.put("d", "notes", "readme.txt", b"x")
        self.warns(self.simulate(data, "p.yaml"), "notes holds no pictures")

    def test_archives_not_in_order(self):
        x = np.stack([self.picture(i, 16) for i in range(36)])
        y = np.arange(36) % 2
        np.savez(self.path("a.npz"), x=x)
        np.savez(self.path("b.npz"), x=x, y=y[1:])
        np.savez(self.path("c.npz"), x=x, y=y * 0)
        np.savez(self.path("d.npz"), x=x, y=y)
        with open(self.path("d.npz"), "rb") as f:
            whole = f.read()
        self.put("d.npz", whole[:-100])
        self.put("e.npz", whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
        for recipe in ("p.yaml", None):
            self.refused(DATA, "no array 'y' of labels", self.path("a.npz"), recipe)
            self.refused(DATA, "there are 36 images", self.path("b.npz"), recipe)
            self.refused(DATA, "of one class", self.path("c.npz"), recipe)
            self.refused(FORMAT, "d.npz", self.path("d.npz"), recipe)
            self.refused(FORMAT, "e.npz", self.path("e.npz"), recipe)

    def test_masks_not_in_order(self):
        images, masks = self.volumes()
        to = ("--masks", masks, "--model", "unet2d")
        os.remove(os.path.join(masks, "03.nii.gz"))
        self.warns(self.simulate(images, "v.yaml", *to), "left out: 1 samples that lack a mask")
        self.assertEqual(self.manifest()["source"]["incomplete"], 1)
        self.refused(DATA, "1 samples lack a mask", images, "v.yaml", *to, "--refuse-bad")
        skipped = "skipped: " + os.path.join(masks, "03.nii.gz") + ": "
        good = np.ones((16, 16, 6), "u1")
        elsewhere = np.array([[1.0, 0, 0, 300], [0, 1, 0, 0], [0, 0, 1, 0]])
        for text, a, how in (("not known how they lie in space", good[:, :, :5], {"sform": 0}),
                             ("elsewhere in space", good, {"srow": elsewhere}),
                             ("whole numbers", good * np.float32(0.5), {}), ("whole numbers", good * np.int16(-1), {}),
                             ("whole numbers", good * np.int16(300), {})):
            self.mask(a, **how)
            r = self.simulate(images, "v.yaml", *to)
            self.warns(r, skipped)
            self.assertIn(text, r.stderr)
        self.put("v", "labels", "03.nii.gz", b"nothing of the kind")
        self.warns(self.simulate(images, "v.yaml", *to), skipped)
        # Another shape whose place is known is laid where it lies: one slice less is background there.
        self.mask(good[:, :, :5])
        self.assertEqual(self.simulate(images, "v.yaml", *to).stderr, "")
        values = np.fromfile(self.path("out.set", "masks.bin"), "u1").reshape(18, 4, 256)
        self.assertTrue((values[3, :3] == 1).all())
        # Without any place in the mask's header, and of the same shape: it lies as the picture does, on the same side. (By
        # NIfTI's convention for such files it would be mirrored.)
        half = good.copy()
        half[:8] = 0
        for how in ({"sform": 1}, {"sform": 0}):
            self.mask(half, **how)
            self.assertEqual(self.simulate(images, "v.yaml", *to).stderr, "")
            values = np.fromfile(self.path("out.set", "masks.bin"), "u1").reshape(18, 4, 16, 16)
            self.assertTrue((values[3, :, :, 8:] == 1).all() and not values[3, :, :, :8].any(), how)
        self.mask(good * np.uint8(64))
        r = self.simulate(images, "v.yaml", *to, code=DATA)
        self.assertIn("the masks have values up to 64; 0, the background, to 63 are possible", r.stderr)
        shutil.rmtree(masks)
        self.refused(DATA, "no folder, and there is no table", images, "v.yaml", *to)


if __name__ == "__main__":
    main()
