"""`medsecurefl data import`: what a set holds and what it does not, cache, resume, sealing, splits, near copies."""
import csv
import glob
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import dicom_files as df
import nifti_files as nf
from common import CLI, SANITIZED, CliTest, data_folder, main, run

THREADS = ("--threads", "1") if SANITIZED else ()
PICTURES = "recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [24, 20]}\n"
# What stands in the headers; none of it may be found anywhere afterwards.
NAME, IDENTIFIER, PLACE = "ZZQNAME^PATIENT", "ZZQID", "ZZQHOSPITAL"


def get(path):
    with open(path, "rb") as f:
        return f.read()


def put(path, content):
    with open(path, "wb") as f:
        f.write(content)


def dicom(pixels, patient, tags=None, **keys):
    h, w = pixels.shape
    elements = {0x00080005: ("CS", "ISO_IR 100"), 0x00080060: ("CS", "CR"), 0x00080080: ("LO", PLACE),
                0x00080090: ("PN", "ZZQDOCTOR^REF"), 0x00100010: ("PN", f"{NAME}{patient}"),
                0x00100020: ("LO", f"{IDENTIFIER}{patient:05d}"), 0x00100030: ("DA", "19370101"),
                0x00091010: ("LO", "ZZQPRIVATE"), 0x00280002: ("US", 1), 0x00280004: ("CS", "MONOCHROME2"),
                0x00280010: ("US", h), 0x00280011: ("US", w), 0x00280100: ("US", 8), 0x00280101: ("US", 8),
                0x00280102: ("US", 7), 0x00280103: ("US", 0), 0x7fe00010: ("OB", pixels.astype(np.uint8).tobytes())}
    elements.update(tags or {})
    return df.file(elements, **keys)


