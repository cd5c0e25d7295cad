"""Every good DICOM and NIfTI file, real ones and made ones, cut short and with bits turned over: read, or refused by a named error; never a
crash, never a word of a header, and no more memory than a file of that length may cost. The same choices every time. Under sanitizers a
decoder that dies is a finding, as it is there that its own faults look like that.

Longer, or one file alone again: test_mutants.py --long [VARIANTS]; MSFL_KEEP=DIR keeps what a decoder died of."""
import gzip
import hashlib
import json
import os
import random
import shutil
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
from common import CLI, SANITIZED, CliTest, data_folder, main
from readers_case import ERRORS

THREADS = ("--threads", "1") if SANITIZED else ()
VARIANTS = 6
NAMES = ("ZZTEST", "ZZPHI", "ZZPID")


def made_dicom():
    """(name, bytes): each way of storing pixels that needs no encoder."""
    rng = np.random.default_rng(5)
    grey = rng.integers(0, 4096, (1, 24, 20, 1)).astype("u2")
    colour = rng.integers(0, 256, (3, 12, 14, 3)).astype("u1")
    for syntax in (df.LITTLE, df.IMPLICIT, df.BIG, df.DEFLATED, df.RLE):
        yield f"grey-{syntax}.dcm", df.native(grey, syntax, stored=12)
        yield f"colour-{syntax}.dcm", df.native(colour, syntax, photometric="RGB")
    e = df.image(grey, stored=12)
    e[0x7FE00010] = ("OB", [df.jpeg_lossless(grey[0, :, :, 0], 12)])
    yield "lossless.dcm", df.file(e, df.LOSSLESS)
    for name, syntax, stream in (("jpegls", df.JPEG_LS, df.LS_STREAM), ("jpeg2000", df.JPEG_2000, df.J2K_STREAM)):
        e = df.image(np.zeros((1, 10, 12, 1), "u2"), stored=12)
        e[0x7FE00010] = ("OB", [stream])
        yield f"{name}.dcm", df.file(e, syntax)


