"""`medsecurefl data inspect FILE...`: every reader held to files made here, to pydicom and nibabel, and to real files."""
import base64
import csv
import gzip
import hashlib
import json
import os
import resource
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
from common import CLI, SANITIZED, SOURCE, CliTest, data_folder, main, run

try:
    import pydicom
except ImportError:
    pydicom = None
try:
    import nibabel
except ImportError:
    nibabel = None

# docs/formats/inspect.md
ERRORS = {"missing", "unreadable", "empty", "unknown_format", "name_mismatch", "damaged", "truncated", "no_pixels",
          "bad_size", "implausible_size", "too_large", "unsupported_encoding", "unsupported_type", "decoder_failed",
          "decoder_died", "out_of_time", "out_of_memory", "system"}


# The sanitizers' allocators are not safe across a fork while other threads allocate, as glibc's is: a child may hang.
THREADS = ("--threads", "1") if SANITIZED else ()


def digest(array, order="C"):
    """The digest of samples in memory, little-endian."""
    raw = np.asarray(array)
    raw = raw.astype(raw.dtype.newbyteorder("<")).tobytes(order)
    label = b"msfl.image.samples"
    return hashlib.blake2b(struct.pack("<Q", len(label)) + label + raw, digest_size=32).hexdigest()


def objects(*paths, **kwargs):
    """One object for each file, whatever the exit status; and that."""
    r = run("data", "inspect", "--json", *THREADS, *paths, **kwargs)
    lines = [json.loads(line) for line in r.stdout.splitlines()]
    assert len(lines) == len(paths), (r.returncode, r.stdout[-500:], r.stderr[-500:])
    assert all("error" not in o or o["error"] in ERRORS for o in lines), lines
    assert (r.returncode == 0) == all("error" not in o for o in lines), r.returncode
    return lines


class ReaderTest(CliTest):
    def put(self, name, data):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def one(self, name, data):
        return objects(self.put(name, data))[0]

    def same(self, got, array, order="C", **more):
        """Stored samples, bit for bit, and the figures that follow from them."""
        self.assertNotIn("error", got, got)
        self.assertEqual(got["dtype"], array.dtype.name)
        self.assertEqual(got["digest"], digest(array, order), got)
        finite = array[np.isfinite(array)].astype(np.float64)
        if finite.size:
            for key, value in (("min", finite.min()), ("max", finite.max())):
                self.assertAlmostEqual(got[key], value, delta=1e-14 * abs(value))
            self.assertAlmostEqual(got["mean"], finite.mean(), delta=1e-9 * max(1, np.abs(finite).max()))
        self.assertEqual(got["n_nonfinite"], array.size - finite.size)
        for key, value in more.items():
            self.assertEqual(got[key], value, key)


