"""`medsecurefl data inspect` on NIfTI written here: types, orders, steps, orientations."""
import gzip
import struct
import subprocess
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import dicom_files as df
import nifti_files as nf
from common import CLI, SANITIZED, main
from readers_case import ReaderTest, objects

try:
    import nibabel
except ImportError:
    nibabel = None


class MadeNifti(ReaderTest):
    def test_every_type_order_and_version(self):
        rng = np.random.default_rng(1)
        cases = []
        for version in (1, 2):
            for order in "<>":
                for dtype in nf.TYPES:
                    for shape in ((5, 4, 3), (4, 3, 2, 3), (3, 2, 2, 2, 2), (7,), (3, 2)):
                        a = nf.random(rng, dtype, shape)
                        data = nf.file(a, version, order)
                        name = f"{len(cases)}.nii" + (".gz" if len(cases) % 2 else "")
                        cases.append((a, shape, self.put(name, gzip.compress(data, 1) if len(cases) % 2 else data)))
        for (a, shape, _), got in zip(cases, objects(*[c[2] for c in cases])):
            with self.subTest(dtype=a.dtype, shape=shape):
                channels = {"complex64": 2, "complex128": 2, "rgb": 3, "rgba": 4}.get(nf.name_of(a), 1)
                plain = nf.plain(a)
                self.same(got, plain, "F")
                self.assertEqual(got["dims"], list(shape))
                full = list(shape) + [1] * (5 - len(shape))
                self.assertEqual(got["shape"], [full[2] * full[3] * full[4], full[1], full[0], channels])

    def test_pairs(self):
        a = np.arange(24, dtype="i2").reshape(2, 3, 4)
        head, samples = nf.pair(a)
        for ending, pack in (("", bytes), (".gz", gzip.compress)):
            path = self.put(f"x{len(ending)}/v.hdr{ending}", pack(head))
            self.assertEqual(objects(path)[0]["error"], "missing")
            self.put(f"x{len(ending)}/v.img{ending}", pack(samples))
            self.same(objects(path)[0], a, "F")
            self.put(f"x{len(ending)}/v.img{ending}", pack(samples[:-1]))
            self.assertEqual(objects(path)[0]["error"], "truncated")

    def test_rescale_and_units(self):
        a = np.arange(24, dtype="i2").reshape(2, 3, 4)
        got = self.one("r.nii", nf.file(a, slope=0.5, inter=-3, pixdim=(0.001, 0.002, 0.003), units=1))
        self.same(got, a, "F", slope=0.5, intercept=-3)
        self.assertEqual((got["rescaled_min"], got["rescaled_max"]), (-3, 8.5))
        np.testing.assert_allclose(got["spacing_mm"], [3, 2, 1], rtol=1e-6)
        for slope in (0, float("nan"), float("inf")):
            got = self.one("n.nii", nf.file(a, slope=slope, inter=5))
            self.assertEqual((got["slope"], got["intercept"]), (1, 0))

    def test_where_steps_come_from(self):
        """An sform says how far apart voxels lie, whatever pixdim does; without steps there is no place."""
        a = np.arange(60, dtype="u1").reshape(5, 4, 3)
        srow = np.array([[0, -2, 0, 5], [3, 0, 0, 6], [0, 0, 0.5, 7]])
        got = self.one("s.nii", nf.file(a, sform=2, qform=1, srow=srow, pixdim=(1, 1, 0)))
        self.assertEqual((got["spacing_mm"], got["dims_step"], got["axes"]), ([0.5, 2, 3], [1, 1, 0], "ALS"))
        for options in ({"qform": 1}, {}):
            got = self.one("z.nii", nf.file(a, pixdim=(1, 1, 0), **options))
            self.assertIsNone(got.get("affine"))
            self.assertEqual(got["spacing_mm"], [None, 1, 1])
        self.assertIsNone(self.one("f.nii", nf.file(a, sform=1, srow=0 * srow)).get("affine"))
        self.assertEqual(self.one("flat.nii", nf.file(a[:, :, :1], qform=1, pixdim=(1, 1, 0)))["axes"], "RAS")

    def test_orientations(self):
        """Random rotations, mirrored and not, by sform, qform and neither; beside nibabel, where it is installed."""
        def times(p, q):
            return np.array([p[0] * q[0] - p[1:] @ q[1:], *(p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:]))])
        rng = np.random.default_rng(2)
        a = np.arange(60, dtype="u1").reshape(5, 4, 3)
        steps = np.array([0.7, 0.8, 3])
        for i in range(24):
            q = rng.normal(size=4)
            q = q / np.linalg.norm(q) * np.sign(q[0])
            srow = rng.normal(size=(3, 4)).astype("f4")
            offset = rng.normal(size=3)
            qfac = (-1) ** i
            if i % 3 == 2:
                want = np.column_stack([np.diag(steps * [-1, 1, 1]), -steps * [-1, 1, 1] * (np.array(a.shape) - 1) / 2])
            elif i % 3 == 1:
                want = srow
            else:
                back = q * [1, -1, -1, -1]
                turned = [times(times(q, np.array([0, *axis])), back)[1:] for axis in np.eye(3)]
                want = np.column_stack([np.array(turned).T * steps * [1, 1, qfac], offset])
            path = self.put(f"{i}.nii", nf.file(a, 1 + i % 2, "<>"[i % 2], quatern=q[1:], offset=offset, qfac=qfac, srow=srow,
                                                pixdim=steps, qform=int(i % 3 < 2), sform=int(i % 3 == 1)))
            got = objects(path)[0]
            np.testing.assert_allclose(got["affine"], want, atol=1e-5)
            self.assertEqual(got["affine_from"], ("qform", "sform", "assumed")[i % 3])
            if nibabel is not None:
                affine = nibabel.load(path).affine
                np.testing.assert_allclose(got["affine"], affine[:3], atol=1e-5)
                if i % 3 != 1:  # a matrix of random numbers has no axes to speak of
                    self.assertEqual(got["axes"], "".join(nibabel.aff2axcodes(affine)))

    def test_sizes_that_lie(self):
        a = np.zeros((4, 4, 4), "u1")
        good = nf.file(a)

        def with_dims(*dims):
            return good[:40] + struct.pack("<8h", *dims) + good[56:]
        cases = [("dims0", with_dims(0, 4, 4, 4, 1, 1, 1, 1), "bad_size"), ("dims8", with_dims(8, 1, 1, 1, 1, 1, 1, 1), "bad_size"),
                 ("negative", with_dims(3, 4, -4, 4, 1, 1, 1, 1), "bad_size"),
                 ("longer", with_dims(3, 400, 400, 400, 1, 1, 1, 1), "truncated"),
                 ("huge", with_dims(7, *[32767] * 7), "too_large"), ("type", good[:70] + b"\1\0" + good[72:], "unsupported_type"),
                 ("long double", good[:70] + struct.pack("<h", 1536) + good[72:], "unsupported_type"),
                 ("magic", good[:344] + b"xxxx" + good[348:], "unknown_format"),
                 ("offset", good[:108] + struct.pack("<f", -1) + good[112:], "damaged"),
                 ("nan", good[:108] + struct.pack("<f", float("nan")) + good[112:], "damaged"),
                 ("far", good[:108] + struct.pack("<f", 1e9) + good[112:], "truncated")]
        for name, data, error in cases:
            self.assertEqual(self.one("x.nii", data).get("error"), error, name)
        packed = gzip.compress(good)
        for n in range(0, len(packed), 3):
            self.assertIn(self.one("x.nii.gz", packed[:n]).get("error"), ("truncated", "empty", "name_mismatch", "unknown_format"), n)
        for at in range(10, len(packed) - 8, 5):
            self.one("x.nii.gz", packed[:at] + bytes([packed[at] ^ 16]) + packed[at + 1:])
        for n in range(0, len(good), 31):
            self.assertIn("error", self.one("x.nii", good[:n]))

    @unittest.skipIf(SANITIZED, "sanitizers have memory of their own")
    def test_a_small_file_takes_little_memory(self):
        """A header that claims gigabytes in a small gzip file, and a file of zeros behind it."""
        def peak(*paths):
            code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, "
                    "stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
            return int(subprocess.run([sys.executable, "-c", code, CLI, "data", "inspect", *paths], capture_output=True).stdout)
        a = np.zeros((4, 4, 4), "u1")
        good = nf.file(a)
        base = peak(self.put("a.nii.gz", gzip.compress(good)))
        for dims in ((3, 1000, 1000, 1000, 1, 1, 1, 1), (3, 100, 100, 100, 1, 1, 1, 1)):
            lies = good[:40] + struct.pack("<8h", *dims) + good[56:]
            self.assertLess(peak(self.put("b.nii.gz", gzip.compress(lies))), base + 2000)
        # Two deflated megabytes behind a DICOM header that say nothing: the file is small, and stays so.
        e = df.image(np.zeros((1, 4, 4, 1), "u1"))
        e[0x00091010] = ("OB", bytes(2 << 20))
        e[0x7FE00010] = ("OB", bytes(16))
        self.assertLess(peak(self.put("c.dcm", df.file(e, df.DEFLATED))), base + 40000)


if __name__ == "__main__":
    main()
