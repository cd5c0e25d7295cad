"""`medsecurefl data`, and the library's pixels, held to numpy."""
import ctypes
import json
import os
import struct
import sys
import unittest
import zlib

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

from common import CLI, SANITIZED, CliTest, data_folder, main

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(CLI)), "src", "libmedsecurefl.so")


class Options(ctypes.Structure):
    _fields_ = [("label", ctypes.c_char_p), ("width", ctypes.c_uint32), ("height", ctypes.c_uint32),
                ("channels", ctypes.c_uint32), ("normalise", ctypes.c_int), ("refuse_bad", ctypes.c_bool),
                ("seed", ctypes.c_uint64), ("phantom_images", ctypes.c_uint32), ("n_threads", ctypes.c_uint32),
                ("observer", ctypes.c_void_p), ("key", ctypes.c_char_p), ("labels", ctypes.c_char_p),
                ("patient", ctypes.c_char_p), ("masks", ctypes.c_char_p)]


class Library:
    """The few functions of dataset.h that are needed to see pixels."""

    def __init__(self):
        self.c = ctypes.CDLL(LIBRARY)
        self.c.msfl_error_message.restype = ctypes.c_char_p
        self.c.msfl_dataset_image_name.restype = ctypes.c_char_p

    def pixels(self, path, shape, normalise=2, **options):
        """All images as floats, shape (n,) + shape, and the labels."""
        o = Options(width=shape[1], height=shape[0], channels=shape[2], normalise=normalise, **options)
        handle = ctypes.c_void_p()
        status = self.c.msfl_dataset_open(os.fsencode(path), ctypes.byref(o), ctypes.byref(handle))
        if status != 0:
            raise AssertionError(self.c.msfl_error_message().decode())
        info = ctypes.cast(self.c_pointer("msfl_dataset_info_borrow", handle), ctypes.POINTER(ctypes.c_uint32))
        n = info[5]  # two pointers, a bool, then n_images
        out = np.zeros((n,) + shape, np.float32)
        labels = np.zeros(n, np.int64)
        for i in range(n):
            status = self.c.msfl_dataset_pixels(handle, i, None, ctypes.c_uint64(0),
                                                out[i].ctypes.data_as(ctypes.c_void_p))
            assert status == 0
            labels[i] = self.c.msfl_dataset_label(handle, i)
        self.c.msfl_dataset_free(handle)
        return out, labels

    def c_pointer(self, name, *args):
        function = getattr(self.c, name)
        function.restype = ctypes.c_void_p
        return function(*args)