class MadeDicom(ReaderTest):
    """DICOM written element by element."""

    def array(self, shape=(1, 9, 7, 1), dtype="u2", bits=None, seed=1):
        rng = np.random.default_rng(seed)
        dtype = np.dtype(dtype)
        bits = bits or 8 * dtype.itemsize
        low = -(1 << bits - 1) if dtype.kind == "i" else 0
        return rng.integers(low, low + (1 << bits), shape, dtype=np.int64).astype(dtype)

    def test_every_depth_and_syntax(self):
        cases = []
        for syntax in (df.LITTLE, df.IMPLICIT, df.BIG, df.DEFLATED, df.RLE):
            for dtype, bits in (("u1", 8), ("u1", 5), ("i1", 8), ("i1", 7), ("u2", 16), ("u2", 12), ("u2", 9),
                                ("i2", 16), ("i2", 12), ("u4", 32), ("i4", 32), ("u4", 17)):
                for frames, samples in ((1, 1), (3, 1), (2, 3)):
                    if samples == 3 and dtype[0] == "i":
                        continue
                    a = self.array((frames, 6, 8, samples), dtype, bits)
                    options = {"stored": bits}
                    if samples == 3:
                        options.update(photometric="RGB", planar=frames % 2)
                    cases.append((a, syntax, bits, self.put(f"{len(cases)}.dcm", df.native(a, syntax, **options))))
        for (a, syntax, bits, _), got in zip(cases, objects(*[c[3] for c in cases])):
            with self.subTest(syntax=syntax, dtype=a.dtype, bits=bits, shape=a.shape):
                self.same(got, a, shape=list(a.shape), transfer_syntax=syntax, format="DICOM", bits_stored=bits)

    def test_planes(self):
        a = self.array((2, 4, 6, 3), "u1")
        for syntax in (df.LITTLE, df.BIG, df.RLE):
            got = self.one("p.dcm", df.native(a, syntax, photometric="RGB", planar=1))
            self.same(got, a, colour="RGB")
            np.testing.assert_allclose(got["rgb_mean"], a.reshape(-1, 3).mean(0))

    def test_bits_beside_the_value(self):
        """An overlay in the unused bits, above or below, is not part of the value."""
        a = self.array((1, 5, 5, 1), "u2", 10)
        dirt = self.array((1, 5, 5, 1), "u2", 6, seed=2)
        self.same(self.one("high.dcm", df.native((dirt << 10 | a).astype("u2"), stored=10)), a)
        self.same(self.one("low.dcm", df.native((a << 6 | dirt).astype("u2"), stored=10, high=15)), a)
        s = self.array((1, 5, 5, 1), "i2", 10)
        raw = (s.astype("u2") & 1023 | dirt << 10).astype("u2").view("i2")
        self.same(self.one("signed.dcm", df.native(raw, stored=10)), s)

    def test_packed_bits(self):
        """Samples that fill no whole bytes follow one another without gaps, frames too."""
        for bits in (1, 2, 4, 12, 20):
            a = self.array((3, 3, 5, 1), "u4", bits)
            stream = "".join(format(int(v), f"0{bits}b")[::-1] for v in a.ravel())
            stream += "0" * (-len(stream) % 16)
            packed = bytes(int(stream[i:i + 8][::-1], 2) for i in range(0, len(stream), 8))
            e = df.image(a, x00280100=("US", bits), x00280101=("US", bits), x00280102=("US", bits - 1))
            e[0x7FE00010] = ("OW" if bits > 8 else "OB", packed)
            want = a.astype("u1" if bits <= 8 else "u2" if bits <= 16 else "u4")
            self.same(self.one("b.dcm", df.file(e)), want, bits_stored=bits)

    def test_float_pixels(self):
        rng = np.random.default_rng(3)
        for dtype, tag, vr in (("f4", 0x7FE00008, "OF"), ("f8", 0x7FE00009, "OD")):
            a = rng.normal(size=(2, 4, 5, 1)).astype(dtype)
            a[0, 0, 0] = np.nan
            for syntax in (df.LITTLE, df.BIG, df.IMPLICIT):
                e = df.image(a)
                e[tag] = (vr, a.astype(a.dtype.newbyteorder(">" if syntax == df.BIG else "<")).tobytes())
                self.same(self.one("f.dcm", df.file(e, syntax)), a)

    def test_colours(self):
        rng = np.random.default_rng(4)
        y, b, r = (rng.integers(0, 256, (4, 6)) for _ in range(3))
        b[:, 1::2], r[:, 1::2] = b[:, ::2], r[:, ::2]
        a = np.stack([y, b, r], -1)[None].astype("u1")
        full = np.stack([y + 1.402 * (r - 128), y - 0.344136 * (b - 128) - 0.714136 * (r - 128), y + 1.772 * (b - 128)])
        want = np.clip(full, 0, 255).reshape(3, -1).mean(1)
        e = df.image(a, photometric="YBR_FULL_422")
        pairs = np.stack([y[:, ::2], y[:, 1::2], b[:, ::2], r[:, ::2]], -1).astype("u1")
        e[0x7FE00010] = ("OB", pairs.tobytes())
        for data in (df.file(e), df.native(a, photometric="YBR_FULL"), df.native(a, df.RLE, photometric="YBR_FULL")):
            got = self.one("c.dcm", data)
            self.same(got, a, colour="YBR")
            np.testing.assert_allclose(got["rgb_mean"], want, atol=1e-6)

    def test_palette(self):
        a = self.array((1, 5, 6, 1), "u1", 4)
        rng = np.random.default_rng(5)
        tables = rng.integers(0, 65536, (3, 10))
        extra = {}
        for i in range(3):
            extra[f"x0028110{i + 1}"] = ("US", [10, 3, 16])
            extra[f"x0028120{i + 1}"] = ("OW", tables[i].astype("<u2").tobytes())
        got = self.one("p.dcm", df.native(a, photometric="PALETTE COLOR", **extra))
        self.same(got, a, colour="palette")
        index = np.clip(a.astype(int) - 3, 0, 9).ravel()
        np.testing.assert_allclose(got["rgb_mean"], [t[index].mean() for t in tables])
        self.assertEqual(self.one("q.dcm", df.native(a, photometric="PALETTE COLOR"))["error"], "unsupported_type")

    def test_segmented_palette(self):
        """PS3.3 C.7.9.2: discrete, linear, and indirect segments that repeat those from a byte on."""
        a = self.array((1, 5, 6, 1), "u1", 4)
        plain = [0, 2, 10, 20, 1, 4, 100, 1, 2, 90]
        want = np.array([10, 20, 40, 60, 80, 100, 95, 90, 10, 20, 40, 60, 80, 100, 95, 90])

        def read(words, bits=16, n=16):
            pack = "<u2" if bits == 16 else "u1"
            extra = {}
            for i in range(1, 4):
                extra[f"x0028110{i}"] = ("US", [n, 0, bits])
                extra[f"x0028122{i}"] = ("OW", np.array(words).astype(pack).tobytes())
            return self.one("s.dcm", df.native(a, photometric="PALETTE COLOR", **extra))
        for words, bits in ((plain + [2, 3, 0, 0], 16), (plain + [2, 3, 0, 0, 0, 0], 8), (plain * 2, 16)):
            np.testing.assert_allclose(read(words, bits)["rgb_mean"], [want[a.ravel()].mean()] * 3)
        for words in (plain, [1, 16, 5], [2, 1, 0, 0], [0, 17] + 17 * [1], plain + [2, 9, 0, 0], plain + [2, 3, 20, 0],
                      plain + [2, 3, 1, 0], plain + [3, 8, 0]):
            self.assertEqual(read(words)["error"], "unsupported_type", words)

    def test_rescale_window_tables(self):
        a = self.array((1, 6, 6, 1), "i2", 12)
        got = self.one("r.dcm", df.native(a, stored=12, x00281052=("DS", "-1024"), x00281053=("DS", "0.5"),
                                          x00281050=("DS", ["40", "300"]), x00281051=("DS", ["400", "1500"])))
        self.same(got, a, slope=0.5, intercept=-1024, window=[40, 400])
        v = a * 0.5 - 1024
        for key, want in (("min", v.min()), ("max", v.max()), ("mean", v.mean())):
            self.assertAlmostEqual(got["rescaled_" + key], want, places=9)
        u = self.array((1, 6, 6, 1), "u1", 4)
        table = np.arange(16)[::-1] * 100
        lut = [{0x00283002: ("US", [16, 0, 16]), 0x00283004: ("LO", "OD"), 0x00283006: ("OW", table.astype("<u2").tobytes())}]
        got = self.one("m.dcm", df.native(u, x00283000=("SQ", lut)))
        self.same(got, u, slope=None)
        self.assertAlmostEqual(got["rescaled_mean"], table[u].mean())

    def test_frames_with_their_own_rescale(self):
        a = self.array((3, 4, 4, 1), "u2")
        groups = [{0x00289145: ("SQ", [{0x00281052: ("DS", i), 0x00281053: ("DS", i + 1)}]),
                   0x00209113: ("SQ", [{0x00200032: ("DS", [0, 0, 2.5 * i])}])} for i in range(3)]
        shared = [{0x00289110: ("SQ", [{0x00280030: ("DS", [0.5, 0.25]), 0x00180050: ("DS", 3)}]),
                   0x00209116: ("SQ", [{0x00200037: ("DS", [1, 0, 0, 0, 1, 0])}])}]
        got = self.one("e.dcm", df.native(a, x52009229=("SQ", shared), x52009230=("SQ", groups)))
        self.same(got, a, slope=None, spacing_mm=[2.5, 0.5, 0.25], axes="LPS")
        want = a * np.arange(1, 4).reshape(3, 1, 1, 1) + np.arange(3).reshape(3, 1, 1, 1)
        self.assertAlmostEqual(got["rescaled_mean"], want.mean())
        np.testing.assert_allclose(got["affine"], [[-0.25, 0, 0, 0], [0, -0.5, 0, 0], [0, 0, 2.5, 0]], atol=1e-12)

    def enhanced(self, a, positions, turned=None, window=False):
        groups = []
        for i, p in enumerate(positions):
            g = {0x00209113: ("SQ", [{0x00200032: ("DS", p)}]),
                 0x00209116: ("SQ", [{0x00200037: ("DS", [1, 0, 0, 0, 1, 0] if i != turned else [1, 0, 0, 0, 0, -1])}]),
                 0x00289145: ("SQ", [{0x00281052: ("DS", i), 0x00281053: ("DS", i + 1)}])}
            if window:
                g[0x00289132] = ("SQ", [{0x00281050: ("DS", 100 + i), 0x00281051: ("DS", 50 + i)}])
            groups.append(g)
        shared = [{0x00289110: ("SQ", [{0x00280030: ("DS", [0.5, 0.25]), 0x00180050: ("DS", 3)}])}]
        return df.native(a, x52009229=("SQ", shared), x52009230=("SQ", groups))

    def test_frames_lie_where_they_say(self):
        """Read in the order in which they lie, with their own rescales, whatever the one in which they are stored."""
        order = [3, 0, 4, 1, 2]
        a = self.array((5, 4, 4, 1), "u2", 8)
        slope = np.arange(1, 6)[np.argsort(order)].reshape(5, 1, 1, 1)
        for step in ([0, 0, 2.5], [0.4, 0, 2.5]):  # along the normal, and sheared
            places = [[7 + s * k for s in step] for k in order]
            got = self.one("o.dcm", self.enhanced(a, places, window=True))
            up = order[-1] > order[0]
            self.assertFalse(up)  # from the end where the first stored one lies
            sorted_ = a[np.argsort(order)][::-1]
            self.same(got, sorted_, window=[100 + order.index(2), 50 + order.index(2)])
            np.testing.assert_allclose(got["affine"], [[-.25, 0, step[0], -7 - 4 * step[0]], [0, -.5, 0, -7],
                                                       [0, 0, -2.5, 7 + 4 * 2.5]], atol=1e-9)
            want = sorted_ * slope[::-1] + slope[::-1] - 1
            self.assertAlmostEqual(got["rescaled_mean"], want.mean())
        straight = [[0, 0, 2.5 * k] for k in range(5)]
        self.assertIn("affine", self.one("s.dcm", self.enhanced(a, straight)))
        for name, places, turned in (("gap", straight[:4] + [[0, 0, 12.5]], None), ("times", straight[:4] + [[0, 0, 7.5]], None),
                                     ("beside", straight[:4] + [[30, 0, 10]], None), ("turned", straight, 4)):
            got = self.one("t.dcm", self.enhanced(a, places, turned))
            self.same(got, a)
            self.assertIsNone(got.get("affine"), name)

    def test_compressed(self):
        y, x = np.mgrid[0:10, 0:12]
        a = ((y * 37 + x * 91 + x * y * 13) % 4096).astype("u2")
        for syntax, fragment in ((df.LOSSLESS, df.jpeg_lossless(a, 12)), (df.JPEG_LS, base64.b64decode(LS)),
                                 (df.JPEG_2000, base64.b64decode(J2K))):
            for n in (1, 2):
                e = df.image(np.repeat(a[None, :, :, None], n, 0), stored=12)
                e[0x7FE00010] = ("OB", [fragment] * n)
                self.same(self.one("c.dcm", df.file(e, syntax)), np.repeat(a[None], n, 0), transfer_syntax=syntax)
            # One frame in two fragments; and what is cut off or has another size is an error, not a grey area.
            e = df.image(a[None, :, :, None], stored=12)
            e[0x7FE00010] = ("OB", [fragment[:100], fragment[100:]])
            self.same(self.one("c.dcm", df.file(e, syntax)), a[None])
            e[0x7FE00010] = ("OB", [fragment[:100]])
            self.assertIn(self.one("c.dcm", df.file(e, syntax)).get("error"), ("decoder_failed", "decoder_died"), syntax)
            e[0x7FE00010] = ("OB", [fragment])
            e[0x00280010] = ("US", 2000)
            self.assertIn(self.one("c.dcm", df.file(e, syntax))["error"], ("decoder_failed", "decoder_died"), syntax)

    def test_jpeg(self):
        y, x = np.mgrid[0:16, 0:16]
        rgb = np.stack([x * 12 + 20, y * 12 + 30, 200 - x * 4 - y * 4], -1)[None].astype("u1")
        for data, photometric, a in ((GREY, "MONOCHROME2", rgb[..., :1]), (COLOUR, "YBR_FULL_422", rgb)):
            e = df.image(a, photometric=photometric)
            e[0x7FE00010] = ("OB", [base64.b64decode(data)])
            got = self.one("j.dcm", df.file(e, "1.2.840.10008.1.2.4.50"))
            self.assertNotIn("error", got, got)
            self.assertEqual((got["shape"], got["dtype"]), (list(a.shape), "uint8"))
            want = a.reshape(-1, a.shape[3]).mean(0)
            np.testing.assert_allclose(got.get("rgb_mean", [got["mean"]]), want, atol=2)

    def test_without_meta_header(self):
        a = self.array()
        e = df.image(a)
        e[0x7FE00010] = ("OW", a.tobytes())
        for syntax in (df.LITTLE, df.IMPLICIT):
            self.same(self.one("raw.dcm", df.file(e, syntax, meta=False)), a)

    def test_what_stands_behind_the_pixels(self):
        """Padding and rubbish behind whole pixel data cost nothing; inside it, they are an error."""
        a = self.array()
        for syntax in (df.LITTLE, df.IMPLICIT, df.BIG, df.RLE):
            whole = df.native(a, syntax)
            for more in (b"\0", bytes(10), bytes(1000), b"\xff" * 33, b"rubbish", df.element(0xFFFCFFFC, "OB", bytes(64), syntax)):
                self.same(self.one("m.dcm", whole + more), a)
            self.assertEqual(self.one("c.dcm", whole[:-10])["error"], "truncated")
        e = df.image(a)
        self.assertIn("error", self.one("n.dcm", df.file(e) + b"rubbish"))

    def test_no_identity_comes_out(self):
        path = self.put("zz.dcm", df.native(self.array()))
        for extra in ((), ("--json",)):
            r = run("data", "inspect", path, *extra)
            self.assertEqual(r.returncode, 0)
            self.assertNotIn("ZZ", r.stdout + r.stderr)

    def test_sizes_that_lie(self):
        a = self.array()
        whole = df.native(a)
        cases = {"rows.dcm": (df.native(a, x00280010=("US", 65535), x00280011=("US", 65535)), "too_large"),
                 "frames.dcm": (df.native(a, x00280008=("IS", 2 ** 31 - 1)), "too_large"),
                 "many.dcm": (df.native(a, x00280008=("IS", 1000)), "truncated"),
                 "none.dcm": (df.native(a, x00280010=("US", 0)), "bad_size"),
                 "negative.dcm": (df.native(a, x00280008=("IS", -1)), "bad_size"),
                 "samples.dcm": (df.native(a, x00280002=("US", 7)), "unsupported_type"),
                 "bits.dcm": (df.native(a, x00280100=("US", 0)), "unsupported_type"),
                 "bits64.dcm": (df.native(a, x00280100=("US", 64)), "unsupported_type"),
                 "other.dcm": (df.file(df.image(a), "1.2.840.10008.1.2.4.102"), "no_pixels"),
                 "cut.dcm": (whole[:-4], "truncated"),
                 "name.dcm": (b"\x89PNG\r\n\x1a\n", "name_mismatch"),
                 "empty.dcm": (b"", "empty"), "junk.dcm": (b"junk" * 100, "unknown_format")}
        e = df.image(a)
        e[0x7FE00010] = ("OB", [bytes(100)])
        cases["video.dcm"] = (df.file(e, "1.2.840.10008.1.2.4.102"), "unsupported_encoding")
        e.update({0x00280010: ("US", 16000), 0x00280011: ("US", 4000)})
        cases["empty_pictures.dcm"] = (df.file(e, df.JPEG_2000), "implausible_size")
        deep = [{0x00081140: ("SQ", [])}]
        for _ in range(60):
            deep = [{0x00081140: ("SQ", deep)}]
        cases["deep.dcm"] = (df.native(a, x00081140=("SQ", deep)), None)
        got = objects(*[self.put(name, data) for name, (data, _) in cases.items()])
        for (name, (_, error)), o in zip(cases.items(), got):
            self.assertEqual(o.get("error"), error, (name, o))
        self.assertEqual(objects(self.path("nowhere.dcm"))[0]["error"], "missing")
        self.fails(14, "cannot open", "data", "inspect", self.path("nowhere.dcm"))

    def test_cut_anywhere(self):
        """Every length and many flipped bits: an image or an error with a name, and never the same samples by chance."""
        step = 61 if SANITIZED else 13
        for syntax in (df.LITTLE, df.RLE, df.DEFLATED):
            whole = df.native(self.array((2, 6, 6, 1), "u2", 12), syntax, stored=12)
            paths = [self.put(f"{syntax}/{n}.dcm", whole[:n]) for n in range(0, len(whole) - 2, step)]
            for path, o in zip(paths, objects(*paths)):
                self.assertIn("error", o, path)
            rng = np.random.default_rng(6)
            paths = []
            for i in range(20 if SANITIZED else 80):
                bad = bytearray(whole)
                for at in rng.integers(128, len(bad), 1 + i % 4):
                    bad[at] ^= 1 << rng.integers(0, 8)
                paths.append(self.put(f"{syntax}/flip{i}.dcm", bytes(bad)))
            objects(*paths)


