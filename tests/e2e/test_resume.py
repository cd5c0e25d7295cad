"""Imports that are killed: at random moments, plain and sealed, into nothing and over another set. What the next import makes is what an
undisturbed one makes, byte by byte; sealed files are opened here with libsodium for that, by docs/formats/set.md alone.

Longer: test_resume.py --long [KILLS]"""
import ctypes
import ctypes.util
import glob
import hashlib
import json
import os
import random
import shutil
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
from common import CLI, SANITIZED, SOURCE, CliTest, main, run

THREADS = ("--threads", "1") if SANITIZED else ()
RECIPES = ["recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [40, 40]}\n",
           "recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [24, 24]}\nstore: {bits: 16}\n"]
KILLS = 0  # --long: how many
CHUNK, EXTRA = 1 << 20, 40


def field(raw):
    return struct.pack("<Q", len(raw)) + raw


def read(path):
    with open(path, "rb") as f:
        return f.read()


def sealed_content(path, kind, key_text):
    """The plaintext of a sealed file; fails where a chunk is not authentic."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
    master = bytes.fromhex(key_text.split()[1])
    key = hashlib.blake2b(field(b"msfl.hospital.v1") + field(b"set"), key=master, digest_size=32).digest()
    raw, out, at, number = read(path), b"", 0, 0
    while True:
        piece = raw[at:at + CHUNK + EXTRA]
        last = at + len(piece) == len(raw)
        bound = kind.encode() + b"\0" + struct.pack("<QB", number, last)
        plain = ctypes.create_string_buffer(max(1, len(piece)))
        bad = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
            plain, None, None, piece[24:], ctypes.c_ulonglong(len(piece) - 24), bound, ctypes.c_ulonglong(len(bound)),
            piece[:24], key)
        assert bad == 0, (path, number)
        out += plain.raw[:len(piece) - EXTRA]
        at, number = at + len(piece), number + 1
        if last:
            return out


class Resume(CliTest):
    N = 100

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(1)
        os.makedirs(self.path("in"))
        with open(self.path("in", "labels.csv"), "w") as table:
            table.write("file,class\n")
            for i in range(self.N):
                e = df.image(rng.integers(0, 4096, (1, 12, 12, 1)).repeat(6, 1).repeat(6, 2).astype("u2"), stored=12)
                e[0x00100020] = ("LO", f"patient {i // 3}")
                e[0x7FE00010] = ("OW", rng.integers(0, 4096, 72 * 72).astype("<u2").tobytes())
                with open(self.path("in", f"{i:04d}.dcm"), "wb") as f:
                    f.write(df.file(e, (df.LITTLE, df.IMPLICIT)[i % 2]))
                os.utime(self.path("in", f"{i:04d}.dcm"), (1e9, 1e9))
                table.write(f"{i:04d}.dcm,{'ab'[i // 3 % 2]}\n")
        self.ok("data", "key", self.path("key"))
        for i, text in enumerate(RECIPES):
            with open(self.path(f"{i}.yaml"), "w") as f:
                f.write(text)

    def words(self, out, sealed, recipe=0):
        return ["data", "import", self.path("in"), "--recipe", self.path(f"{recipe}.yaml"), "--out", self.path(out), "--key",
                self.path("key"), "--json", *(["--seal"] if sealed else []), *THREADS]

    def content(self, out, sealed):
        """Files by name, in the clear; of a sealed manifest what does not hang on nonces."""
        self.assertEqual(sorted(os.listdir(self.path(out))), ["pixels.bin", "records.bin", "set.json"])
        manifest = json.loads(read(self.path(out, "set.json")))
        files = {}
        for name in ("pixels", "records"):
            path = self.path(out, name + ".bin")
            files[name] = sealed_content(path, name, read(self.path("key")).decode()) if sealed else read(path)
        if not sealed:
            return {**files, "manifest": read(self.path(out, "set.json"))}
        del manifest["mac"], manifest["hashes"]
        return {**files, "manifest": manifest}

    def kill(self, out, sealed, after):
        """Start an import, kill it after so many seconds: whether it had ended, and entries in its cache."""
        p = subprocess.Popen([CLI, *self.words(out, sealed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
        try:
            p.wait(after)
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGKILL)
        ended = p.wait() == 0
        return ended, len([e for e in glob.glob(self.path(out + ".cache", "??", "*")) if "." not in os.path.basename(e)])

    def trial(self, sealed):
        rng = random.Random(7 + sealed)
        begin = time.monotonic()
        self.ok(*self.words("whole", sealed))
        takes = time.monotonic() - begin
        whole = self.content("whole", sealed)
        self.ok(*self.words("old", sealed, recipe=1))
        old = self.content("old", sealed)
        within = 0
        for k in range(KILLS or 5):
            shutil.rmtree(self.path("set"), ignore_errors=True)
            shutil.rmtree(self.path("set.cache"), ignore_errors=True)
            over = k % 2 == 1
            if over:
                shutil.copytree(self.path("old"), self.path("set"))
            # Several kills of one import, the later ones of a shorter rest.
            for _ in range(1 + k % 3):
                ended, entries = self.kill("set", sealed, rng.uniform(0.05, 1.0) * takes)
                within += not ended and 0 < entries < self.N
                takes = max(0.03, takes * (0.9 if ended else 1))
            # What is there now is the old set, the new one, or none; never a mixture.
            if os.path.exists(self.path("set", "set.json")):
                for name in os.listdir(self.path("set")):  # what a kill leaves half written has other names
                    if name not in ("pixels.bin", "records.bin", "set.json"):
                        os.remove(self.path("set", name))
                self.assertIn(self.content("set", sealed), [whole, old] if over else [whole])
            else:
                self.fails(14 if not os.path.isdir(self.path("set")) else 12, "", "data", "inspect", "--data", self.path("set"))
            again = self.ok_import("set", sealed)
            self.assertEqual(self.content("set", sealed), whole, k)
            if not again["unchanged"]:
                self.assertEqual(again["from_cache"], entries, "what was done is not done again")
        return within

    def ok_import(self, out, sealed):
        r = run(*self.words(out, sealed))
        self.assertEqual(r.returncode, 0, r.stderr)
        return json.loads(r.stdout)

    def test_plain(self):
        within = self.trial(False)
        self.assertGreater(within, 0, "no kill came between the first file and the last")

    def test_sealed(self):
        within = self.trial(True)
        self.assertGreater(within, 0, "no kill came between the first file and the last")
        # Sealed or not, a set holds the same.
        self.ok(*self.words("plain", False))
        for name in ("pixels", "records"):
            self.assertEqual(self.content("plain", False)[name], self.content("whole", True)[name], name)


class Bench(CliTest):
    @unittest.skipIf(SANITIZED, "sanitizers have memory of their own")
    def test_bench(self):
        """bench/import.py gives its figures, and more files take no more memory but for their rows in tables."""
        r = subprocess.run([sys.executable, "-B", os.path.join(SOURCE, "bench", "import.py"), "--files", "60,400", "--layout",
                            "deep", "--others", "--json"],
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        figures = json.loads(r.stdout)
        self.assertEqual([row["files"] for row in figures["runs"]], [60, 400])
        growth = figures["growth"][0]["bytes_per_further_file"]
        self.assertLess(growth["first"], 6000)  # a few files more or less at a time are in this; of 20,000 it is below 100
        self.assertIn("simulate files", growth)
        for row in figures["runs"]:
            self.assertEqual((row["first"]["from_cache"], row["second"]["unchanged"], row["elsewhere"]["from_cache"]), (0, True, row["files"]))
            self.assertGreater(row["first"]["processor_s"], row["second"]["processor_s"])


if __name__ == "__main__":
    if "--long" in sys.argv:
        at = sys.argv.index("--long")
        KILLS = int(sys.argv[at + 1]) if len(sys.argv) > at + 1 else 60
        del sys.argv[at:]
    main()