def shrink(x, height, width):
    """Area averaging by integrating and differencing: not how the library does it."""
    def along(a, n, axis):
        a = np.moveaxis(a.astype(np.float64), axis, 0)
        sums = np.concatenate([np.zeros_like(a[:1]), np.cumsum(a, 0)])
        edges = np.arange(n + 1) * (a.shape[0] / n)
        low = np.minimum(np.floor(edges).astype(int), a.shape[0] - 1)
        part = (edges - low).reshape((-1,) + (1,) * (a.ndim - 1))
        at = sums[low] + part * a[low]
        return np.moveaxis((at[1:] - at[:-1]) * (n / a.shape[0]), 0, axis)
    return along(along(x, height, 1), width, 2)


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def png(array):
    """Grey or RGB, 8 or 16 bits, through zlib alone."""
    if array.ndim == 2:
        array = array[:, :, None]
    h, w, c = array.shape
    bits = 8 * array.itemsize
    raw = array.astype(">u2" if bits == 16 else "u1").reshape(h, -1).view("u1")
    rows = b"".join(bytes([0]) + row.tobytes() for row in raw)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", w, h, bits, 2 if c == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Arrays(CliTest):
    """Every type and order that numpy writes, seen through the library."""

    @classmethod
    def setUpClass(cls):
        if SANITIZED:
            raise unittest.SkipTest("a sanitized library cannot be loaded into Python")
        cls.library = Library()
        cls.rng = np.random.default_rng(1)

    def save(self, **arrays):
        path = self.path("set.npz")
        np.savez_compressed(path, **arrays)
        return path

    def check(self, x, want, n_classes=2):
        y = np.arange(len(x)) % n_classes
        shape = x.shape[1:] if x.ndim == 4 else x.shape[1:] + (1,)
        shape = shape[:2] + (min(shape[2], 3),)
        got, labels = self.library.pixels(self.save(x=x, y=y), shape)
        np.testing.assert_array_equal(labels, y)
        want = want.reshape(got.shape)
        self.assertLessEqual(np.abs(got - want).max(), 1e-5, x.dtype)

    def test_direct_types(self):
        for order in "CF":
            for dtype, top in (("u1", 255), ("<u2", 65535), (">u2", 65535)):
                x = np.array(self.rng.integers(0, top + 1, (6, 5, 7)), dtype, order=order)
                self.check(x, x / top)
            x = np.array(self.rng.integers(0, 2, (6, 5, 7)), bool, order=order)
            self.check(x, x * 1.0)
            x = np.array(self.rng.integers(0, 256, (6, 5, 7, 3)), "u1", order=order)
            self.check(x, x / 255)

    def test_wide_integers_that_fit(self):
        for dtype in ("<i2", ">i4", "<i8", "<u4", ">u8"):
            x = self.rng.integers(0, 256, (6, 5, 7)).astype(dtype)
            x[0, 0, 0] = 255
            self.check(x, x / 255)
        for dtype in ("<i4", ">i8"):
            x = self.rng.integers(0, 5000, (6, 5, 7)).astype(dtype)
            x[0, 0, 0] = 5000
            self.check(x, x / 65535)

    def test_scaled(self):
        for dtype in ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "<i2", "<i8"):
            for order in "CF":
                x = self.rng.normal(0, 50, (6, 5, 7)).astype(dtype)
                x = np.array(x, order=order)
                v = x.astype(np.float64)
                self.check(x, (v - v.min()) / (v.max() - v.min()))

    def test_alpha_is_laid_onto_black(self):
        x = self.rng.integers(0, 256, (6, 5, 7, 4)).astype("u1")
        self.check(x, np.round(x[..., :3] * (x[..., 3:] / 255)) / 255)

    def test_shrinking_is_area_averaging(self):
        x = self.rng.integers(0, 256, (4, 41, 67)).astype("u1")
        for h, w in ((20, 20), (41, 9), (7, 67), (1, 1), (40, 66)):
            got, _ = self.library.pixels(self.save(x=x, y=[0, 1, 0, 1]), (h, w, 1))
            want = shrink(x, h, w)
            self.assertLessEqual(np.abs(got[..., 0] * 255 - want).max(), 0.501)

    def test_growing_is_linear_between_centres(self):
        x = self.rng.integers(0, 256, (2, 9, 11)).astype("u1")
        got, _ = self.library.pixels(self.save(x=x, y=[0, 1]), (30, 25, 1))
        ys = (np.arange(30) + .5) * 9 / 30 - .5
        xs = (np.arange(25) + .5) * 11 / 25 - .5
        for k in range(2):
            rows = np.stack([np.interp(xs, np.arange(11), r) for r in x[k]])
            want = np.stack([np.interp(ys, np.arange(9), c) for c in rows.T]).T
            self.assertLessEqual(np.abs(got[k, :, :, 0] * 255 - want).max(), 0.501)

    def test_normalisation(self):
        x = self.rng.integers(0, 256, (6, 8, 8)).astype("u1")
        x[2] = 17
        path = self.save(x=x, y=np.arange(6) % 2)
        got, _ = self.library.pixels(path, (8, 8, 1), normalise=0)
        for i in range(6):
            v = x[i] / 255
            want = np.zeros_like(v) if i == 2 else (v - v.mean()) / v.std()
            self.assertLessEqual(np.abs(got[i, :, :, 0] - want).max(), 1e-4)
        got, _ = self.library.pixels(path, (8, 8, 1), normalise=1)
        want = (x / 255 - (x / 255).mean()) / (x / 255).std()
        self.assertLessEqual(np.abs(got[..., 0] - want).max(), 1e-4)

    def test_medmnist(self):
        parts = {p: self.rng.integers(0, 256, (n, 6, 6, 3)).astype("u1") for p, n in (("train", 9), ("val", 3), ("test", 4))}
        arrays = {f"{p}_images": v for p, v in parts.items()}
        arrays |= {f"{p}_labels": np.arange(len(v))[:, None] % 3 for p, v in parts.items()}
        path = self.save(**arrays)
        got, labels = self.library.pixels(path, (6, 6, 3))
        np.testing.assert_allclose(got, np.concatenate(list(parts.values())) / 255, atol=1e-6)
        np.testing.assert_array_equal(labels, np.concatenate([np.arange(n) % 3 for n in (9, 3, 4)]))
        r = self.ok_json("data", "inspect", "--data", path)
        self.assertEqual(r["kind"], "npz-medmnist")
        self.assertTrue(r["has_split"])
        self.assertEqual([c["test"] for c in r["classes"]], [2, 1, 1])
        r = self.ok_json("data", "partition", path, "--clients", 2)
        self.assertEqual((r["split"]["train"], r["split"]["validation"], r["split"]["test"]), (9, 3, 4))

    def test_real_images(self):
        folder = data_folder()
        if folder is None:
            self.skipTest("no shared data")
        path = os.path.join(folder, "cxr_kermany", "dev", "cxr64.npz")
        z = np.load(path)
        got, labels = self.library.pixels(path, (64, 64, 1))
        np.testing.assert_allclose(got[..., 0], z["x"] / 255, atol=1e-6)
        np.testing.assert_array_equal(labels, z["y"])
        got, _ = self.library.pixels(path, (28, 28, 1))
        self.assertLessEqual(np.abs(got[..., 0] * 255 - shrink(z["x"], 28, 28)).max(), 0.501)


