"""What somebody could lay into a hospital's folder, or send as a model: names that steer terminals or pages, tables that climb out
of the folder, pipes and devices, values that are no numbers, files that claim to be larger than they are."""
import gzip
import os
import struct
import sys
import zlib

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import nifti_files as nf
from common import SANITIZED, CliTest, main, run

THREADS = ("--threads", "1") if SANITIZED else ()
PICTURES = "recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [16, 16]}\n"
VOLUMES = ("recipe: 1\ninput: volume\nsteps: [{orient: RAS}, {resample: {spacing: [1, 1, 1]}}, {zscore: {}}, "
           "{slices: {axis: axial, count: 3}}, {resize: {size: [16, 16]}}]\n")
STEER = "\x1b]0;title\x07\x1b[2J\u202e"
CLASSES = ('"><img src=x onerror=alert(1)>', "'--><svg onload=alert(1)>", STEER + "red", "=cmd|calc")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path, pixels=None, size=None, data=None, extra=b""):
    """A grey PNG; `size` and `data` in place of what belongs to the pixels."""
    if pixels is not None:
        size = (pixels.shape[1], pixels.shape[0], 8, 0)
        data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 0, 0, 0)) + extra + chunk(b"IDAT", data)
                + chunk(b"IEND", b""))


def put(path, content):
    with open(path, "wb") as f:
        f.write(content)


def nifti(path, a, srow=None, **changes):
    fields = dict(version=1, order="<", single=True, slope=1, inter=0, pixdim=(1, 1, 1), units=2, qform=0, sform=1,
                  quatern=(0, 0, 0), offset=(0, 0, 0), qfac=1, srow=np.eye(4)[:3] if srow is None else srow)
    fields.update(changes)
    with open(path, "wb") as f:
        f.write(nf.header(a, **fields) + bytes(4) + nf.samples(a, "<"))