def made_nifti():
    rng = np.random.default_rng(6)
    for name in nf.TYPES:
        yield f"{name}.nii", nf.file(nf.random(rng, name, (7, 6, 5)), version=1 + len(name) % 2, order="<>"[len(name) // 2 % 2])
    yield "packed.nii.gz", gzip.compress(nf.file(nf.random(rng, "int16", (20, 21, 9)), qform=1, quatern=(0.1, 0.2, 0.3)), 6)
    yield "series.nii.gz", gzip.compress(nf.file(nf.random(rng, "float32", (8, 9, 5, 4)), version=2, sform=1), 6)


def variants(name, data, n):
    """n variants of a file, each with what was done: the same for the same name and number."""
    packed = name.endswith(".gz")
    for k in range(n):
        rng = random.Random(hashlib.sha256(f"{name} {k}".encode()).digest())
        how = k % 6
        raw, again = (gzip.decompress(data), True) if packed and how in (2, 3, 4) else (data, False)
        out = bytearray(raw)
        if how == 0:
            out = out[:int(len(out) * rng.random() ** 2)]
            what = f"first {len(out)} bytes"
        elif how == 1:
            at = rng.randrange(len(out))
            out[at] ^= 1 << rng.randrange(8)
            what = f"a bit of byte {at}"
        elif how in (2, 3):  # where lengths and types stand
            places = sorted({rng.randrange(min(len(out), 2048 if how == 2 else 600)) for _ in range(1 + 7 * (how == 2))})
            for at in places:
                out[at] = out[at] ^ 1 << rng.randrange(8) if how == 2 else rng.choice((0, 0x7F, 0x80, 0xFF))
            what = f"bytes {places}"
        elif how == 4:
            at = rng.randrange(len(out))
            size = rng.randrange(1, 9)
            out[at:at + size] = rng.choice((b"\xff" * size, b"\0" * size, b"", out[at:at + size] * 2, rng.randbytes(4 * size)))
            what = f"{size} bytes at {at}"
        else:
            for _ in range(64):
                out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
            what = "64 bits"
        yield f"{k:03d}-{name}", gzip.compress(bytes(out), 1, mtime=0) if again else bytes(out), what


class Mutants(CliTest):
    def inspect(self, paths):
        """One object for each file, what was printed besides, and the largest process's memory in bytes."""
        with open(self.path("stdout"), "w+") as out, open(self.path("stderr"), "w+") as err:
            p = subprocess.Popen([CLI, "data", "inspect", "--json", *THREADS, *paths], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            text, said = out.read(), err.read()
        self.assertGreaterEqual(p.returncode, 0, f"signal {-p.returncode} among {paths}\n{said[-3000:]}")
        self.assertNotIn("Sanitizer", said)
        self.assertNotIn("runtime error", said)
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(len(lines), len(paths), said[-3000:])
        self.assertEqual(p.returncode == 0, all("error" not in x for x in lines))
        return lines, text + said, usage.ru_maxrss * 1024

    def hold(self, kind, files):
        """`files`: (name, bytes) of good ones. Small ones and large ones apart, so that memory says something."""
        n = died = 0
        what, errors = {}, {}
        sizes = [("small", lambda b: b < 64 << 10), ("middle", lambda b: 64 << 10 <= b < 512 << 10), ("large", lambda b: b >= 512 << 10)]
        for size, fits in sizes:
            mine = [(name, data) for name, data in files if fits(len(data))]
            if not mine:
                continue
            folder = self.path(kind + size)
            os.makedirs(os.path.join(folder, "good"))
            good, bad, longest = [], [], 0
            for name, data in mine:
                good.append(os.path.join(folder, "good", name))
                with open(good[-1], "wb") as f:
                    f.write(data)
                for variant, content, done in variants(name, data, VARIANTS if size != "large" else min(VARIANTS, 3)):
                    bad.append(os.path.join(folder, variant))
                    what[bad[-1]], longest = done, max(longest, len(content))
                    with open(bad[-1], "wb") as f:
                        f.write(content)
            lines, _, usual = self.inspect(good)
            self.assertFalse([x for x in lines if "error" in x], "a good file")
            lines, said, peak = self.inspect(bad)
            for name in NAMES:
                self.assertNotIn(name, said)
            for path, got in zip(bad, lines):
                error = got.get("error")
                self.assertIn(error, ERRORS | {None}, path)
                errors[error] = errors.get(error, 0) + 1
                if error == "decoder_died":
                    died += 1
                    print("the decoder died:", os.path.basename(path), what[path])
                    if os.environ.get("MSFL_KEEP"):
                        shutil.copy(path, os.environ["MSFL_KEEP"])
            n += len(bad)
            # 16 MiB need no justification (docs/design/images.md), once on each side of the pipe; beyond that, what good files of
            # this size take, and the bytes themselves.
            if not SANITIZED:
                self.assertLess(peak, usual + (2 * 16 << 20) + 8 * longest, f"{kind}, {size}: {peak >> 20} MiB, good ones {usual >> 20}")
            shutil.rmtree(folder)
        print(f"{kind}: {n} variants of {len(files)} files: {errors}")
        self.assertGreater(errors.get(None, 0), n // 20)
        self.assertLess(errors.get(None, 0), n)
        if SANITIZED:
            self.assertEqual(died, 0)

    def real(self, kind):
        folder = os.path.join(data_folder(), kind, "dev", "good")
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as f:
                yield name, f.read()

    def test_dicom(self):
        self.hold("dicom", list(made_dicom()))

    def test_nifti(self):
        self.hold("nifti", list(made_nifti()))

    @unittest.skipIf(data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_dicom(self):
        self.hold("dicom", list(self.real("dicom")))

    @unittest.skipIf(data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_nifti(self):
        self.hold("nifti", list(self.real("nifti")))


if __name__ == "__main__":
    if "--long" in sys.argv:
        at = sys.argv.index("--long")
        VARIANTS = int(sys.argv[at + 1]) if len(sys.argv) > at + 1 else 60
        del sys.argv[at:]
    main()
