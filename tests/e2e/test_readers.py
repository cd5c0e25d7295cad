"""`medsecurefl data inspect FILE...`: arrays and pictures, and every reader held to pydicom, nibabel and real files."""
import csv
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

import dicom_files as df
from common import CLI, SANITIZED, data_folder, main
from readers_case import THREADS, ReaderTest, digest, objects

try:
    import pydicom
except ImportError:
    pydicom = None
try:
    import nibabel
except ImportError:
    nibabel = None


class Others(ReaderTest):
    def test_arrays(self):
        rng = np.random.default_rng(1)
        paths, wants = [], []
        for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"):
            a = (rng.normal(size=(3, 4, 5)) * 50).astype(dtype)
            np.save(self.path(f"{dtype}.npy"), a)
            paths.append(self.path(f"{dtype}.npy"))
            wants.append(a)
        np.savez_compressed(self.path("s.npz"), y=np.arange(3), x=wants[2], names=np.array(["a", "b", "c"]))
        for a, got in zip(wants, objects(*paths)):
            self.same(got, a, shape=[3, 4, 5], format="NPY")
        got = objects(self.path("s.npz"))[0]
        self.same(got, wants[2], format="NPZ")
        self.assertEqual(got["array"], "x")
        np.save(self.path("t.npy"), np.array(["text"]))
        self.assertEqual(objects(self.path("t.npy"))[0]["error"], "unsupported_type")
        with open(paths[0], "rb") as f:
            self.assertEqual(self.one("cut.npy", f.read()[:-1])["error"], "truncated")

    def test_pictures(self):
        from test_data import png
        rng = np.random.default_rng(1)
        for a in (rng.integers(0, 256, (5, 6)).astype("u1"), rng.integers(0, 65536, (5, 6)).astype("u2"),
                  rng.integers(0, 256, (5, 6, 3)).astype("u1")):
            got = self.one("a.png", png(a))
            self.same(got, a, format="PNG", shape=[1, 5, 6, 3 if a.ndim == 3 else 1])
        got = self.one("a.jpg", df.COLOUR_JPEG)
        self.assertEqual((got["format"], got["shape"]), ("JPEG", [1, 16, 16, 3]))
        self.assertEqual(self.one("cut.jpg", df.COLOUR_JPEG[:300])["error"], "damaged")

    def test_one_line_each(self):
        a = self.put("a b.dcm", df.native(np.zeros((1, 4, 4, 1), "u2")))
        page = self.ok("data", "inspect", a, a, *THREADS).stdout
        self.assertEqual(len(page.splitlines()), 2)
        self.assertIn("1 x 4 x 4 x 1 uint16", page)
        r = self.fails(5, "1 of 2 files cannot be read", "data", "inspect", a, self.put("bad.dcm", b"x" * 200), *THREADS)
        self.assertIn("unknown_format", r.stdout)

    @unittest.skipIf(SANITIZED, "sanitizers have memory of their own")
    def test_constant_memory(self):
        """Ten times the files, the same memory."""
        path = self.put("a.dcm", df.native(np.zeros((1, 128, 128, 1), "u2")))
        links = []
        for i in range(600):
            links.append(self.path(f"{i}.dcm"))
            os.link(path, links[-1])

        def peak(n):
            code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
                    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
            return int(subprocess.run([sys.executable, "-c", code, CLI, "data", "inspect", *links[:n]], capture_output=True).stdout)
        self.assertLess(peak(600), peak(60) + 4000)


class Libraries(ReaderTest):
    """The same real files through pydicom and nibabel, sample by sample."""

    def setUp(self):
        super().setUp()
        self.data = data_folder()
        if self.data is None:
            self.skipTest("no shared data")

    @unittest.skipIf(pydicom is None, "python3-pydicom is not installed")
    def test_pydicom(self):
        folder = os.path.join(self.data, "dicom/dev/good")
        n = 0
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        for path, got in zip(paths, objects(*paths)):
            ds = pydicom.dcmread(path)
            if ds.file_meta.TransferSyntaxUID not in (df.LITTLE, df.IMPLICIT, df.BIG, df.DEFLATED, df.RLE):
                continue
            self.assertEqual(got["digest"], digest(ds.pixel_array), path)
            n += 1
        self.assertGreaterEqual(n, 15)

    @unittest.skipIf(nibabel is None, "python3-nibabel is not installed")
    def test_nibabel(self):
        folder = os.path.join(self.data, "nifti/dev/good")
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        for path, got in zip(paths, objects(*paths)):
            image = nibabel.load(path)
            a = image.dataobj.get_unscaled()
            if a.dtype.fields is None:
                self.assertEqual(got["digest"], digest(a, "F"), path)
            np.testing.assert_allclose(got["affine"], image.affine[:3], atol=1e-4, err_msg=path)