class HostileTest(CliTest):
    def setUp(self):
        super().setUp()
        self.rng = np.random.default_rng(3)
        with open(self.path("r.yaml"), "w") as f:
            f.write(PICTURES)
        with open(self.path("v.yaml"), "w") as f:
            f.write(VOLUMES)

    def pictures(self, folder, classes=("a", "b"), n=6, name="{}.png"):
        for c in classes:
            os.makedirs(self.path(folder, c))
            for i in range(n):
                png(self.path(folder, c, name.format(i)), self.rng.integers(0, 255, (20, 20), dtype=np.uint8))
        return self.path(folder)

    def clean(self, *words, **kwargs):
        """Runs, whatever comes of it; nothing that it prints may steer a terminal."""
        r = run(*words, **kwargs)
        for text in (r.stdout, r.stderr):
            steering = "\x1b\x07" if "--json" in words else "\x1b\x07\x9b\u202e"  # JSON is for programs
            self.assertFalse(any(c in text for c in steering), f"{words}\n{text[:2000]!r}")
        self.assertNotIn(r.returncode, (-6, -11, 1), f"{words}\n{r.stderr}")
        return r

    def harmless(self, path):
        with open(path, encoding="utf-8") as f:
            page = f.read()
        for tag in ("<img src=x", "<svg onload", "<script>alert", "\x1b", "\u202e"):
            self.assertNotIn(tag, page)

    def test_names(self):
        """Classes and files by any name: on the terminal, on pages, in a model that others then open."""
        data = self.pictures("in", CLASSES, name=STEER + "{}.png")
        with open(self.path("in", CLASSES[3], STEER + "bad.png"), "wb") as f:
            f.write(b"no picture")
        files = sorted(os.path.join(d, f) for d, _, names in os.walk(data) for f in names)
        self.clean("data", "import", data, "--recipe", self.path("r.yaml"), "--out", self.path("set"), *THREADS)
        for words in (("inspect", data, "--html", self.path("i.html")), ("inspect", *files), ("inspect", "--json", *files),
                      ("check", data), ("check", self.path("set")), ("partition", data, "--clients", "2"),
                      ("card", self.path("set"), "--html", self.path("c.html"), "--name", CLASSES[0]),
                      ("augment-preview", self.path("set"), "--out", self.path("p.html"))):
            self.clean("data", *words)
        self.clean("simulate", "--data", self.path("set"), "--clients", "2", "--allow-two-sites", "--rounds", "1", "--compare",
                   "none", "--bootstrap", "0", "--scheme", "plain", "--out", self.path("run"), *THREADS)
        for page in ("i.html", "c.html", "p.html", "run/report.html"):
            self.harmless(self.path(page))
        model = self.path("run", "agg_model.h5")
        for words in (("predict", "--recipe", self.path("r.yaml"), "--model", model, *files), ("model", "info", model),
                      ("evaluate", "--model", model, "--data", self.path("set"), "--bootstrap", "0"), ("inspect", model)):
            self.clean(*words)

    def test_recipe(self):
        """YAML can write characters that stand nowhere in the file."""
        for line in ('sequences: ["t1\\e[2J", t2]', 'name: "\\e]0;x\\a"', 'sequences: ["t\\u009b2J"]'):
            with open(self.path("e.yaml"), "w") as f:
                f.write(VOLUMES.replace("input: volume", f"input: volume\n{line}"))
            r = self.clean("data", "recipe", self.path("e.yaml"))
            self.assertNotEqual(r.returncode, 0)

    def test_nobody_waits(self):
        """Pipes and devices, by name and behind links, are refused at once."""
        data = self.pictures("in")
        os.mkfifo(self.path("in", "a", "pipe.png"))
        os.symlink("/dev/zero", self.path("in", "a", "zero.png"))
        os.symlink("/dev/zero", self.path("in", "a", "zero"))
        os.symlink("..", self.path("in", "b", "round"))
        os.mkfifo(self.path("model.h5"))
        self.ok("data", "import", data, "--recipe", self.path("r.yaml"), "--out", self.path("set"), *THREADS, timeout=60)
        names = [self.path("in", "a", n) for n in ("pipe.png", "zero.png", "zero")]
        for words in (("data", "inspect", *names), ("data", "inspect", "--series", *names), ("data", "check", data),
                      ("model", "info", self.path("model.h5")), ("predict", "--model", self.path("model.h5"), *names)):
            self.clean(*words, timeout=60)

    def test_tables(self):
        data = self.pictures("in")
        png(self.path("secret.png"), np.ones((20, 20), np.uint8))

        def table(mask):
            with open(self.path("in", "labels.csv"), "w") as f:
                f.write("file,class,mask\n" + "".join(f"{c}/{i}.png,{c},{mask}\n" for c in "ab" for i in range(6)))

        words = ("data", "import", data, "--recipe", self.path("r.yaml"), "--masks", "mask", "--out", self.path("set"), *THREADS)
        for mask in ("../secret.png", self.path("secret.png"), "a/../../secret.png", "../../../../../../dev/zero"):
            table(mask)
            self.fails(12, "leads out", *words, timeout=60)
        os.symlink("/dev/urandom", self.path("in", "endless.png"))
        table("endless.png")
        self.fails(12, "can be used", *words, timeout=60)

    def test_claims(self):
        """Pictures larger than their files can hold, text that unpacks to gigabytes: refused or ignored, within a small part of
        the memory that they ask for."""
        data = self.pictures("in")
        big = zlib.compress(bytes(1 << 26), 9)
        for name, size in (("huge", (2**31 - 1, 2**31 - 1, 8, 0)), ("wide", (16384, 16384, 16, 6)), ("flat", (0, 7, 8, 0))):
            png(self.path("in", "a", f"{name}.png"), size=size, data=big)
        one = zlib.compress(bytes(21 * 20))
        png(self.path("in", "a", "text.png"), size=(20, 20, 8, 0), data=one, extra=chunk(b"zTXt", b"k\0\0" + big))
        png(self.path("in", "a", "profile.png"), size=(20, 20, 8, 0), data=one, extra=chunk(b"iCCP", b"k\0\0" + big))
        m = self.ok_json("data", "import", data, "--recipe", self.path("r.yaml"), "--out", self.path("set"), *THREADS)
        self.assertEqual(m["source"]["skipped"], 3)

    def test_numbers(self):
        """Values and places that are no numbers, or far too large ones."""
        for c in "ab":
            os.makedirs(self.path("v", c))
            for i in range(2):
                nifti(self.path("v", c, f"{i}.nii"), self.rng.normal(size=(8, 8, 8)).astype(np.float32))
        a = self.rng.normal(size=(8, 8, 8)).astype(np.float32)
        bad = {}
        for name, value in (("nan", np.nan), ("inf", np.inf), ("minus", -np.inf)):
            bad[name] = a.copy()
            bad[name][3] = value
            nifti(self.path("v", "a", f"{name}.nii"), bad[name])
        nifti(self.path("v", "a", "slope.nii"), a * np.float32(1e30), slope=1e38, inter=-1e38)
        for name, scale in (("tiny", 1e-30), ("vast", 1e30), ("none", 0), ("unplaced", np.nan)):
            nifti(self.path("v", "a", f"{name}.nii"), a, srow=np.eye(4)[:3] * scale, pixdim=(scale,) * 3)
        with open(self.path("v", "a", "0.nii"), "rb") as f:
            h = bytearray(f.read())
        struct.pack_into("<8h", h, 40, 7, *(32767,) * 7)
        put(self.path("v", "a", "dims.nii"), h)
        struct.pack_into("<8h", h, 40, 3, 1024, 1024, 400, 1, 1, 1, 1)
        put(self.path("v", "a", "bomb.nii.gz"), gzip.compress(bytes(h)))
        r = self.clean("data", "import", self.path("v"), "--recipe", self.path("v.yaml"), "--out", self.path("set"), "--json",
                       *THREADS)
        self.assertEqual(r.returncode, 0, r.stderr)
        for name in ("nan", "inf", "minus", "slope", "dims", "bomb"):
            self.assertIn(f"{name}.nii", r.stderr)
        self.clean("data", "inspect", *(self.path("v", "a", f"{n}.nii") for n in ("nan", "inf", "slope", "vast", "dims")))
        self.clean("data", "inspect", "--data", self.path("v"), *THREADS)  # pictures of volumes, without a recipe
        x = self.rng.normal(size=(20, 16, 16))
        x[0], x[1, 0, 0], x[2], x[3] = np.nan, np.inf, 1e308, -1e308
        np.savez(self.path("x.npz"), x=x, y=np.arange(20) % 2)
        m = self.ok_json("data", "import", self.path("x.npz"), "--recipe", self.path("r.yaml"), "--out", self.path("set2"), *THREADS)
        self.assertEqual(m["source"]["skipped"], 3)


if __name__ == "__main__":
    main()