class Series(ReaderTest):
    """Slices under names that say nothing."""

    def slice(self, name, z, series="1.2.3.5", instance=1, **options):
        a = np.full((1, 4, 5, 1), z, "u2")
        return self.put(f"s/{name}", df.native(a, x0020000E=("UI", series), x00200032=("DS", [0, 0, z * 1.5]),
                                               x00200037=("DS", [1, 0, 0, 0, 1, 0]), x00200013=("IS", instance),
                                               x00280030=("DS", [0.5, 0.25]), **options))

    def volumes(self, *paths):
        r = run("data", "inspect", "--series", "--json", *THREADS, *paths)
        return r.returncode, [json.loads(line) for line in r.stdout.splitlines()]

    def test_by_position(self):
        order = [5, 0, 3, 1, 4, 2]
        paths = [self.slice(f"{name}.dcm", z, instance=9 - z) for name, z in zip("abcdef", order)]
        code, (v,) = self.volumes(self.path("s"))
        self.assertEqual(code, 0)
        self.assertEqual(v["files"], [paths[order.index(z)] for z in range(6)])
        self.assertEqual((v["shape"], v["spacing_mm"]), ([6, 4, 5, 1], [1.5, 0.5, 0.25]))
        self.assertEqual((v["gaps"], v["missing"], v["duplicates"], v["uneven"], v["sorted_by"]), (0, 0, 0, False, "position"))

    def test_an_archives_folders_are_searched(self):
        for z in range(4):
            os.makedirs(self.path("s", f"PA 1/ST{z % 2}"), exist_ok=True)
            self.slice(f"PA 1/ST{z % 2}/i{z}", z)
        self.put("s/DICOMDIR", b"no slice")
        os.symlink(self.path("s"), self.path("s", "PA 1", "back"))
        code, (v, other) = self.volumes(self.path("s"))
        self.assertEqual((code, v["shape"], v["gaps"], other["error"]), (0, [4, 4, 5, 1], 0, "unknown_format"))
        self.assertIn("1 other files in these folders", run("data", "inspect", "--series", self.path("s"), *THREADS).stdout)
        self.assertEqual(self.volumes(self.path("s", "DICOMDIR"))[0], 12)  # one that is named is meant

    def test_what_lies_beside(self):
        """Two stacks of the same heights in one series are no volume; nor is what has neither places nor numbers."""
        for z in range(4):
            self.slice(f"a{z}.dcm", z)
            a = np.full((1, 4, 5, 1), z, "u2")
            options = {"x0020000E": ("UI", "1.2.3.5"), "x00200037": ("DS", [1, 0, 0, 0, 1, 0]), "x00280030": ("DS", [0.5, 0.25])}
            self.put(f"s/b{z}.dcm", df.native(a, x00200032=("DS", [80, 0, z * 1.5]), **options))
            self.put(f"s/c{z}.dcm", df.native(a, x0020000E=("UI", "1.2.3.6"), x00200013=("IS", z // 2)))
            self.put(f"s/d{z}.dcm", df.native(a, photometric="MONOCHROME1", x00200032=("DS", [0, 0, z * 1.5]), **options))
        _, (v, c, d) = self.volumes(self.path("s"))
        self.assertEqual((v["shape"][0], v["aside"], v["duplicates"]), (8, 6, 4))  # all but the ends of the line
        self.assertEqual((c["sorted_by"], c["duplicates"], c["aside"]), ("number", 2, 0))
        self.assertEqual((d["shape"][0], d["aside"], d["duplicates"]), (4, 0, 0))  # the other photometric interpretation

    def test_gaps_duplicates_mixtures_and_strangers(self):
        for i, z in enumerate([0, 1, 2, 3, 6, 7, 7, 8]):
            self.slice(f"a{i}.dcm", z)
        for z in range(3):
            self.slice(f"b{z}.dcm", z, series="1.2.3.6")
        self.put("s/film.dcm", df.native(np.zeros((3, 4, 4, 1), "u1")))
        self.put("s/bad.dcm", b"")
        self.put("s/note.txt", b"not an image")
        self.put("s/.hidden", b"")
        code, got = self.volumes(self.path("s"))
        volumes = [o for o in got if "volume" in o]
        self.assertEqual([v["shape"][0] for v in volumes], [8, 3, 3])
        self.assertEqual([(v["gaps"], v["missing"], v["duplicates"]) for v in volumes], [(1, 2, 1), (0, 0, 0), (0, 0, 0)])
        self.assertEqual([o["error"] for o in got if "error" in o], ["empty", "unknown_format"])
        self.assertEqual(code, 12)
        page = run("data", "inspect", "--series", self.path("s"), *THREADS).stdout
        self.assertIn("2 slices missing in 1 gaps, 1 duplicates", page)
        self.assertNotIn("ZZ", page)
        self.fails(2, "--series goes with", "data", "inspect", "--series")


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
        got = self.one("a.jpg", base64.b64decode(COLOUR))
        self.assertEqual((got["format"], got["shape"]), ("JPEG", [1, 16, 16, 3]))
        self.assertEqual(self.one("cut.jpg", base64.b64decode(COLOUR)[:300])["error"], "damaged")

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


LS = ("/9j/9wALEAAKAAwBAREA//gADQH//wASAEMBFABA/9oACAEBAAAAAKWstZZ1jLWWdY1fVur1MSoyR8pSWUyrMsqyONxJoRKl67Y7SbzqdbqdLoToiRWL"
      "hiMtruN3vB3u5gEjVK1YLEaDcdD0er0YxIlM5Py9ZJVMJtPJ6ZhQsbe9uxCJxaMxyPzSKBgbHhveyOUy+azu1yfXWl1aHQgEwsGQ4FanlpmcmFteSKUS6aSs"
      "AP/Z")
J2K = ("/0//UQApAAAAAAAMAAAACgAAAAAAAAAAAAAADAAAAAoAAAAAAAAAAAABCwEB/1IADAAAAAEAAQQEAAH/XAAHQGBoaHD/ZAAlAAFDcmVhdGVkIGJ5IE9w"
       "ZW5KUEVHIHZlcnNpb24gMi41LjD/kAAKAAAAAABbAAH/k9/grBIehT8zTfLtf9tZkp/pp0qJiRL7lBUUwnWHVwg7kOLKdGVA/um3ar0iq5/A/AKgfgEQAfID"
       "LaLZu0bJZa5VX0T8ioWJpHDPSym//9k=")
GREY = ("/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSExIQEw8Q"
        "EBD/wAALCAAQABABAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKB"
        "kaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWm"
        "p6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/APk/4Jf8u/4V+gHwS/5d/wAK/P8A+CX/AC7/AIV+"
        "gHwS/wCXf8K//9k=")
COLOUR = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSEx"
    "IQEw8QEBD/2wBDAQMDAwQDBAgEBAgQCwkLEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBD/wAARCAAQ"
    "ABADASEAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAAB//EABkQAAEFAAAAAAAAAAAAAAAAAAAFBiMyof/EABUBAQEAAAAAAAAAAAAAAAAAAA"
    "cG/8QAGREAAgMBAAAAAAAAAAAAAAAAAAYFITIH/9oADAMBAAIRAxEAPwAAQ2HWHBDQ2HWHBfcWTVlBzKcxYlITDrDghITDrDgAOLJqwb5lOYs/"
    "/9k=")

if __name__ == "__main__":
    main()
