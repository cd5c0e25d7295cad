"""`medsecurefl data import`: what a set holds and what it does not, cache, resume, sealing."""
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

from common import CLI, SANITIZED, data_folder, main, run
from import_case import THREADS, ImportCase, dicom, get, put


class ImportTest(ImportCase):
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


if __name__ == "__main__":
    main()
