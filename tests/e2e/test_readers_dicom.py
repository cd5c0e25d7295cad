"""`medsecurefl data inspect` on DICOM written here, element by element: samples, tables, frames, series."""
import json
import os
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import dicom_files as df
from common import SANITIZED, main, run
from readers_case import THREADS, ReaderTest, objects


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
        for syntax, fragment in ((df.LOSSLESS, df.jpeg_lossless(a, 12)), (df.JPEG_LS, df.LS_STREAM), (df.JPEG_2000, df.J2K_STREAM)):
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
        for data, photometric, a in ((df.GREY_JPEG, "MONOCHROME2", rgb[..., :1]), (df.COLOUR_JPEG, "YBR_FULL_422", rgb)):
            e = df.image(a, photometric=photometric)
            e[0x7FE00010] = ("OB", [data])
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


if __name__ == "__main__":
    main()