class RealFiles(ReaderTest):
    """The expected figures that come with the real files."""

    def setUp(self):
        super().setUp()
        self.data = data_folder()
        if self.data is None:
            self.skipTest("no shared data")

    def rows(self, *path):
        path = os.path.join(self.data, *path)
        with open(path, newline="") as f:
            return os.path.dirname(path), list(csv.DictReader(f))

    def test_dicom(self):
        folder, rows = self.rows("dicom/dev/expected.csv")
        digests = set()
        for row, got in zip(rows, objects(*[os.path.join(folder, r["file"]) for r in rows])):
            with self.subTest(file=row["file"]):
                self.assertNotIn("error", got)
                self.assertEqual(got["shape"], [int(row[k]) for k in ("frames", "rows", "columns", "samples")])
                self.assertEqual((got["transfer_syntax"], got["modality"]), (row["transfer_syntax"], row["modality"]))
                level, share = (4, 0.01) if row["lossy"] == "1" else (0, 1e-6)
                for key in ("min", "max"):
                    self.assertAlmostEqual(got[key], float(row[key]), delta=level, msg=key)
                mean = float(row["mean"])
                self.assertAlmostEqual(got["mean"], mean, delta=max(share * abs(mean), 1e-6))
                if row["rgb_mean"]:
                    want = np.array([float(v) for v in row["rgb_mean"].split()])
                    np.testing.assert_allclose(got["rgb_mean"], want, rtol=max(share, 1e-4))
                if row["rescale_slope"]:
                    self.assertEqual(got["slope"], float(row["rescale_slope"]))
                if "dcm_qa_ts" in row["file"]:
                    digests.add(got["digest"])
        self.assertEqual(len(digests), 1)

    def test_bad(self):
        for name in ("dicom", "nifti"):
            folder, rows = self.rows(name, "dev/expected_bad.csv")
            for row, got in zip(rows, objects(*[os.path.join(folder, r["file"]) for r in rows])):
                if row["expect"] == "reject":
                    self.assertIn("error", got, row["file"])

    def test_nifti(self):
        folder, rows = self.rows("nifti/dev/expected.csv")
        for row, got in zip(rows, objects(*[os.path.join(folder, r["file"]) for r in rows])):
            with self.subTest(file=row["file"]):
                self.assertNotIn("error", got)
                self.assertEqual(got["dims"], [int(v) for v in row["shape"].split("x")])
                np.testing.assert_allclose(got["dims_step"], [float(v) for v in row["spacing"].split("x")], rtol=1e-4)
                self.assertEqual(got["axes"], row["axcodes"])
                if row["mean"]:
                    self.assertEqual(got["dtype"], row["dtype"])
                    for key in ("min", "max", "mean"):
                        want = float(row[key])
                        self.assertAlmostEqual(got["rescaled_" + key], want, delta=1e-6 + 1e-6 * abs(want), msg=key)
                    self.assertEqual(got["n_nonfinite"], int(row["n_nonfinite"]))

    def test_chest_films(self):
        folder, rows = self.rows("cxr_dicom/dev/labels.csv")
        for row, got in zip(rows, objects(*[os.path.join(folder, r["file"]) for r in rows])):
            lossy = row["transfer_syntax"].endswith(".50")
            for key in ("min", "max", "mean"):
                self.assertAlmostEqual(got[key], float(row[key]), delta=4 if lossy else 1e-5, msg=row["file"])
            self.assertNotIn("ZZ", json.dumps(got))

    def test_a_federation_on_raw_dicom(self):
        """From films as a hospital has them to a report; who was on them stays there."""
        folder = os.path.join(self.data, "cxr_dicom/dev")
        with open(os.path.join(folder, "img_000.dcm"), "rb") as f:
            self.assertIn(b"ZZPHI", f.read())  # the search below could find something
        out = self.path("out")
        r = self.ok("simulate", "--data", folder, "--label", "pneumonia", "--clients", 3, "--rounds", 1, "--size", 32,
                    "--compare", "none", "--bootstrap", 20, "--seed", 1, "--out", out, *THREADS)
        self.assertNotIn("ZZ", r.stdout + r.stderr)
        found = 0
        for root, _, names in os.walk(out):
            for name in names:
                self.assertNotIn("ZZ", name)
                with open(os.path.join(root, name), "rb") as f:
                    data = f.read()
                for word in (b"ZZPHI", b"ZZPID", b"ZZHOSPITAL", b"ZZDOCTOR"):
                    self.assertNotIn(word, data, name)
                found += 1
        self.assertGreater(found, 3)
        # The twelve bits of MONOCHROME1 become what the others are: mean intensities of one class agree.
        r = self.ok_json("data", "inspect", "--data", folder, *THREADS)
        self.assertEqual(r["n_skipped"], 0)

    def test_hippocampus(self):
        folder, rows = self.rows("mri3d_hippocampus/dev/labels.csv")
        paths = [os.path.join(folder, "images", r["file"]) for r in rows]
        for row, got in zip(rows, objects(*paths)):
            self.assertEqual(got["dims"], [int(v) for v in row["shape"].split("x")])
            self.assertEqual(got["dtype"], row["dtype"])
            for key in ("min", "max", "mean"):
                self.assertAlmostEqual(got["rescaled_" + key], float(row[key]), delta=1e-5 * max(1, abs(float(row[key]))))


if __name__ == "__main__":
    main()