class Npz(CliTest):
    """What the command says about good and bad archives."""

    def save(self, **arrays):
        path = self.path("set.npz")
        np.savez(path, **arrays)
        return path

    def test_labels_of_many_kinds(self):
        x = np.zeros((12, 4, 4), "u1")
        y = np.arange(12) % 3
        for labels, names in ((y.astype("<f4"), "012"), (y[:, None].astype(">i8"), "012"), (y - 1, ["-1", "0", "1"]),
                              (y > 0, "01"), (np.array(["b", "A", "c\u00e9"])[y], ["A", "b", "c\u00e9"]),
                              (np.array([b"x", b"yy", b"z"])[y], ["x", "yy", "z"])):
            r = self.ok_json("data", "inspect", "--data", self.save(x=x, y=labels))
            self.assertEqual([c["name"] for c in r["classes"]], list(names))
        r = self.ok_json("data", "inspect", "--data", self.save(x=x, y=y, other=y // 2), "--label", "other")
        self.assertEqual([c["images"] for c in r["classes"]], [8, 4])
        self.assertEqual(r["label_key"], "array 'other'")

    def test_groups(self):
        x = np.zeros((12, 4, 4), "u1")
        big = np.array([2**62 + i // 2 for i in range(12)])  # would merge if read as doubles
        r = self.ok_json("data", "inspect", "--data", self.save(x=x, y=np.arange(12) % 2, group=big))
        self.assertEqual((r["patients"], r["group_key"]), (6, "array 'group'"))
        r = self.ok_json("data", "partition", self.save(x=x, y=np.arange(12) % 2, group=np.arange(12) // 4),
                         "--clients", 3, "--partition", "by-group", "--test-fraction", 0, "--validation-fraction", 0)
        self.assertEqual([h["images"] for h in r["hospitals"]], [4, 4, 4])

    def test_refused(self):
        x = np.zeros((12, 4, 4), "u1")
        y = np.arange(12) % 2
        for code, text, arrays in (
                (16, "volumes", dict(x=np.zeros((4, 9, 9, 9), "u1"), y=y[:4])),
                (16, "transpose(0, 2, 3, 1)", dict(x=np.zeros((4, 3, 9, 9), "u1"), y=y[:4])),
                (16, "images x height x width", dict(x=np.zeros((4, 9), "u1"), y=y[:4])),
                (16, "pickled", dict(x=np.array([None] * 3), y=y[:3])),
                (16, "pickled", dict(x=x, y=np.array([None] * 12))),
                (16, "structured", dict(x=np.zeros(3, [("a", "<f4")]), y=y[:3])),
                (16, "<c8", dict(x=np.zeros((3, 4, 4), "c8"), y=y[:3])),
                (16, "text", dict(x=np.full((3, 4, 4), "a"), y=y[:3])),
                (16, "several labels", dict(x=x, y=np.zeros((12, 14), "u1"))),
                (12, "12 images", dict(x=x, y=y[:11])),
                (12, "12 images", dict(x=x, y=y, group=y[:5])),
                (12, "whole numbers", dict(x=x, y=y + 0.5)),
                (12, "one class", dict(x=x, y=y * 0)),
                (12, "measurement", dict(x=np.zeros((30, 4, 4), "u1"), y=np.arange(30))),
                (12, "no array 'y'", dict(x=x, z=y)),
                (12, "'train_images'", dict(a=x, y=y)),
                (12, "no images", dict(x=x[:0], y=y[:0])),
                (12, "test_labels", dict(train_images=x, train_labels=y, test_images=x)),
                (6, "16384", dict(x=np.zeros((2, 1, 20000), "u1"), y=y[:2]))):
            self.fails(code, text, "data", "inspect", "--data", self.save(**arrays))
        self.fails(12, "x (12, 4, 4), y (12,)", "data", "inspect", "--data", self.save(x=x, y=y), "--label", "nothing")
        self.fails(12, "no label 'nothing'", "data", "inspect", "--data", self.save(x=x, y=y), "--label", "nothing")

    def test_not_finite(self):
        x = np.random.default_rng(0).normal(size=(12, 4, 4)).astype("f4")
        x[3, 1, 1] = np.nan
        x[7, 0, 0] = np.inf
        path = self.save(x=x, y=np.arange(12) % 2)
        r = self.ok_json("data", "inspect", "--data", path)
        self.assertEqual((r["images"], r["n_skipped"], r["bits"]), (10, 2, 16))
        self.assertIn("x[3]", r["skipped"][0])
        self.assertIn("scaled to 16 bits", r["conversion"])
        self.fails(12, "x[3]", "data", "inspect", "--data", path, "--refuse-bad")

    def test_bomb(self):
        """A file of 60 kB that unpacks to 60 MB is read; a directory that promises more than deflate can is not."""
        path = self.path("set.npz")
        np.savez_compressed(path, x=np.zeros((1000, 250, 250), "u1"), y=np.arange(1000) % 2)
        r = self.ok_json("data", "inspect", "--data", path, "--size", 8)
        self.assertEqual(r["images"], 1000)
        with open(path, "rb") as f:
            data = bytearray(f.read())
        at = data.find(b"PK\x01\x02")
        data[at + 24:at + 28] = struct.pack("<I", 0x7fffffff)
        put(path, data)
        self.fails(5, "set.npz", "data", "inspect", "--data", path, "--size", 8)


class Folders(CliTest):
    def make(self, n=10, **change):
        for k, name in enumerate(("alpha", "beta")):
            os.makedirs(self.path("set", name), exist_ok=True)
            for i in range(n):
                image = np.full((6, 8 if k == 0 else change.get("width", 8)), 10 * i + k, "u1")
                put(self.path("set", name, f"{i}.png"), png(image))
        return self.path("set")

    def test_page(self):
        page = self.ok("data", "inspect", "--data", self.make()).stdout
        for text in ("alpha", "beta", "50.0 %", "8 x 6 (20)", "PNG, 8 bits, grey (20)", "no patient key"):
            self.assertIn(text, page)
        self.assertNotIn("alone in", page)

    def test_shortcuts_are_pointed_out(self):
        r = self.ok_json("data", "inspect", "--data", self.make(width=9))
        self.assertTrue(any("image size" in w for w in r["warnings"]))
        telling = {t["trait"]: t for t in r["traits"]}
        self.assertEqual(telling["image size"]["accuracy"], 1)
        self.assertTrue(telling["image size"]["telling"])
        self.assertFalse(telling["file type"]["telling"])

    def test_every_image_its_own_size_tells_nothing(self):
        for k, name in enumerate(("alpha", "beta")):
            os.makedirs(self.path("set", name))
            for i in range(10):
                put(self.path("set", name, f"{i}.png"), png(np.zeros((5 + i + 10 * k, 5), "u1")))
        r = self.ok_json("data", "inspect", self.path("set"))
        self.assertFalse(any("image size" in w for w in r["warnings"]))

    def test_broken_images(self):
        folder = self.make()
        whole = png(np.zeros((6, 8), "u1"))
        put(self.path("set", "alpha", "cut\n\x1b[31m.png"), whole[:-20])
        page = self.ok("data", "inspect", folder).stdout
        self.assertIn("1 broken", page)
        self.assertRegex(page, "cut(\\?\\?|\ufffd\ufffd)\\[31m.png")
        self.assertNotIn("\x1b", page)
        r = self.ok_json("data", "inspect", folder)
        self.assertEqual((r["images"], r["n_skipped"]), (20, 1))
        self.fails(5, "cut", "data", "inspect", folder, "--refuse-bad")

    def test_names_that_are_not_utf8(self):
        folder = self.make()
        put(os.fsencode(self.path("set", "alpha")) + b"/\xff\xfe.png", b"junk")
        r = self.ok_json("data", "inspect", folder, errors="replace")
        self.assertEqual(r["n_skipped"], 1)

    def test_sixteen_bits_and_colour(self):
        folder = self.make()
        put(self.path("set", "beta", "deep.png"), png(np.full((6, 8), 40000, "u2")))
        put(self.path("set", "beta", "rgb.png"), png(np.full((6, 8, 3), 77, "u1")))
        r = self.ok_json("data", "inspect", folder)
        self.assertEqual((r["bits"], r["channels"]), (16, 1))
        self.assertEqual(sum(f["images"] for f in r["formats"]), 22)
        r = self.ok_json("data", "inspect", folder, "--channels", 3, "--size", 4)
        self.assertEqual((r["channels"], r["width"], r["height"]), (3, 4, 4))

    def test_one_class(self):
        folder = self.make()
        for i in range(10):
            os.remove(self.path("set", "beta", f"{i}.png"))
        self.fails(12, "one class", "data", "inspect", folder)

    def test_copies(self):
        folder = self.make()
        put(self.path("set", "beta", "copy.png"), png(np.full((6, 8), 20, "u1")))
        put(self.path("set", "alpha", "copy.png"), png(np.full((6, 8), 20, "u1")))
        r = self.ok_json("data", "inspect", folder)
        self.assertEqual(r["copies"], {"all": 2, "of_another_patient": 2, "of_another_class": 1})
        page = self.ok("data", "inspect", folder).stdout
        self.assertIn("2 images are exact copies", page)
        self.assertIn("one of the labels is wrong", page)

    def test_wrong_use(self):
        for args, text in (((), "data inspect"), (("look",), "there is no 'data look'"), (("look",), "check, card"),
                           (("preview",), "augment-preview"), (("inspect",), "no data"),
                           (("inspect", "phantom", "--sise", 3), "--size"), (("inspect", "phantom", "more"), "too many"),
                           (("partition", "phantom", "--partition", "dirichlet"), "dirichlet:0.5"),
                           (("partition", "phantom", "--partition", "dirichlet:x"), "'x' must be a number"),
                           (("partition", "phantom", "--clients", 1001), "--clients")):
            self.fails(2, text, "data", *args)
        self.fails(14, "no such folder", "data", "inspect", "--data", self.path("nowhere"))
        self.fails(12, "cannot be dealt", "data", "partition", "phantom", "--phantom-images", 40, "--clients", 50)


class Phantom(CliTest):
    def test_same_seed_same_images(self):
        a = self.ok("data", "inspect", "phantom", "--phantom-images", 200, "--json", "--threads", 1).stdout
        b = self.ok("data", "inspect", "phantom", "--phantom-images", 200, "--json", "--threads", 4).stdout
        c = self.ok("data", "inspect", "phantom", "--phantom-images", 200, "--json", "--seed", 2).stdout
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)
        r = json.loads(a)
        self.assertTrue(r["synthetic"])
        self.assertTrue(any("synthetic" in w for w in r["warnings"]))

    def test_partition_page(self):
        page = self.ok("data", "partition", "phantom", "--phantom-images", 300, "--partition", "dirichlet:0.5").stdout
        self.assertIn("label skew", page)
        self.assertEqual(len([line for line in page.splitlines() if line[:1].isdigit()]), 3)

    def test_help(self):
        self.assertIn("--partition", self.ok("data", "--help").stdout)


class RealData(CliTest):
    def setUp(self):
        super().setUp()
        self.data = data_folder()
        if self.data is None:
            self.skipTest("no shared data")

    def inspect(self, *path, **options):
        # Sanitizers' allocators are not safe across a fork while other threads allocate: DICOM forks.
        threads = ("--threads", 1) if SANITIZED else ()
        return self.ok_json("data", "inspect", "--data", os.path.join(self.data, *path), *threads, *sum(([f"--{k}", v] for k, v in options.items()), []))

    def counts(self, r):
        return {c["name"]: c["images"] for c in r["classes"]}

    def test_chest(self):
        z = np.load(os.path.join(self.data, "cxr_kermany/dev/cxr64.npz"))
        r = self.inspect("cxr_kermany/dev/cxr64.npz")
        want = np.bincount(z["y"])
        self.assertEqual(self.counts(r), dict(zip(("normal", "bacteria", "virus"), want)))
        self.assertEqual(r["patients"], len(set(z["group"])))
        self.assertAlmostEqual(r["intensity"]["mean"], z["x"].mean() / 255, places=9)
        self.assertAlmostEqual(r["intensity"]["deviation"], z["x"].std() / 255, places=9)
        self.assertEqual(r["intensity"]["histogram"], np.histogram(z["x"], 32, (0, 256))[0].tolist())
        for label in ("y_pneumonia", "pneumonia"):
            r = self.inspect("cxr_kermany/dev/cxr64.npz", label=label)
            self.assertEqual(self.counts(r), dict(zip("01", np.bincount(z["y_pneumonia"]))))
        for path in ("cxr_kermany/dev/png128", "cxr_kermany/dev"):
            r = self.inspect(path)
            self.assertEqual(self.counts(r), dict(bacteria=280, normal=280, virus=280))
            self.assertEqual(r["group_key"], "patient_key in labels.csv")

    def test_other_sets(self):
        for path, n, classes, patients in (("brain_tumor_mri/dev/brain64.npz", 4615, 4, True),
                                           ("brain_tumor_mri/dev/png128", 880, 4, True),
                                           ("mednist6/dev/mednist64.npz", 4200, 6, False),
                                           ("breast_us_28/dev/breast28.npz", 546, 2, False)):
            r = self.inspect(path)
            self.assertEqual((r["images"], len(r["classes"])), (n, classes))
            self.assertEqual(r["group_key"] is not None, patients)
            self.assertFalse(r["classes"][0]["name"].isdigit())

    def test_hannover(self):
        self.fails(12, "one class", "data", "inspect", "--data", os.path.join(self.data, "cxr_covid_hannover/dev/png224"))
        r = self.inspect("cxr_covid_hannover/dev/png224", label="projection")
        self.assertEqual(self.counts(r), dict(ap=149, pa=21))
        self.assertEqual(r["patients"], 40)
        r = self.inspect("cxr_covid_hannover/dev/covid64.npz", label="icu")
        self.assertEqual(r["group_key"], "patient_id in labels.csv")

    def test_volumes_and_dicom(self):
        for path in ("mri3d_hippocampus/dev/hippo_40x56x44.npz", "mri3d_contrast/dev/contrast_64x64x32.npz"):
            self.fails(16, "volumes", "data", "inspect", "--data", os.path.join(self.data, path))
        r = self.inspect("cxr_dicom/dev")
        self.assertEqual(self.counts(r), dict(bacteria=32, normal=32, virus=32))
        self.assertEqual((r["patients"], r["group_key"], r["bits"]), (96, "patient_id in labels.csv", 16))
        self.assertEqual(r["formats"], [{"kind": "DICOM, 8 bits, grey", "images": 84},
                                        {"kind": "DICOM, 16 bits, grey", "images": 12}])

    def test_partitions_of_the_chest(self):
        path = os.path.join(self.data, "cxr_kermany/dev/cxr64.npz")
        for spec in ("iid", "dirichlet:0.5", "quantity:0.5", "by-group"):
            for n in (2, 3, 20):
                r = self.ok_json("data", "partition", path, "--clients", n, "--partition", spec)
                total = sum(h["images"] for h in r["hospitals"])
                self.assertEqual(total, r["split"]["train"] + r["split"]["validation"])
                self.assertEqual(total + r["split"]["test"], 4099)
                self.assertTrue(all(sum(h["counts"]) == h["images"] == h["train"] + h["validation"] >= 2
                                    for h in r["hospitals"]))


if __name__ == "__main__":
    main()