class ImportTest(CliTest):
    def setUp(self):
        super().setUp()
        self.recipe = self.path("r.yaml")
        with open(self.recipe, "w") as f:
            f.write(PICTURES)
        self.key = self.path("hospital.key")
        self.ok("data", "key", self.key)

    def dicoms(self, n=12, per_patient=2, side=20, seed=1, folder="in", old=True):
        """n files without endings, of two classes by a table that does not name patients."""
        rng = np.random.default_rng(seed)
        os.makedirs(self.path(folder), exist_ok=True)
        with open(self.path(folder, "labels.csv"), "w") as f:
            f.write("file,class\n")
            for i in range(n):
                pixels = rng.integers(0, 256, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1)
                name = f"{i:05d}" if i % 2 else f"{i:05d}.dcm"
                with open(self.path(folder, name), "wb") as out:
                    out.write(dicom(pixels, i // per_patient))
                f.write(f"{name},{'ab'[i // per_patient % 2]}\n")
                if old:  # files that were just written are read again: they might still change
                    os.utime(self.path(folder, name), (1e9, 1e9))
        return self.path(folder)

    def imported(self, data, out="set", *args, code=0):
        r = run("data", "import", data, "--recipe", self.recipe, "--out", self.path(out), "--key", self.key, "--json",
                *THREADS, *args)
        self.assertEqual(r.returncode, code, r.stderr)
        return json.loads(r.stdout) if code == 0 else r.stderr

    def records(self, out="set"):
        raw = np.frombuffer(get(self.path(out, "records.bin")), np.uint8).reshape(-1, 32)
        return {"patient": [bytes(r[:16]) for r in raw], "label": raw[:, 16:20].copy().view("<u4")[:, 0],
                "bunch": raw[:, 20:24].copy().view("<u4")[:, 0], "rest": raw[:, 24:]}

    def everything(self):
        """All bytes that the program wrote, and where."""
        for folder, _, names in os.walk(self.path()):
            for name in names:
                path = os.path.join(folder, name)
                if not path.startswith(self.path("in")):
                    yield path, get(path)
                    yield path, path.encode()

    def test_a_set_holds_pixels_pseudonyms_labels(self):
        data = self.dicoms()
        m = self.imported(data)
        self.assertEqual((m["images"], m["samples"], m["patients"], m["classes"]), (12, 12, 6, ["a", "b"]))
        self.assertEqual(m["patient_key"], "the identifier in DICOM headers")
        self.assertEqual(sorted(os.listdir(self.path("set"))), ["pixels.bin", "records.bin", "set.json"])
        r = self.records()
        self.assertEqual(list(r["label"]), [i // 2 % 2 for i in range(12)])
        self.assertEqual(list(r["bunch"]), [i // 2 for i in range(12)])
        self.assertEqual([r["patient"].index(p) for p in r["patient"]], [i // 2 * 2 for i in range(12)])
        self.assertFalse(r["rest"].any())
        pixels = np.fromfile(self.path("set", "pixels.bin"), np.uint8).reshape(12, 20, 24)
        rng = np.random.default_rng(1)
        first = rng.integers(0, 256, (5, 5)).repeat(4, 0)
        # 20 columns to 24 between centres, rows stay.
        at = np.clip((np.arange(24) + 0.5) * 20 / 24 - 0.5, 0, 19)
        low = at.astype(int)
        wide = first.repeat(4, 1).astype(float)
        want = wide[:, low] + (at - low) * (wide[:, np.minimum(low + 1, 19)] - wide[:, low])
        self.assertLessEqual(np.abs(pixels[0] - np.floor(want + 0.5)).max(), 1)
        # The same patients under another key are others.
        self.ok("data", "key", self.path("other.key"))
        self.key = self.path("other.key")
        self.imported(data, "set2")
        self.assertFalse(set(r["patient"]) & set(self.records("set2")["patient"]))

    def test_no_identity_is_kept_anywhere(self):
        data = self.dicoms()
        with open(os.path.join(data, "broken.dcm"), "wb") as f:
            f.write(dicom(np.zeros((20, 20)), 77)[:-50])
        with open(os.path.join(data, "labels.csv"), "a") as f:
            f.write("broken.dcm,a\n")
        r = run("data", "import", data, "--recipe", self.recipe, "--out", self.path("set"), "--key", self.key, *THREADS)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("skipped", r.stderr)
        said = r.stdout + r.stderr
        for args in (("data", "inspect", "--data", self.path("set"), "--json"), ("data", "inspect", "--data", self.path("set")),
                     ("data", "check", data), ("data", "check", self.path("set"), "--key", self.key),
                     ("data", "card", self.path("set"), "--html", self.path("card.html")),
                     ("data", "partition", "--data", self.path("set"), "--clients", "2", "--json")):
            r = run(*args)
            self.assertNotIn(r.returncode, (2, 5), r.stderr)
            said += r.stdout + r.stderr
        if not SANITIZED:
            r = run("simulate", "--data", data, "--recipe", self.recipe, "--out", self.path("run"), "--clients", "3",
                    "--rounds", "1", "--compare", "none", "--bootstrap", "0", "--test-fraction", "0.34",
                    "--validation-fraction", "0")
            self.assertEqual(r.returncode, 0, r.stderr)
            said += r.stdout + r.stderr
            # Without a recipe too, and what was skipped is told without its name.
            os.rename(os.path.join(data, "broken.dcm"), os.path.join(data, "ZZQBROKEN.dcm"))
            with open(os.path.join(data, "labels.csv")) as f:
                table = f.read().replace("broken.dcm", "ZZQBROKEN.dcm")
            with open(os.path.join(data, "labels.csv"), "w") as f:
                f.write(table)
            r = run("simulate", "--data", data, "--size", "32", "--out", self.path("raw"), "--clients", "3", "--rounds", "1",
                    "--compare", "none", "--bootstrap", "0", "--test-fraction", "0.34", "--validation-fraction", "0")
            self.assertEqual(r.returncode, 0, r.stderr)
            told = json.loads(get(self.path("raw", "result.json")))["data"]
            self.assertEqual((told["n_skipped"], len(told["skipped"])), (1, 1))
            self.assertIn("inside an element", told["skipped"][0]["reason"])
        for text in ("ZZQ", "19370101"):
            self.assertNotIn(text, said)
        n = 0
        for path, bytes_ in self.everything():
            n += 1
            for text in (b"ZZQ", b"19370101", b"00000.dcm"):
                self.assertNotIn(text, bytes_, path)
        self.assertGreater(n, 20)

    def test_a_second_import_costs_nothing(self):
        data = self.dicoms(40)
        one = self.imported(data)
        two = self.imported(data)
        self.assertFalse(one["unchanged"])
        self.assertTrue(two["unchanged"])
        # Into another folder: from the cache, to the same bytes.
        three = self.imported(data, "other", "--cache", self.path("set.cache"))
        self.assertEqual(three["from_cache"], 40)
        for name in ("pixels.bin", "records.bin"):
            self.assertEqual(get(self.path("set", name)), get(self.path("other", name)))
        # A new file, a changed one: only these are read.
        with open(os.path.join(data, "00003"), "wb") as f:
            f.write(dicom(np.arange(400).reshape(20, 20) % 256, 1))
        with open(os.path.join(data, "new.dcm"), "wb") as f:
            f.write(dicom(np.arange(400)[::-1].reshape(20, 20) % 256, 99))
        with open(os.path.join(data, "labels.csv"), "a") as f:
            f.write("new.dcm,b\n")
        four = self.imported(data)
        self.assertEqual((four["images"], four["from_cache"], four["unchanged"]), (41, 39, False))
        # Another recipe shares nothing.
        with open(self.recipe, "a") as f:
            f.write("store: {bits: 16}\n")
        five = self.imported(data)
        self.assertEqual((five["from_cache"], five["bits"]), (0, 16))
        # A damaged entry is not believed.
        self.imported(data, "x", "--cache", self.path("set.cache"))
        before = get(self.path("x", "pixels.bin"))
        for path in glob.glob(self.path("set.cache", "*", "*")):
            raw = bytearray(get(path))
            raw[len(raw) // 2] ^= 1
            put(path, raw)
        six = self.imported(data, "y", "--cache", self.path("set.cache"))
        self.assertEqual(six["from_cache"], 0)
        self.assertEqual(get(self.path("y", "pixels.bin")), before)

    def test_killed_and_resumed(self):
        data = self.dicoms(80)
        args = [CLI, "data", "import", data, "--recipe", self.recipe, "--out", self.path("set"), "--key", self.key, *THREADS]
        p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while p.poll() is None and len(glob.glob(self.path("set.cache", "*", "*"))) < 30:
            time.sleep(0.002)
        p.send_signal(signal.SIGKILL)
        p.wait()
        if os.path.exists(self.path("set", "set.json")):  # it was faster than the signal
            os.remove(self.path("set", "set.json"))
        resumed = self.imported(data)
        self.assertGreaterEqual(resumed["from_cache"], 20)
        whole = self.imported(data, "whole", "--no-cache")
        self.assertEqual(whole["from_cache"], 0)
        for name in ("pixels.bin", "records.bin"):
            self.assertEqual(get(self.path("set", name)), get(self.path("whole", name)))
        self.assertEqual(os.listdir(self.path("set")).count("pixels.bin"), 1)
        self.assertEqual(len(os.listdir(self.path("set"))), 3)

    def test_stopped_by_hand(self):
        data = self.dicoms(400, side=64)
        args = [CLI, "data", "import", data, "--recipe", self.recipe, "--out", self.path("set"), "--key", self.key, *THREADS]
        p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while p.poll() is None and len(glob.glob(self.path("set.cache", "*", "*"))) < 30:
            time.sleep(0.002)
        p.send_signal(signal.SIGINT)
        said = p.communicate()[1]
        if p.returncode != 0:  # else it was faster than the signal
            self.assertEqual(p.returncode, 130)
            self.assertIn("the same import again goes on from there", said)
        self.assertEqual(self.imported(data)["images"], 400)

    def test_sealed(self):
        data = self.dicoms()
        plain = self.imported(data)
        sealed = self.imported(data, "sealed", "--seal")
        self.assertTrue(sealed["sealed"])
        pixels = get(self.path("set", "pixels.bin"))
        row = pixels[:24]
        for folder in ("sealed", "sealed.cache"):
            for path in glob.glob(self.path(folder, "**"), recursive=True):
                if os.path.isfile(path):
                    self.assertNotIn(row, get(path))
                    if not path.endswith("set.json"):
                        self.assertEqual(os.stat(path).st_mode & 0o077, 0)
        a = self.ok_json("data", "inspect", "--data", self.path("set"))
        b = self.ok_json("data", "inspect", "--data", self.path("sealed"), "--key", self.key)
        self.assertEqual(a["intensity"], b["intensity"])
        self.fails(9, "--key", "data", "inspect", "--data", self.path("sealed"))
        self.ok("data", "key", self.path("k2"))
        self.fails(10, "another key", "data", "inspect", "--data", self.path("sealed"), "--key", self.path("k2"))
        for name in ("pixels.bin", "records.bin", "set.json"):
            path = self.path("sealed", name)
            raw = get(path)
            for changed in (raw[:-1], raw[:200] + bytes([raw[200] ^ 1]) + raw[201:]):
                put(path, changed)
                r = run("data", "inspect", "--data", self.path("sealed"), "--key", self.key)
                self.assertIn(r.returncode, (5, 10), (name, r.stderr))
            put(path, raw)
        self.ok("data", "inspect", "--data", self.path("sealed"), "--key", self.key)
        self.assertEqual(plain["images"], sealed["images"])
        # What a cache remembers of files is no list in which somebody could look up an image or a time.
        self.key = self.path("k2")
        self.imported(data, "other", "--seal")
        seen, other = (get(self.path(f"{s}.cache", "seen.bin"))[4096:] for s in ("sealed", "other"))
        windows = [{b[i:i + 8] for i in range(len(b) - 7) if b.count(0, i, i + 8) < 5} for b in (seen, other)]
        self.assertGreater(min(len(w) for w in windows), 12 * 64)
        self.assertEqual(windows[0] & windows[1], set())
        self.assertNotIn(struct.pack("<Q", 10**18), seen)  # when the files were written
        self.key = None
        r = run("data", "import", data, "--recipe", self.recipe, "--out", self.path("q"), "--seal")
        self.assertEqual(r.returncode, 9)
        os.chmod(self.path("k2"), 0o644)
        r = run("data", "import", data, "--recipe", self.recipe, "--out", self.path("q"), "--key", self.path("k2"))
        self.assertEqual(r.returncode, 9)

    def test_changed_sets_are_noticed(self):
        data = self.dicoms()
        self.imported(data)
        path = self.path("set", "pixels.bin")
        raw = get(path)
        put(path, raw[:100] + bytes([raw[100] ^ 1]) + raw[101:])
        self.fails(5, "not as it was imported", "data", "inspect", "--data", self.path("set"))
        put(path, raw)
        m = json.loads(get(self.path("set", "set.json")))
        for key, value in (("images", 13), ("width", 0), ("bits", 9), ("range", [1, 0]), ("classes", [""]),
                           ("version", 2), ("hashes", {}), ("format", "x")):
            put(self.path("set", "set.json"), json.dumps({**m, key: value}).encode())
            r = run("data", "inspect", "--data", self.path("set"))
            self.assertIn(r.returncode, (5, 16), (key, r.stderr))

    def test_near_copies_stay_together(self):
        """Recompressed, brighter and noisy copies under other patients' names: found, and never parted."""
        rng = np.random.default_rng(5)
        os.makedirs(self.path("in"))
        rows = []
        for i in range(60):
            base = np.kron(rng.normal(size=(8, 8)), np.ones((8, 8)))
            base = np.clip(128 + 50 * (base + np.roll(base, 3, 0) + np.roll(base, 4, 1)) / 2, 0, 255)
            kinds = [base] if i >= 10 else [base, np.clip(base * 1.15, 0, 255), base + rng.normal(0, 3, base.shape)]
            for k, p in enumerate(kinds):
                name = f"{i:03d}_{k}.dcm"
                with open(self.path("in", name), "wb") as f:
                    f.write(dicom(np.clip(p, 0, 255), 10 * i + k))
                rows.append((name, "b" if (i % 2 and not (i == 3 and k == 1)) else "a"))
        with open(self.path("in", "labels.csv"), "w") as f:
            csv.writer(f).writerows([("file", "class"), *rows])
        m = self.imported(self.path("in"))
        self.assertEqual(m["patients"], 80)
        self.assertEqual(m["near_copies"]["pairs_of_different_patients"], 30)
        self.assertEqual(m["near_copies"]["of_different_classes"], 2)
        self.assertTrue(any("near copies" in w for w in m["warnings"]))
        bunch = self.records()["bunch"]
        self.assertEqual(len(set(bunch)), 60)
        names = [r[0] for r in rows]
        for i in range(10):
            self.assertEqual(len({bunch[j] for j, n in enumerate(names) if n.startswith(f"{i:03d}")}), 1)

    def test_labels_that_follow_the_scanner(self):
        os.makedirs(self.path("in"))
        rng = np.random.default_rng(2)
        with open(self.path("in", "labels.csv"), "w") as table:
            table.write("file,class\n")
            for i in range(40):
                tags = {0x00080070: ("LO", f"MAKER{i % 2}"), 0x00081090: ("LO", "MODEL")}
                with open(self.path("in", f"{i}.dcm"), "wb") as f:
                    f.write(dicom(rng.integers(0, 255, (20, 20)), i, tags))
                table.write(f"{i}.dcm,{'ab'[i % 2]}\n")
        m = self.imported(self.path("in"))
        told = {t["trait"]: t["telling"] for t in m["traits"]}
        self.assertTrue(told["scanner"])
        self.assertFalse(told["image size"])
        self.assertIn("scanner", " ".join(m["warnings"]))
        self.assertNotIn("MAKER", json.dumps(m))

    def test_slices_make_volumes(self):
        """Series of single slices, files in any order: one volume each, all slices of it in one bunch."""
        os.makedirs(self.path("in"))
        rng = np.random.default_rng(3)
        numbers = rng.permutation(40)
        with open(self.path("in", "labels.csv"), "w") as table:
            table.write("file,class\n")
            for i, number in enumerate(numbers):
                series, z = divmod(int(number), 10)
                pixels = np.full((16, 16), 10 * z + series)
                tags = {0x0020000e: ("UI", f"1.2.3.{series}"), 0x00200032: ("DS", [0, 0, 2 * z]),
                        0x00200037: ("DS", [1, 0, 0, 0, 1, 0]), 0x00280030: ("DS", [1, 1]),
                        0x00200013: ("IS", str(i))}
                with open(self.path("in", f"f{i}"), "wb") as f:
                    f.write(dicom(pixels, series, tags))
                table.write(f"f{i},{'ab'[series % 2]}\n")
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - window: {low: 0, high: 255}\n"
                    "  - slices: {axis: axial, count: 5}\n  - resize: {size: [16, 16]}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"))
        self.assertEqual((m["samples"], m["images"], m["patients"]), (4, 20, 4))
        pixels = np.fromfile(self.path("set", "pixels.bin"), np.uint8).reshape(20, -1)
        self.assertTrue((pixels == pixels[:, :1]).all())
        got = pixels[:, 0].reshape(4, 5)
        self.assertEqual(sorted(map(tuple, got.tolist())), [tuple(10 * z + s for z in (1, 3, 5, 7, 9)) for s in range(4)])
        bunch = self.records()["bunch"].reshape(4, 5)
        self.assertTrue((bunch == bunch[:, :1]).all())
        self.assertEqual(len(set(bunch[:, 0])), 4)
        # A series with a gap is left out, and told.
        os.remove(self.path("in", f"f{list(numbers).index(24)}"))
        r = run("data", "import", self.path("in"), "--recipe", self.recipe, "--out", self.path("gap"), "--key", self.key,
                "--json", *THREADS)
        self.assertEqual(json.loads(r.stdout)["samples"], 3)
        self.assertIn("slices are missing", r.stderr)

    def test_odd_series(self):
        """What is left out of a recipe of volumes, and what is told of those that are taken."""
        rng = np.random.default_rng(4)
        names = []

        def put(name, series, place=None, number=1, tags=None):
            names.append((name, series))
            tags = {0x0020000e: ("UI", f"1.2.3.{series}"), 0x00280030: ("DS", [1, 1]), 0x00200013: ("IS", str(number)),
                    **(tags or {})}
            if place is not None:
                tags.update({0x00200032: ("DS", place), 0x00200037: ("DS", [1, 0, 0, 0, 1, 0])})
            with open(self.path("in", name), "wb") as f:
                f.write(dicom(rng.integers(0, 256, (16, 16)), series, tags))
        os.makedirs(self.path("in"))
        for z in range(5):
            put(f"good{z}", 0, [0, 0, 2 * z])
            put(f"burned{z}", 1, [0, 0, 2 * z], tags={0x00280301: ("CS", "YES" if z == 3 else "NO")})
            put(f"beside{z}", 2, [90 * (z % 2), 0, 2 * z])
            put(f"nowhere{z}", 3)
            put(f"twice{z}", 4, [0, 0, 2 * z], 1)
            put(f"again{z}", 4, [0, 0, 2 * z], 2)
            put(f"uneven{z}", 5, [0, 0, 2 * z + 0.6 * (z > 2)])
        put("localiser", 6, [0, 0, 50])
        names.append(("film", 7))
        frames = rng.integers(0, 256, (3, 16, 16, 1)).astype("u1")
        groups = [{0x00209113: ("SQ", [{0x00200032: ("DS", [0, 0, z])}])} for z in (0, 1, 1)]
        shared = [{0x00209116: ("SQ", [{0x00200037: ("DS", [1, 0, 0, 0, 1, 0])}]),
                   0x00289110: ("SQ", [{0x00280030: ("DS", [1, 1])}])}]
        put_film = df.native(frames, x52009229=("SQ", shared), x52009230=("SQ", groups), x00100020=("LO", "ZZQ7"))
        with open(self.path("in", "film"), "wb") as f:
            f.write(put_film)
        with open(self.path("in", "labels.csv"), "w") as f:
            f.write("file,class\n" + "".join(f"{n},{'ab'[s % 2]}\n" for n, s in names))
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - window: {low: 0, high: 255}\n"
                    "  - fit: {size: [16, 16, 5]}\nstore: {bits: 8}\n")
        r = run("data", "import", self.path("in"), "--recipe", self.recipe, "--out", self.path("set"), "--key", self.key,
                "--json", *THREADS)
        self.assertEqual(r.returncode, 0, r.stderr)
        for text in ("BurnedInAnnotation", "beside the others", "neither places nor numbers", "its frames make up no volume"):
            self.assertIn(text, r.stderr)
        m = json.loads(r.stdout)
        self.assertEqual(m["samples"], 4)
        told = " ".join(m["warnings"])
        for text in ("1 volumes have several slices at one place", "1 volumes have slices at uneven distances",
                     "1 volumes are of a single slice, beside 4 of several"):
            self.assertIn(text, told)

    def test_a_patient_in_two_kinds_of_files(self):
        """One pseudonym, whether a header in Latin-1 or a table in UTF-8 names the patient."""
        os.makedirs(self.path("in", "a"))
        os.makedirs(self.path("in", "b"))
        rng = np.random.default_rng(5)
        with open(self.path("in", "labels.csv"), "w", encoding="utf-8") as table:
            table.write("file,patient\n")
            for i, (text, codes) in enumerate((("MÜLLER-7", "latin-1"), ("MÜLLER-8", "utf-8"), ("plain", "ascii"))):
                for name, named in (("a/header", False), ("b/table", True)):
                    tags = {0x00080005: ("CS", "ISO_IR 192" if codes == "utf-8" else "ISO_IR 100"),
                            0x00100020: ("LO", ("other" if named else text).encode(codes))}
                    put(self.path("in", f"{name}{i}.dcm"), dicom(rng.integers(0, 256, (20, 20)), i, tags))
                    if named:
                        table.write(f"{name}{i}.dcm,{text}\n")
        self.imported(self.path("in"))
        patients = self.records()["patient"]
        self.assertEqual(patients[:3], patients[3:])
        self.assertEqual(len(set(patients)), 3)

    def test_a_series_takes_one_mask(self):
        """All slices name one file: its mask, laid into place. A mask for each slice would be the first one's alone."""
        for folder in ("in", "masks"):
            os.makedirs(self.path(folder))
        # In NIfTI's directions, of which the first two run against DICOM's: the mask's slice z is z + 1 everywhere.
        mask = np.broadcast_to(np.arange(1, 7, dtype=np.uint8), (16, 16, 6))
        put(self.path("masks", "whole.nii"), nf.file(mask, sform=1, pixdim=(1, 1, 2),
                                                     srow=np.array([[-1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 2, 0]])))
        with open(self.path("labels.csv"), "w") as table:
            table.write("file,class,whole,own\n")
            for z in (3, 0, 5, 1, 4, 2):
                tags = {0x0020000e: ("UI", "1.2.3"), 0x00200032: ("DS", [0, 0, 2 * z]), 0x00200037: ("DS", [1, 0, 0, 0, 1, 0]),
                        0x00280030: ("DS", [1, 1])}
                put(self.path("in", f"f{z}"), dicom(np.full((16, 16), 30 * z + 20), 1, tags))
                put(self.path("masks", f"f{z}.nii"), nf.file(np.full((16, 16, 1), z, np.uint8)))
                table.write(f"f{z},a,masks/whole.nii,masks/f{z}.nii\n")
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - window: {low: 0, high: 255}\n"
                    "  - slices: {axis: axial}\n  - fit: {size: [16, 16]}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"), "set", "--masks", "whole")
        self.assertEqual((m["samples"], m["images"], m["masks"]), (1, 6, True))
        pixels = np.fromfile(self.path("set", "pixels.bin"), np.uint8).reshape(6, -1)
        masks = np.fromfile(self.path("set", "masks.bin"), np.uint8).reshape(6, -1)
        self.assertTrue((pixels == 30 * masks.astype(int) - 10).all(), (pixels[:, 0], masks[:, 0]))
        self.fails(12, "its slices have masks of their own", "data", "import", self.path("in"), "--recipe", self.recipe,
                   "--masks", "own", "--out", self.path("own"), "--key", self.key)

    def test_split_keeps_bunches_whole(self):
        data = self.dicoms(60, per_patient=4)
        self.imported(data)
        bunch = self.records()["bunch"]
        p = self.ok_json("data", "partition", "--data", self.path("set"), "--clients", "3")
        self.assertIn("near copies", json.dumps(p))
        self.assertEqual(len(set(bunch)), 15)

    def test_arrays_and_folders(self):
        rng = np.random.default_rng(4)
        x = rng.integers(0, 256, (30, 20, 24), dtype=np.uint8)
        np.savez(self.path("a.npz"), x=x, y=np.arange(30) % 2, group=np.arange(30) // 3)
        m = self.imported(self.path("a.npz"))
        self.assertEqual((m["images"], m["patients"]), (30, 10))
        self.assertEqual(get(self.path("set", "pixels.bin")), x.tobytes())
        m = self.imported("phantom", "ph")
        self.assertEqual(m["classes"], ["normal", "opacity"])

    def test_check_of_files(self):
        data = self.dicoms(10)
        rng = np.random.default_rng(6)
        extra = {"burned": {0x00280301: ("CS", "YES")}, "none": {0x00280301: ("CS", "NO"), 0x00080060: ("CS", "US")},
                 "us": {0x00080060: ("CS", "US"), 0x00186011: ("SQ", [{0x00186012: ("US", 1)}])},
                 "overlay": {0x60000010: ("US", 8), 0x60000011: ("US", 8), 0x60003000: ("OW", bytes(8))},
                 "nested": {0x00081140: ("SQ", [{0x00100020: ("LO", "ZZQNESTED"), 0x00111010: ("LO", "ZZQ")}])},
                 "ZZQID00099_front": {}, "face": {0x00280302: ("CS", "YES")}}
        for name, tags in extra.items():
            put(os.path.join(data, name + ".dcm"), dicom(rng.integers(0, 255, (20, 20)), 99, tags))
        put(os.path.join(data, "cut.dcm"), dicom(np.zeros((20, 20)), 3)[:300])
        text = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\5tEXtA\0bcdXXXX"
        put(os.path.join(data, "a.png"), text)
        r = run("data", "check", data, "--json", *THREADS)
        self.assertEqual(r.returncode, 12, r.stderr)
        c = json.loads(r.stdout)
        self.assertNotIn("ZZQ", r.stdout + r.stderr)
        self.assertEqual((c["files"], c["unreadable"], c["formats"]), (18, 1, {"DICOM": 17, "PNG": 1}))
        by_name = {a["name"]: a["files"] for a in c["attributes"]}
        self.assertEqual((by_name["PatientName"], by_name["PatientBirthDate"], by_name["InstitutionName"]), (17, 17, 17))
        self.assertNotIn("AccessionNumber", by_name)
        self.assertEqual(c["private"], 17)
        self.assertEqual(c["overlays"], 1)
        self.assertEqual(c["burned_in"], {"yes": 1, "no": 1, "not_said": 15})
        self.assertEqual((c["kinds_with_text"], c["ultrasound_regions"], c["recognisable"]), (1, 1, 1))
        self.assertEqual((c["file_names"], c["text_beside_pixels"]), (1, 1))
        self.assertEqual(c["problems"], 3)
        # What declares text in its pixels stays out, unless it is asked for.
        with open(os.path.join(data, "labels.csv"), "a") as f:
            f.write("burned.dcm,a\nnone.dcm,b\n")
        self.assertEqual(self.imported(data)["samples"], 11)
        self.assertEqual(self.imported(data, "all", "--allow-burned-in")["samples"], 12)

    def test_check_of_sets(self):
        data = self.dicoms(40)
        self.imported(data)
        c = self.ok_json("data", "check", self.path("set"), "--for-federation")
        self.assertEqual((c["kind"], c["problems"], c["images"]), ("set", 0, 40))
        self.assertEqual([k["patients"] for k in c["classes"]], [10, 10])
        put(self.path("set", "notes.txt"), b"x")
        self.assertEqual(run("data", "check", self.path("set")).returncode, 12)
        os.remove(self.path("set", "notes.txt"))
        os.chmod(self.path("set"), 0o755)
        self.assertIn("others on this machine", self.fails(12, "1 problem", "data", "check", self.path("set"),
                                                           "--for-federation").stdout)
        self.imported(self.dicoms(8, folder="few"), "small")
        out = self.fails(12, "problem", "data", "check", self.path("small"), "--for-federation").stdout
        self.assertIn("4 patients", out)
        self.fails(2, "no imported set", "data", "check", data, "--for-federation")

    def test_card(self):
        self.imported(self.dicoms(40))
        c = self.ok_json("data", "card", self.path("set"), "--html", self.path("card.html"), "--clients", "3", "--partition",
                         "quantity:1", "--shift", "mixed:0.5")
        self.assertEqual((c["images"], c["patients"], sum(c["intensity"]["histogram"])), (40, 20, 40 * 480))
        self.assertEqual(sum(h["images"] for h in c["hospitals"]), 40)
        self.assertEqual(len({json.dumps(h["shift"]) for h in c["hospitals"]}), 3)
        page = get(self.path("card.html")).decode()
        self.assertIn("must not leave the hospital", page)
        self.assertNotIn("<script", page)
        self.assertGreaterEqual(page.count("data:image/png;base64"), 24)
        self.fails(2, "--clients", "data", "card", self.path("set"), "--shift", "mixed:0.5")
        p = self.ok_json("data", "inspect", "phantom", "--phantom-images", "30", "--html", self.path("i.html"))
        self.assertEqual(p["images"], 30)
        self.assertIn("phantom", get(self.path("i.html")).decode())
        self.dicoms(30, folder="site/chest")
        self.ok("data", "card", self.path("site", "chest") + "/", "--html", self.path("n.html"))
        page = get(self.path("n.html")).decode()
        self.assertIn("<h1>site/chest</h1>", page)
        self.assertIn("highest bar", page)

    @unittest.skipIf(SANITIZED, "trains")
    def test_simulate_by_recipe(self):
        """The set is the same whether simulate imports it or it was there; its hash stands in the result; the census too."""
        data = self.dicoms(60, per_patient=2, side=24)
        common = ("--clients", "3", "--rounds", "1", "--compare", "none", "--bootstrap", "0", "--json", "--quiet")
        a = json.loads(self.ok("simulate", "--data", data, "--recipe", self.recipe, "--data-key", self.key, "--out",
                               self.path("a"), "--shift", "noise:0.5", *common).stdout)
        m = self.imported(data)
        b = json.loads(self.ok("simulate", "--data", self.path("set"), "--out", self.path("b"), "--shift", "noise:0.5",
                               *common).stdout)
        plain = json.loads(self.ok("simulate", "--data", self.path("set"), "--out", self.path("c"), *common).stdout)
        self.assertEqual(a["data"]["recipe"], m["recipe_hash"])
        self.assertEqual(a["encrypted"], b["encrypted"])
        self.assertNotEqual(plain["rounds"][0]["encrypted"], b["rounds"][0]["encrypted"])
        self.assertEqual((a["data"]["width"], a["data"]["height"]), (24, 20))
        census = a["data"]["census"]
        counts = np.sum([h["counts"] for h in a["data"]["hospitals"]], 0).tolist()
        self.assertEqual((census["encrypted"], census["exact"], census["classes"]), (True, True, counts))
        self.assertEqual(sum(census["brightness"]), census["images"])
        self.ok("evaluate", "--model", self.path("a", "agg_model.h5"), "--data", self.path("set"))
        one = self.ok_json("predict", "--model", self.path("a", "agg_model.h5"), "--recipe", self.recipe,
                           os.path.join(data, "00000.dcm"))
        self.assertEqual((one[0]["pictures"], len(one[0]["probabilities"])), (1, 2))
        put(self.path("other.yaml"), PICTURES.replace("24", "25").encode())
        self.fails(7, "takes 24 x 20 x 1", "predict", "--model", self.path("a", "agg_model.h5"), "--recipe",
                   self.path("other.yaml"), os.path.join(data, "00000.dcm"))
        self.fails(2, "--recipe", "simulate", "--data", data, "--labels", "x.csv", "--out", self.path("d"))
        self.model_names_its_recipe(m, data)
        self.flips_are_the_recipes(data, common)

    def model_names_its_recipe(self, manifest, data):
        """In every model file of a run; other pictures are refused, by name; encrypting and opening keeps it."""
        model, picture = self.path("a", "agg_model.h5"), os.path.join(data, "00000.dcm")
        for name in ("main_model.h5", "agg_model.h5", "agg_model_last.h5", "agg_model_calibrated.h5"):
            shown = self.ok_json("inspect", self.path("a", name))
            self.assertEqual((shown["recipe"], shown["recipe_name"]), (manifest["recipe_hash"], manifest["name"]))
        self.assertIn(manifest["recipe_hash"], self.ok("model", "info", model).stdout)
        self.assertIn(manifest["recipe_hash"], self.ok("inspect", model).stdout)
        put(self.path("near.yaml"), PICTURES.replace("input: picture", "input: picture\nlaterality: irrelevant").encode())
        near = ("--recipe", self.path("near.yaml"))
        self.fails(7, "made by another recipe", "predict", "--model", model, *near, picture)
        self.fails(7, "--any-recipe", "predict", "--model", model, picture)
        self.ok("predict", "--model", model, *near, "--any-recipe", picture)
        self.ok("predict", "--model", model, "--any-recipe", picture)
        self.ok("data", "import", data, *near, "--out", self.path("near"), "--key", self.key, *THREADS)
        self.fails(7, "made by another recipe", "evaluate", "--model", model, "--data", self.path("near"))
        self.fails(7, "was not made by one", "evaluate", "--model", model, "--data", "phantom", "--phantom-images", 40)
        self.ok("evaluate", "--model", model, "--data", self.path("near"), "--any-recipe", "--bootstrap", 0)
        # A model that names none takes any.
        self.ok("model", "init", "cnn-small", "--height", 20, "--width", 24, "--channels", 1, "--classes", 2, "--out",
                self.path("bare.h5"))
        self.assertIsNone(self.ok_json("inspect", self.path("bare.h5"))["recipe"])
        self.ok("predict", "--model", self.path("bare.h5"), *near, picture)

    def flips_are_the_recipes(self, data, common):
        flip = ("--augment", "default,flip-horizontal")
        self.assertEqual(json.loads(get(self.path("set", "set.json")))["laterality"], "matters")
        self.assertEqual(json.loads(get(self.path("near", "set.json")))["laterality"], "irrelevant")
        for words in (flip, ("--flip-horizontal",)):
            self.fails(9, "say 'laterality: irrelevant' in the recipe", "simulate", "--data", self.path("set"), "--out",
                       self.path("f"), *words, *common)
        self.fails(9, "laterality", "simulate", "--data", data, "--recipe", self.recipe, "--data-key", self.key, "--out",
                   self.path("f"), *flip, *common)
        self.assertFalse(os.path.exists(self.path("f")))
        sheet = ("--out", self.path("sheet.html"), "--images", 2, "--versions", 2, "--quiet")
        self.fails(9, "laterality", "data", "augment-preview", "--data", self.path("set"), *flip, *sheet)
        self.fails(9, "unoriented", "data", "augment-preview", "--data", self.path("near"), "--augment", "flip-vertical",
                   *sheet)
        self.ok("data", "augment-preview", "--data", self.path("near"), *flip, *sheet)
        # Where it is allowed it changes training; switched off it is nobody's business.
        runs = {}
        for name, source, words in (("n", "near", flip), ("o", "near", ()), ("p", "set", (*flip, "--no-augment"))):
            result = json.loads(self.ok("simulate", "--data", self.path(source), "--out", self.path(name), *words,
                                        *common).stdout)
            runs[name] = get(self.path(name, "agg_model_last.h5"))
            self.assertFalse([w for w in result["warnings"] if "mirrors" in w])
        self.assertNotEqual(runs["n"], runs["o"])

    def test_sequences_by_table(self):
        """T1 and T2 as two channels, one row a sample; a row without one of them is left out."""
        try:
            import nibabel
        except ImportError:
            self.skipTest("nibabel is not installed")
        os.makedirs(self.path("in"))
        rng = np.random.default_rng(8)
        rows = ["T1,T2,who,kind"]
        for i in range(6):
            v = rng.integers(1, 200, (24, 24, 6)).astype(np.int16)
            nibabel.Nifti1Image(v, np.eye(4)).to_filename(self.path("in", f"{i}_t1.nii.gz"))
            nibabel.Nifti1Image((250 - v).astype(np.int16), np.eye(4)).to_filename(self.path("in", f"{i}_t2.nii.gz"))
            rows.append(f"{i}_t1.nii.gz,{'' if i == 5 else f'{i}_t2.nii.gz'},p{i // 2},{'xy'[i % 2]}")
        put(self.path("in", "table.csv"), "\n".join(rows).encode())
        put(self.recipe, b"recipe: 1\ninput: volume\nsequences: [T1, T2]\nsteps:\n  - window: {low: 0, high: 255}\n"
                         b"  - fit: {size: [24, 24, 6]}\n  - slices: {axis: slices}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"), "set", "--labels", self.path("in", "table.csv"), "--label", "kind", "--patient",
                          "who")
        self.assertEqual((m["samples"], m["channels"], m["images"], m["patients"], m["source"]["incomplete"]),
                         (5, 2, 30, 3, 1))
        p = np.fromfile(self.path("set", "pixels.bin"), np.uint8).reshape(30, 24, 24, 2).astype(int)
        self.assertTrue((p.sum(3) == 250).all())
        self.ok("data", "card", self.path("set"), "--html", self.path("c.html"))
        if not SANITIZED:
            self.ok("simulate", "--data", self.path("set"), "--out", self.path("run"), "--clients", "2",
                    "--allow-two-sites", "--rounds", "1", "--compare", "none", "--bootstrap", "0", "--test-fraction", "0.34",
                    "--validation-fraction", "0", "--quiet")

    def test_sequences_by_names(self):
        """Without a table: the last word of a file is its sequence, what stands before it the sample."""
        rng = np.random.default_rng(9)
        names = ["HGG/B_1/B_1_t1", "HGG/B_1/B_1_t2", "HGG/B_1/B_1_flair", "HGG/B_2/B_2_T1n", "HGG/B_2/B_2_t2w",
                 "LGG/C-00003-000/C-00003-000-t1", "LGG/C-00003-000/C-00003-000-t2", "LGG/C-00003-001/C-00003-001-t1",
                 "LGG/C-00003-001/C-00003-001-t2", "LGG/C-00003-001/C-00003-001-seg", "LGG/D, \"four\"/D 4-t1",
                 "LGG/D, \"four\"/D 4-t2", "LGG/E/E_t1", "LGG/readme_first"]
        for name in names:
            os.makedirs(self.path("in", os.path.dirname(name)), exist_ok=True)
            put(self.path("in", name + ".nii"), nf.file(rng.integers(1, 200, (16, 16, 4)).astype(np.int16)))
        put(self.recipe, b"recipe: 1\ninput: volume\nsequences: [T1, T2]\nsteps:\n  - window: {low: 0, high: 255}\n"
                         b"  - fit: {size: [16, 16, 4]}\n  - slices: {axis: slices}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"))
        # E lacks T2; C-00003 was examined twice.
        self.assertEqual((m["samples"], m["patients"], m["source"]["incomplete"]), (5, 4, 1))
        self.assertEqual([c["name"] if isinstance(c, dict) else c for c in m["classes"]], ["HGG", "LGG"])
        m = self.imported(self.path("in"), "masks", "--masks", "seg")
        self.assertEqual((m["samples"], m["source"]["incomplete"]), (1, 5))
        put(self.path("in", "HGG", "B_2", "B_2_t1.nii"), get(self.path("in", "HGG", "B_2", "B_2_T1n.nii")))
        self.assertIn("both look like 'T1'", self.imported(self.path("in"), "twice", code=12))
        os.makedirs(self.path("none", "a"))
        put(self.path("none", "a", "scan.nii"), get(self.path("in", "LGG", "E", "E_t1.nii")))
        self.assertIn("...-T1.nii.gz", self.imported(self.path("none"), "none.set", code=12))

    def test_refusals(self):
        data = self.dicoms()
        self.assertIn("no column 'nope'", self.imported(data, "a", "--patient", "nope", code=12))
        self.assertIn("no label 'nope'", self.imported(data, "a", "--label", "nope", code=12))
        self.assertIn("too many", run("data", "import", data, data, "--recipe", self.recipe, "--out", "x").stderr)
        self.assertFalse(os.path.exists(self.path("a", "set.json")))
        os.makedirs(self.path("mine"))
        put(self.path("mine", "thesis.txt"), b"x")
        self.assertIn("a folder of its own", self.imported(data, "mine", code=13))
        self.assertEqual(os.listdir(self.path("mine")), ["thesis.txt"])
        self.assertIn("looks like a measurement", self.many_labels())
        self.imported(data, "b")
        self.fails(2, "--label chooses no others", "data", "inspect", "--data", self.path("b"), "--label", "z")

    def archive(self):
        """Twelve films as an archive writes them: folders that are no classes, one file beside them, odd names."""
        self.dicoms()
        at = self.path("in", "Export Müller")
        paths = []
        for i in range(12):
            folder = os.path.join("DICOM", f"PA{i % 3:06d}", "ST 1") if i else ""
            paths.append(os.path.join(folder, f"Röntgen {i}.dcm"))
            os.makedirs(os.path.join(at, folder), exist_ok=True)
            os.rename(self.path("in", f"{i:05d}{'' if i % 2 else '.dcm'}"), os.path.join(at, paths[-1]))
        put(os.path.join(at, "DICOMDIR"), b"no picture")
        os.remove(self.path("in", "labels.csv"))
        return at, paths

    def test_a_table_goes_before_an_archives_folders(self):
        at, paths = self.archive()

        def table(name, rows, separator=",", encoding="utf-8", heading=("file", "class", "patient_id")):
            text = "".join(separator.join(row) + "\n" for row in (heading, *rows))
            put(self.path("in", name), text.encode(encoding))
            return self.path("in", name)

        rows = [(p, "ab"[i % 2], f"p{i // 2}") for i, p in enumerate(paths)]
        foreign = [("DICOM/not there.dcm", "a", "p99")]
        # Two films have no row, one row no film; separators and line ends as they come.
        r = run("data", "import", at, "--recipe", self.recipe, "--out", self.path("a"), "--key", self.key, "--json",
                "--labels", table("t.csv", rows[:10] + foreign, ";"))
        self.assertEqual(r.returncode, 0, r.stderr)
        m = json.loads(r.stdout)
        self.assertEqual((m["images"], m["label_key"], m["patient_key"]), (10, "class in the table", "patient_id in the table"))
        self.assertEqual(m["source"]["unlabelled"], 2)
        self.assertIn("classes are those of the table", r.stderr)
        self.assertIn("1 rows of", r.stderr)
        self.assertIn("the first is line 12", r.stderr)
        self.assertNotIn("UTF-8", r.stderr)
        # Folders as Windows writes them.
        m = self.imported(at, "b", "--labels", table("w.csv", [(p.replace("/", "\\"), c, x) for p, c, x in rows]))
        self.assertEqual((m["images"], m["patients"]), (12, 6))
        # Umlauts as old programs write them name nothing; what to do is said.
        r = run("data", "import", at, "--recipe", self.recipe, "--out", self.path("c"), "--key", self.key, "--labels",
                table("l.csv", rows, encoding="latin-1"))
        self.assertEqual(r.returncode, 12)
        self.assertIn("no column of it names files", r.stderr)
        self.assertIn("CSV UTF-8", r.stderr)
        # A table with other words says nothing, and that is said.
        r = run("data", "import", at, "--recipe", self.recipe, "--out", self.path("d"), "--key", self.key, "--labels",
                table("g.csv", rows, heading=("Bild", "Klasse", "Nummer")))
        self.assertIn("nothing is taken from", r.stderr)
        m = self.imported(at, "e", "--labels", self.path("in", "g.csv"), "--label", "Klasse", "--patient", "Nummer")
        self.assertEqual((m["images"], m["patients"], m["label_key"]), (12, 6, "Klasse in the table"))
        # One that lies there and was not named: where folders tell one class, which is none.
        table("labels.csv", [("Export Müller/" + p, c, x) for p, c, x in rows])
        r = self.ok_json("data", "inspect", "--data", at)
        self.assertEqual((r["images"], r["label_key"]), (11, "class in labels.csv"))

    def many_labels(self):
        data = self.dicoms(30, folder="many")
        with open(os.path.join(data, "labels.csv"), "w") as f:
            f.write("file,class\n")
            for i in range(30):
                f.write(f"{i:05d}{'' if i % 2 else '.dcm'},l{i}\n")
        return self.imported(data, "m", code=12)

    @unittest.skipIf(data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_identities(self):
        """The labelled DICOM set: no identity of its headers in what is kept or said."""
        try:
            import pydicom
        except ImportError:
            self.skipTest("pydicom is not installed")
        data = os.path.join(data_folder(), "cxr_dicom", "dev")
        secrets = set()
        for path in glob.glob(os.path.join(data, "*.dcm")):
            for e in pydicom.dcmread(path, stop_before_pixels=True).iterall():
                secrets.update(re.findall(r"ZZ[\w^]{3,}", str(e.value)))
        self.assertGreater(len(secrets), 96)
        r = run("data", "import", data, "--recipe", self.recipe, "--out", self.path("set"), "--key", self.key)
        said = r.stdout + r.stderr + run("data", "check", data).stdout + run("data", "card", self.path("set")).stdout
        self.assertFalse([s for s in secrets if s in said])
        for path, bytes_ in self.everything():
            self.assertFalse([s for s in secrets if s.encode() in bytes_], path)

    @unittest.skipIf(data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_volumes_with_masks(self):
        base = os.path.join(data_folder(), "mri3d_hippocampus", "dev")
        os.makedirs(self.path("in"))
        for path in sorted(glob.glob(os.path.join(base, "images", "*.nii.gz")))[:24]:
            os.symlink(path, self.path("in", os.path.basename(path)))
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - percentiles: {low: 1, high: 99}\n"
                    "  - fit: {size: [48, 64, 48]}\n  - slices: {axis: coronal, share: 0.5, count: 4}\n")
        m = self.imported(self.path("in"), "set", "--labels", os.path.join(base, "labels.csv"), "--label", "large_volume",
                          "--masks", os.path.join(base, "labels"))
        self.assertEqual((m["samples"], m["images"], m["masks"]), (24, 96, True))
        masks = np.fromfile(self.path("set", "masks.bin"), np.uint8)
        self.assertEqual(set(np.unique(masks)), {0, 1, 2})
        self.assertEqual(len(masks), 96 * 48 * 48)


if __name__ == "__main__":
    main()
