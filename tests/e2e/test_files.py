"""Keys and ciphertexts as files, through the command line: the whole flow, every refusal, and what is in the bytes."""
import glob
import json
import os
import pty
import re
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vault_reference as ref
from common import CLI, SANITIZED, SOURCE, main, run
from vault_case import (CRYPTO, EXISTS, FORMAT, IO, LIMIT, MISMATCH, MISSING, NUMERIC, PARAMS, POLICY, UNSUPPORTED, USAGE,
                        VaultCase, read, write)

try:
    import h5py
except ImportError:
    h5py = None

PASSPHRASE = "five random words are good"


def weights_of(path):
    """All values of a model file, in the order of its layers."""
    with h5py.File(path, "r") as f:
        group, values = f["model_weights"], []
        for layer in group.attrs["layer_names"]:
            for name in group[layer].attrs["weight_names"]:
                values.append(np.asarray(group[layer][name]).ravel())
        return np.concatenate(values).astype(np.float64)


class FilesTest(VaultCase):
    def keygen(self, name="keys", scheme="bfv", **options):
        words = [w for k, v in options.items() for w in (f"--{k.replace('_', '-')}", v)]
        if scheme == "paillier":
            words += ["--security", 112]
        return super().keygen(name, "--scheme", scheme, *words)

    def partials(self, folder=None):
        return [name for _, _, names in os.walk(folder or self.path()) for name in names if ".partial-" in name]


class Flow(FilesTest):
    @unittest.skipIf(h5py is None, "no h5py")
    def test_models_as_in_the_manual(self):
        """keygen with a passphrase, encrypt, add, decrypt: main_model.h5 in, agg_model.h5 out."""
        p = write(self.path("p"), PASSPHRASE.encode() + b"\n")
        self.ok("keygen", "--scheme", "bfv", "--passphrase-file", p, "--out", self.path("keys"))
        models, files = [], []
        for i in range(3):
            models.append(self.path(f"m{i}.h5"))
            files.append(self.path(f"c{i}.msc"))
            self.ok("model", "init", "cnn-small", "--seed", i, "--out", models[i])
            self.ok("encrypt", "--key", self.path("keys/public.msk"), models[i], "-o", files[i])
        self.ok("add", *files, "-o", self.path("sum.msc"))
        result = self.ok_json("decrypt", "--key", self.path("keys/secret.msk"), "--passphrase-file", p,
                              self.path("sum.msc"), "-o", self.path("agg_model.h5"))
        self.assertEqual((result["what"], result["addends"], result["samples"]), ("mean", 3, 3))
        exact = sum(weights_of(m) for m in models) / 3
        error = np.abs(weights_of(self.path("agg_model.h5")) - exact).max()
        self.assertLessEqual(error, result["error_bound"])
        self.assertLess(result["error_bound"], 2e-6)
        info = self.ok_json("model", "info", self.path("agg_model.h5"))
        self.assertEqual(info["hash"], self.ok_json("model", "info", models[0])["hash"])
        # one sealed under a passphrase is opened by no other, and the key of another folder is named
        wrong = write(self.path("wrong"), b"six random words are better")
        self.fails(CRYPTO, "wrong passphrase", "decrypt", "--key", self.path("keys/secret.msk"), "--passphrase-file",
                   wrong, self.path("sum.msc"), "-o", self.path("x.h5"))
        self.assertFalse(os.path.exists(self.path("x.h5")))
        # the passphrase through standard input
        done = subprocess.run([CLI, "decrypt", "--key", self.path("keys/secret.msk"), "--passphrase-file", "-",
                               self.path("sum.msc"), "-o", self.path("x.npy"), "--sum"], input=PASSPHRASE + "\n",
                              text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(np.allclose(np.load(self.path("x.npy")), exact * 3, atol=6e-6))

    def test_sums_of_both_schemes(self):
        rng = np.random.default_rng(1)
        for scheme, n in (("bfv", 70000), ("ckks", 70000), ("paillier", 300)):
            public, secret = self.keygen(scheme, scheme, clients=5)
            vectors = [rng.uniform(-8, 8, (n // 10, 10)).astype(np.float32) for _ in range(3)]
            files = [self.encrypt(public, v, f"{scheme}{i}.msc", "--round", 7) for i, v in enumerate(vectors)]
            self.ok("add", *files, "-o", self.path(scheme + ".msc"))
            result = self.ok_json("decrypt", "--key", secret, "--keyfile", self.raw, self.path(scheme + ".msc"), "-o",
                                  self.path(scheme + ".npy"))
            opened = np.load(self.path(scheme + ".npy"))
            self.assertEqual(opened.shape, (n // 10, 10))
            self.assertEqual(opened.dtype, np.float32)
            exact = sum(v.astype(np.float64) for v in vectors)
            bound = 3 * 16 / (2 ** 24 - 1) + 24 * 2.0 ** -23  # as documented: n delta, and the float
            self.assertLessEqual(np.abs(opened - exact).max(), bound)
            self.assertLessEqual(result["error_bound"], bound * 1.5)
            mean = self.decrypt(secret, self.path(scheme + ".msc"), "--mean")
            self.assertLessEqual(np.abs(mean - exact / 3).max(), bound / 3)

    def test_the_worked_example(self):
        for scheme in ("bfv", "ckks", "paillier"):
            public, secret = self.keygen(scheme, scheme)
            for name, text in (("x", "0.5, -0.2\n"), ("y", "0.1 # two on two lines\n0.3\n")):
                write(self.path(name + ".txt"), text.encode())
                self.ok("encrypt", "-k", public, self.path(name + ".txt"), "-o", self.path(scheme + name))
            self.ok("add", self.path(scheme + "x"), self.path(scheme + "y"), "-o", self.path(scheme + "sum"))
            out = self.ok("decrypt", "-k", secret, "--keyfile", self.raw, self.path(scheme + "sum"), "-o", "-").stdout
            self.assertTrue(np.allclose([float(x) for x in out.split()], [0.6, 0.1], atol=2e-6), out)
            self.ok("decrypt", "-k", secret, "--keyfile", self.raw, self.path(scheme + "sum"), "-o",
                    self.path(scheme + ".txt"))
            self.assertEqual(read(self.path(scheme + ".txt")).decode(), out)

    def test_the_example_program(self):
        program = os.path.join(os.path.dirname(os.path.dirname(CLI)), "examples", "he_example")
        for scheme in ("bfv", "ckks", "paillier"):
            done = subprocess.run([program, self.path("example-" + scheme), scheme], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, "[0.5, -0.2] + [0.1, 0.3] = [0.6000, 0.1000], mean [0.3000, 0.0500]\n")

    def test_weights(self):
        public, secret = self.keygen(samples_max=1000, bits=28)
        a, b = np.linspace(-1, 1, 50), np.linspace(2, -3, 50)
        files = [self.encrypt(public, a, "a.msc", "--samples", 900), self.encrypt(public, b, "b.msc", "--samples", 300)]
        self.ok("add", *files, "-o", self.path("sum.msc"))
        mean = self.decrypt(secret, self.path("sum.msc"), "--mean")
        self.assertTrue(np.allclose(mean, (900 * a + 300 * b) / 1200, atol=2e-7 + 2 * 16 / 2 ** 28 / 1.2))
        np.save(self.path("values.npy"), a)
        self.fails(LIMIT, "--samples-max", "encrypt", "--key", public, self.path("values.npy"), "--samples", 1001, "-o",
                   self.path("c.msc"))

    def test_arrays_of_all_kinds(self):
        public, secret = self.keygen()
        for values in (np.arange(6, dtype="<i2").reshape(2, 3), np.array([1.5, -2], dtype=">f8"), np.float32(3.25),
                       np.array([True, False])):
            opened = self.decrypt(secret, self.encrypt(public, values, "a.msc", "--force"))
            self.assertTrue(np.allclose(opened.ravel(), np.ravel(values), atol=2e-6))
        np.savez(self.path("two.npz"), a=np.ones(3), b=np.zeros(2))
        np.savez(self.path("one.npz"), a=np.ones(3))
        self.ok("encrypt", "--key", public, self.path("one.npz"), "-o", self.path("one.msc"))
        self.fails(USAGE, "--array", "encrypt", "--key", public, self.path("two.npz"), "-o", self.path("two.msc"))
        self.ok("encrypt", "--key", public, self.path("two.npz"), "--array", "b", "-o", self.path("two.msc"))
        self.assertEqual(self.decrypt(secret, self.path("two.msc")).shape, (2,))
        self.fails(MISSING, "'c'", "encrypt", "--key", public, self.path("two.npz"), "--array", "c", "-o", self.path("x"))
        np.save(self.path("f.npy"), np.asfortranarray(np.ones((2, 3))))
        self.fails(UNSUPPORTED, "Fortran", "encrypt", "--key", public, self.path("f.npy"), "-o", self.path("x"))


class Bytes(FilesTest):
    def test_ciphertexts_by_the_book(self):
        public, _ = self.keygen(clients=4, clip=2, samples_max=9)
        v = np.linspace(-1, 1, 60000).reshape(3, 20000)
        files = [self.encrypt(public, v, f"{i}.msc", "--round", 5, "--samples", i + 1) for i in range(2)]
        self.ok("add", *files, "-o", self.path("sum.msc"))
        one, other, total = (ref.read_cipher(read(f)) for f in (*files, self.path("sum.msc")))
        key = ref.read_key(read(public))
        self.assertEqual(one["shape"], (3, 20000))
        self.assertEqual((one["spec"]["clients"], one["spec"]["clip"], one["spec"]["samples_max"]), (4, 2.0, 9))
        self.assertEqual(one["spec"]["values"], 60000 + 2)  # the sample count: 35 bits in digits of 24
        self.assertEqual((one["round"], one["key_id"], one["adder"]), (5, key["key_id"], key["adder"]))
        self.assertEqual(one["label"], other["label"])
        self.assertEqual(one["label"], total["label"])
        self.assertEqual(one["addends"], [one["file_id"]])
        self.assertEqual(sorted(total["addends"]), sorted(one["addends"] + other["addends"]))
        self.assertEqual(len({one["file_id"], other["file_id"], total["file_id"]}), 3)
        self.assertGreater(one["n_chunks"], 1)
        shown = self.ok_json("inspect", self.path("sum.msc"))
        self.assertEqual((shown["addends"], shown["label"], shown["verified"]), (2, total["label"].hex(), True))

    def test_key_files_by_the_book(self):
        public, secret = self.keygen()
        p, s = ref.read_key(read(public)), ref.read_key(read(secret))
        for name in ("key_id", "identity", "spec", "adder", "created"):
            self.assertEqual(p[name], s[name], name)
        self.assertEqual((s["kdf"], s["passes"], s["memory"]), (2, 0, 0))
        self.assertEqual(self.ok_json("inspect", public)["fingerprint"], p["fingerprint"].hex())
        # with a passphrase the costs stand in the file; two seals of one key have nothing in common
        phrase = write(self.path("p"), PASSPHRASE.encode())
        sealed = [s["sealed"]]
        for _ in range(2):
            self.ok("rotate-keys", self.path("keys"), "--rewrap", *(["--keyfile", self.raw] if len(sealed) == 1 else
                    ["--passphrase-file", phrase]), "--new-passphrase-file", phrase)
            again = ref.read_key(read(secret))
            self.assertEqual((again["kdf"], again["passes"], again["memory"]), (1, 3, 256 << 20))
            self.assertEqual(again["key_id"], p["key_id"])
            self.assertNotIn(again["sealed"][:16], [x[:16] for x in sealed])
            self.assertEqual(len(again["sealed"]), len(sealed[0]))
            sealed.append(again["sealed"])
        self.fails(MISMATCH, "sealed under a passphrase", "rotate-keys", self.path("keys"), "--keyfile", self.raw)

    def test_nothing_random_repeats(self):
        public, _ = self.keygen()
        a, b = (ref.read_cipher(read(self.encrypt(public, np.zeros(100), n))) for n in ("a", "b"))
        self.assertNotEqual(a["chunks"][0][200:264], b["chunks"][0][200:264])


class Refusals(FilesTest):
    def test_values(self):
        public, _ = self.keygen()
        for value, text in ((np.nan, "NaN"), (np.inf, "infinite"), (8.5, "outside +-8"), (1e39, "infinite")):
            v = np.zeros(40000)
            v[31234] = value
            np.save(self.path("v.npy"), v)
            r = self.fails(NUMERIC, text, "encrypt", "--key", public, self.path("v.npy"), "-o", self.path("v.msc"))
            self.assertIn("31234", r.stderr)
        np.save(self.path("v.npy"), np.array([8.5, 0, -9]))
        r = self.ok("encrypt", "--key", public, self.path("v.npy"), "-o", self.path("v.msc"), "--clip-values")
        self.assertIn("2 of 3 values", r.stderr)
        np.save(self.path("v.npy"), np.zeros(0))
        self.fails(USAGE, "no values", "encrypt", "--key", public, self.path("v.npy"), "-o", self.path("w.msc"))
        write(self.path("v.txt"), b"")
        self.fails(USAGE, "no values", "encrypt", "--key", public, self.path("v.txt"), "-o", self.path("w.msc"))
        write(self.path("v.txt"), b"1 2\n3 x\n")
        self.fails(FORMAT, "line 2", "encrypt", "--key", public, self.path("v.txt"), "-o", self.path("w.msc"))
        self.assertFalse(os.path.exists(self.path("w.msc")))

    def test_mixtures(self):
        public, secret = self.keygen(clients=2)
        other, other_secret = self.keygen("other", clients=2)
        wide, _ = self.keygen("wide", clients=2, bits=20)
        paillier, _ = self.keygen("paillier", "paillier", clients=2)
        v = np.ones(20)
        a, b, c = (self.encrypt(public, v, n) for n in "abc")
        out = self.path("out")
        for source, text in ((self.encrypt(other, v, "k"), "under the key"), (self.encrypt(wide, v, "w"), "under the key"),
                             (self.encrypt(paillier, v, "p"), "scheme"), (self.encrypt(public, v, "r", "--round", 1), "round"),
                             (self.encrypt(public, np.ones(21), "l"), "lengths"),
                             (self.encrypt(public, np.ones((4, 5)), "s"), "shapes")):
            self.fails(MISMATCH, text, "add", a, source, "-o", out)
        self.fails(LIMIT, "made for 2", "add", a, b, c, "-o", out)
        self.fails(EXISTS, "twice", "add", a, a, "-o", out)
        self.ok("add", a, b, "-o", self.path("ab"))
        self.fails(LIMIT, "made for 2", "add", self.path("ab"), c, "-o", out)
        self.fails(EXISTS, "twice", "add", self.path("ab"), a, "-o", out)
        self.fails(MISMATCH, "encrypted under the key", "decrypt", "--key", other_secret, "--keyfile", self.raw, a, "-o", out)
        self.fails(MISMATCH, "is a public key", "decrypt", "--key", public, "--keyfile", self.raw, a, "-o", out)
        np.save(self.path("v.npy"), v)
        self.fails(MISMATCH, "is a secret key", "encrypt", "--key", secret, self.path("v.npy"), "-o", out)
        self.fails(USAGE, "encrypted already", "encrypt", "--key", public, a, "-o", out)
        self.fails(FORMAT, "not a key file", "encrypt", "--key", a, self.path("v.npy"), "-o", out)
        self.fails(FORMAT, "not a ciphertext", "add", public, a, "-o", out)
        self.fails(MISMATCH, "an array, not a model", "decrypt", "--key", secret, "--keyfile", self.raw, a, "-o",
                   self.path("x.h5"))
        self.assertFalse(os.path.exists(out))

    def test_existing_files_stay(self):
        public, secret = self.keygen()
        a = self.encrypt(public, np.ones(5), "a.msc")
        mine = write(self.path("mine"), b"mine")
        np.save(self.path("v.npy"), np.ones(5))
        for words in (("encrypt", "--key", public, self.path("v.npy")), ("add", a),
                      ("decrypt", "--key", secret, "--keyfile", self.raw, a)):
            self.fails(EXISTS, "already there", *words, "-o", mine)
            self.assertEqual(read(mine), b"mine")
            self.ok(*words, "-o", mine, "--force")
            self.assertNotEqual(read(mine), b"mine")
            write(mine, b"mine")
        self.fails(EXISTS, "never overwritten", "keygen", "--keyfile", self.raw, "--out", self.path("keys"))

    def test_damage(self):
        public, secret = self.keygen()
        a = read(self.encrypt(public, np.linspace(0, 1, 60000), "a.msc"))
        head, bad, out = struct.unpack_from("<I", a, 12)[0], self.path("bad.msc"), self.path("out")
        ways = [bytes(a[:i]) + bytes([a[i] ^ 1]) + a[i + 1:] for i in (*range(0, head, 23), head, head + 9, head + 5000,
                                                                       len(a) - 1, len(a) - 50)]
        ways += [a[:n] for n in (0, 7, 15, head - 1, head, head + 100, len(a) - 1)] + [a + b"\0"]
        for damaged in ways:
            write(bad, damaged)
            for words in (("inspect", bad), ("add", bad, "-o", out),
                          ("decrypt", "--key", secret, "--keyfile", self.raw, bad, "-o", out)):
                r = run(*words)
                self.assertIn(r.returncode, (FORMAT, UNSUPPORTED, LIMIT), (words, r.stderr))
                self.assertIn("bad.msc", r.stderr)
                if words[0] != "decrypt" and len(damaged) != len(a):
                    break
            self.assertFalse(os.path.exists(out))
        write(bad, a[:8] + struct.pack("<I", 2) + a[12:])
        self.fails(UNSUPPORTED, "version 2", "inspect", bad)
        write(bad, a[:12] + struct.pack("<I", 1 << 31) + a[16:])
        self.fails(LIMIT, "header of", "inspect", bad)
        # a header that asks for the world, with a hash that fits it
        spec = 80  # magic, version, length, file id, label, number of chunks
        huge = bytearray(a[:head - 32])
        struct.pack_into("<Q", huge, spec + 40, 1 << 33)
        struct.pack_into("<Q", huge, spec + 64 + 16, (1 << 33) - 2)
        write(bad, bytes(huge) + ref.blake("msfl.vault.header.v1", bytes(huge)) + a[head:])
        self.fails(FORMAT, "", "decrypt", "--key", secret, "--keyfile", self.raw, bad, "-o", out)

    def test_forged_lengths_of_one_chunk(self):
        """Chunks that are repeated, left out, swapped, or of another file, with everything else intact."""
        public, secret = self.keygen(bits=24)
        a, b = (read(self.encrypt(public, np.zeros(130000), n)) for n in ("a", "b"))
        head = struct.unpack_from("<I", a, 12)[0]
        size = 16 + struct.unpack_from("<I", a, head + 8)[0] + 32
        first, second, rest = a[head:head + size], a[head + size:head + 2 * size], a[head + 2 * size:]
        for chunks, text in ((second + first, "stands where chunk 0"), (first + first, "repeated"), (second, ""),
                             (first + b[head + size:head + 2 * size], "another file")):
            write(self.path("bad"), a[:head] + chunks + rest)
            self.fails(FORMAT, text, "decrypt", "--key", secret, "--keyfile", self.raw, self.path("bad"), "-o",
                       self.path("out"))

    def test_permissions(self):
        public, secret = self.keygen()
        a = self.encrypt(public, np.ones(3), "a")
        for path in (secret, self.raw):
            # A passphrase file is its owner's business: a warning, and on it goes (test_passphrases).
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            for mode in (0o640, 0o604, 0o644):
                os.chmod(path, mode)
                self.fails(POLICY, "by others", "decrypt", "--key", secret, "--keyfile", self.raw, a, "-o", self.path("o"))
            os.chmod(path, 0o600)
        os.chmod(secret, 0o644)
        self.fails(POLICY, "by others", "inspect", secret)
        os.chmod(secret, 0o600)
        if os.geteuid() == 0:
            os.chown(secret, 4711, 4711)
            self.fails(POLICY, "belongs to user 4711", "decrypt", "--key", secret, "--keyfile", self.raw, a, "-o",
                       self.path("o"))

    def test_passphrases(self):
        for data, text in ((b"four", "fewer than 5"), (b"aaaaaaaaaaaaaaaaaaaaaa", "repeats"), (b"", "empty"),
                           (b"two lines\nof a passphrase", "more than one line"), (b"x" * 2000, "at most")):
            r = run("keygen", "--passphrase-file", write(self.path("p"), data), "--out", self.path("k"))
            self.assertIn(r.returncode, (USAGE, POLICY, LIMIT))
            self.assertIn(text, r.stderr)
        loose = write(self.path("loose"), b"hunter2", 0o644)
        r = self.ok("keygen", "--passphrase-file", loose, "--out", self.path("loosekeys"))
        self.assertIn("others on this machine may read", r.stderr)
        self.assertIn("weak", r.stderr)
        good = write(self.path("good"), b"six random words would be good")
        self.assertEqual(self.ok("keygen", "--passphrase-file", good, "--out", self.path("goodkeys")).stderr, "")
        self.fails(POLICY, "random", "keygen", "--keyfile", write(self.path("k"), b"0" * 64), "--out", self.path("kk"))
        self.fails(POLICY, "32", "keygen", "--keyfile", write(self.path("k"), b"0" * 31), "--out", self.path("kk"))
        self.fails(USAGE, "never taken from the command line", "keygen", "--out", self.path("kk"))
        self.fails(USAGE, "no option", "keygen", "--passphrase", "x", "--out", self.path("kk"))
        self.assertFalse(os.path.exists(self.path("kk")))

    def at_a_terminal(self, answers, *args):
        """Run with a terminal as standard input; each answer is typed when its prompt stands (None: interrupted)."""
        master, slave = pty.openpty()
        job = subprocess.Popen([CLI, *args], stdin=slave, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        seen = b""
        for prompt, answer in answers:
            while prompt not in seen:
                piece = os.read(job.stderr.fileno(), 1000)
                self.assertTrue(piece, seen)
                seen += piece
            seen = b""
            if answer is None:
                job.send_signal(signal.SIGINT)
            else:
                os.write(master, answer)
        rest = job.stderr.read().decode()
        os.set_blocking(master, False)
        try:
            echoed = os.read(master, 1000)
        except BlockingIOError:
            echoed = b""
        echo_is_on = bool(termios.tcgetattr(slave)[3] & termios.ECHO)
        os.close(master)
        os.close(slave)
        job.stderr.close()
        return job.wait(), rest, echoed, echo_is_on

    def test_a_passphrase_is_asked_for_without_echo(self):
        keygen = ("keygen", "--passphrase-file", "-", "--out", self.path("k"))
        typed = PASSPHRASE.encode() + b"\n"
        code, text, echoed, echo_is_on = self.at_a_terminal([(b"new key: ", typed), (b"once more: ", typed[1:])], *keygen)
        self.assertEqual((code, echo_is_on), (USAGE, True), text)
        self.assertIn("differ", text)
        code, text, echoed, echo_is_on = self.at_a_terminal([(b"new key: ", typed), (b"once more: ", typed)], *keygen)
        self.assertEqual((code, echo_is_on), (0, True), text)
        self.assertNotIn(b"random", echoed)
        for _ in range(10):  # also at the moment between the prompt and the wait for an answer
            code, text, echoed, echo_is_on = self.at_a_terminal([(b"present key: ", None)], "rotate-keys", self.path("k"),
                                                                "--passphrase-file", "-")
            self.assertEqual((code, echo_is_on), (130, True), text)
        a = self.encrypt(self.path("k/public.msk"), [1.0], "a")
        code, text, echoed, _ = self.at_a_terminal([(b"of the key: ", typed)], "decrypt", "--key", self.path("k/secret.msk"),
                                                   "--passphrase-file", "-", a, "-o", self.path("a.npy"))
        self.assertEqual(code, 0, text)

    def test_schemes_without_keys(self):
        for scheme, text in (("packed", "keys of its own"), ("pairwise", "keys of its own"), ("plain", "does not encrypt")):
            self.fails(UNSUPPORTED, text, "keygen", "--scheme", scheme, "--keyfile", self.raw, "--out", self.path("k"))
            self.assertFalse(os.path.exists(self.path("k")))
        self.fails(USAGE, "bfv", "keygen", "--scheme", "rot13", "--keyfile", self.raw, "--out", self.path("k"))
        self.fails(PARAMS, "", "keygen", "--clients", 10000, "--bits", 32, "--ring", 1024, "--keyfile", self.raw, "--out",
                   self.path("k"))

    def test_full_disk(self):
        public, secret = self.keygen()
        np.save(self.path("v.npy"), np.zeros(60000))
        a = self.encrypt(public, np.zeros(60000), "a.msc")
        size = os.path.getsize(a)
        os.mkdir(self.path("full"))
        out = self.path("full", "out")
        for limit in (100, size // 2, size - 1):
            def limited():
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            for words in (("encrypt", "--key", public, self.path("v.npy")), ("add", a)):
                r = self.fails(IO, "too large", *words, "-o", out, preexec_fn=limited)
                self.assertEqual(os.listdir(self.path("full")), [], r.stderr)
        def tiny():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        self.fails(IO, "", "keygen", "--keyfile", self.raw, "--out", self.path("full/k"), preexec_fn=tiny)
        self.assertEqual(os.listdir(self.path("full")), [])
        self.fails(IO, "", "rotate-keys", "--keyfile", self.raw, self.path("keys"), preexec_fn=tiny)
        self.decrypt(secret, a)
        self.fails(IO, "", "decrypt", "--key", secret, "--keyfile", self.raw, a, "-o", out + ".npy", preexec_fn=tiny)
        self.assertEqual(os.listdir(self.path("full")), [])


class Rotation(FilesTest):
    def test_an_operators_year(self):
        public, secret = self.keygen()
        at_hospital = shutil.copy(public, self.path("old-public.msk"))
        before = self.encrypt(public, [1, 2, 3], "before.msc")
        self.ok("rotate-keys", self.path("keys"), "--keyfile", self.raw)
        shown = self.ok_json("inspect", public, "--trusted", at_hospital)
        old = ref.read_key(read(at_hospital))
        self.assertEqual(shown["predecessor"], old["key_id"].hex())
        self.assertEqual((shown["chain"], shown["chain_is_whole"]), ([old["key_id"].hex()], True))
        new = ref.read_key(read(public))
        self.assertEqual(new["predecessor_identity"], old["identity"])
        self.assertEqual({**new["spec"]}, {**old["spec"]})
        # what came before opens with the retired half, which the refusal names
        after = self.encrypt(public, [1, 2, 3], "after.msc")
        self.fails(MISMATCH, "retired", "decrypt", "--key", secret, "--keyfile", self.raw, before, "-o", self.path("x"))
        retired = self.path("keys/retired", old["key_id"].hex() + ".secret.msk")
        self.assertEqual(stat.S_IMODE(os.stat(retired).st_mode), 0o600)
        self.assertTrue(np.allclose(self.decrypt(retired, before), [1, 2, 3], atol=1e-5))
        self.assertTrue(np.allclose(self.decrypt(secret, after), [1, 2, 3], atol=1e-5))
        self.fails(MISMATCH, "under the key", "add", before, after, "-o", self.path("x"))
        # the hospital still encrypts under the old one, until it hears
        np.save(self.path("v.npy"), np.ones(2))
        self.ok("encrypt", "--key", at_hospital, self.path("v.npy"), "-o", self.path("1"))
        self.ok("rotate-keys", self.path("keys"), "--keyfile", self.raw, "--revoke", old["key_id"].hex(), "--reason",
                "a laptop was stolen")
        notice, = glob.glob(self.path("keys/*.msr"))
        v = ref.read_revocation(read(notice))
        self.assertEqual((v["key_id"], v["identity"], v["reason"]), (old["key_id"], old["identity"], "a laptop was stolen"))
        self.ok("encrypt", "--key", at_hospital, self.path("v.npy"), "-o", self.path("2"))  # not heard yet
        self.fails(POLICY, "a laptop was stolen", "encrypt", "--key", at_hospital, self.path("v.npy"), "-o",
                   self.path("3"), "--revocations", notice)
        self.fails(POLICY, "a laptop was stolen", "encrypt", "--key", at_hospital, self.path("v.npy"), "-o",
                   self.path("3"), "--revocations", self.path("keys"))
        shutil.copy(notice, self.path("notice.msr"))  # beside the key
        self.fails(POLICY, "revoked on", "encrypt", "--key", at_hospital, self.path("v.npy"), "-o", self.path("3"))
        self.ok("encrypt", "--key", public, self.path("v.npy"), "-o", self.path("4"))
        self.assertFalse(os.path.exists(self.path("3")))
        # opening what was sent before: with a warning, or not at all
        words = ("decrypt", "--key", retired, "--keyfile", self.raw, before, "-o", self.path("b.npy"))
        self.assertIn("warning: the key", self.ok(*words).stderr)
        self.fails(POLICY, "revoked on", *words, "--force", "--refuse-revoked")
        self.assertTrue(self.ok_json("inspect", at_hospital)["revoked"])
        # a damaged notice does not bring the key back
        data = bytearray(read(notice))
        data[150] ^= 1
        write(self.path("notice.msr"), bytes(data))
        self.ok("encrypt", "--key", at_hospital, self.path("v.npy"), "-o", self.path("5"))  # nameless rubbish
        self.fails(FORMAT, "damaged", "encrypt", "--key", at_hospital, self.path("v.npy"), "-o", self.path("6"),
                   "--revocations", self.path("notice.msr"))
        os.rename(self.path("notice.msr"), self.path(os.path.basename(notice)))
        self.fails(FORMAT, "damaged", "encrypt", "--key", at_hospital, self.path("v.npy"), "-o", self.path("6"))
        # a second rotation, with its revocation; the chain has two links, and holds from the first key on
        self.ok("rotate-keys", self.path("keys"), "--keyfile", self.raw, "--revoke-old")
        self.assertEqual(len(glob.glob(self.path("keys/*.msr"))), 2)
        shown = self.ok_json("inspect", public, "--trusted", at_hospital)
        self.assertEqual(len(shown["chain"]), 2)
        # without the link between them, nothing leads back; somebody else's key never does
        alone = shutil.copy(public, self.path("new-public.msk"))
        self.fails(CRYPTO, "no chain", "inspect", alone, "--trusted", at_hospital)
        between, = (p for p in glob.glob(self.path("keys/retired/*.public.msk")) if old["key_id"].hex() not in p)
        self.ok("inspect", alone, between, "--trusted", at_hospital)
        foreign, _ = self.keygen("foreign")
        self.fails(CRYPTO, "no chain", "inspect", foreign, "--trusted", at_hospital)
        self.fails(USAGE, "not a key id", "rotate-keys", self.path("keys"), "--keyfile", self.raw, "--revoke", "12ab")
        self.fails(USAGE, "at a time", "rotate-keys", self.path("keys"), "--rewrap", "--recover")

    def test_killed_in_the_middle(self):
        """kill -9 at some moment of encrypt and rotate-keys, many times: what is there is whole, and goes on working."""
        public, secret = self.keygen()
        np.save(self.path("v.npy"), np.zeros(800000))
        before = self.encrypt(public, [1, 2, 3], "before.msc")
        os.mkdir(self.path("out"))
        killed = 0
        for i in range(12):
            out = self.path("out", f"{i}.msc")
            job = subprocess.Popen([CLI, "encrypt", "--key", public, self.path("v.npy"), "-o", out],
                                   stderr=subprocess.DEVNULL)
            time.sleep(0.004 * (i + 1))
            job.kill()
            killed += job.wait() == -signal.SIGKILL
            if os.path.exists(out):
                self.ok("inspect", out)
        self.assertGreater(killed, 3)
        for i in range(12):
            job = subprocess.Popen([CLI, "rotate-keys", self.path("keys"), "--keyfile", self.raw],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.003 * (i + 1))
            job.kill()
            job.wait()
            halves = glob.glob(self.path("keys/secret.msk")) + glob.glob(self.path("keys/retired/*.secret.msk"))
            ids = {ref.read_key(read(h))["key_id"] for h in halves}
            self.assertIn(ref.read_cipher(read(before))["key_id"], ids)
            self.assertIn(ref.read_key(read(public))["key_id"], ids)
        self.ok("rotate-keys", self.path("keys"), "--recover")
        self.assertEqual(ref.read_key(read(public))["key_id"], ref.read_key(read(secret))["key_id"])
        first = self.path("keys/retired", ref.read_cipher(read(before))["key_id"].hex() + ".secret.msk")
        self.decrypt(first if os.path.exists(first) else secret, before)
        self.decrypt(secret, self.encrypt(public, [4, 5], "x.msc"))
        self.assertEqual(self.partials(self.path("keys")), [])

    def test_stopped_politely(self):
        public, _ = self.keygen()
        np.save(self.path("v.npy"), np.zeros(4000000))
        os.mkdir(self.path("out"))
        job = subprocess.Popen([CLI, "encrypt", "--key", public, self.path("v.npy"), "-o", self.path("out/a")],
                               stderr=subprocess.PIPE, text=True)
        while job.poll() is None and not os.listdir(self.path("out")):
            time.sleep(0.002)
        job.send_signal(signal.SIGTERM)
        text = job.communicate()[1]
        self.assertEqual(job.returncode, 130, text)
        self.assertEqual(os.listdir(self.path("out")), [])


class Golden(FilesTest):
    """Files that an earlier program wrote: every later one reads them (tests/golden, made with the passphrase below)."""

    def test_they_still_open(self):
        phrase = write(self.path("p"), b"a throw-away passphrase\n")
        golden = os.path.join(SOURCE, "tests", "golden")
        for name in (n for n in os.listdir(golden) if not n.endswith(".sh")):
            write(self.path(name), read(os.path.join(golden, name)))
            self.ok("inspect", self.path(name))
        v = np.array([0.5, -0.25, 0.125, 7.5, -8, 0, 3.75])
        for scheme in ("bfv", "ckks", "paillier"):
            public, secret, one, total = (self.path(f"{scheme}-{n}") for n in ("public.msk", "secret.msk", "1.msc", "sum.msc"))
            for source, exact in ((one, v), (total, (2 * v + 6 * v[::-1]) / 8)):
                result = self.ok_json("decrypt", "--key", secret, "--passphrase-file", phrase, source, "-o",
                                      self.path("out.npy"), "--mean", "--force")
                self.assertLessEqual(np.abs(np.load(self.path("out.npy")) - exact).max(), result["error_bound"])
                self.assertLess(result["error_bound"], 1e-2)
            self.assertEqual(ref.read_cipher(read(total))["round"], 12)
        # and they work with what this program makes
        np.save(self.path("v7.npy"), v)
        self.ok("encrypt", "--key", self.path("paillier-public.msk"), self.path("v7.npy"), "-o", self.path("new.msc"))
        self.fails(MISMATCH, "round", "add", self.path("paillier-1.msc"), self.path("new.msc"), "-o", self.path("x.msc"))
        self.fails(MISMATCH, "shapes", "add", self.path("paillier-1.msc"),
                   self.encrypt(self.path("paillier-public.msk"), v.reshape(1, 7), "y.msc", "--round", 12), "-o",
                   self.path("x.msc"))
        self.ok("encrypt", "--key", self.path("paillier-public.msk"), self.path("v7.npy"), "-o", self.path("z.msc"),
                "--round", 12)
        self.ok("add", self.path("paillier-1.msc"), self.path("z.msc"), "-o", self.path("x.msc"))
        self.ok("inspect", self.path("bfv-next.public.msk"), "--trusted", self.path("bfv-public.msk"))
        os.rename(self.path("bfv-revoked.msr"), self.path("elsewhere.msr"))
        self.fails(POLICY, "a sample", "encrypt", "--key", self.path("bfv-public.msk"), self.path("v7.npy"), "-o",
                   self.path("y2.msc"))


class Shown(FilesTest):
    def test_inspect(self):
        public, secret = self.keygen()
        a = self.encrypt(public, np.ones((2, 3)), "a.msc")
        text = self.ok("inspect", public, secret, a).stdout
        key = ref.read_key(read(public))
        for words in ("a public key", "a secret key", "one encrypted vector", key["key_id"].hex(), "shape 2 x 3",
                      "under a key file", "no revocation is at hand"):
            self.assertIn(words, text)
        self.assertIn(" ".join(re.findall("....", key["fingerprint"].hex())), text)
        self.assertEqual([x["kind"] for x in json.loads(self.ok("inspect", "--json", public, secret, a).stdout)],
                         ["public key", "secret key", "ciphertext"])
        self.assertNotIn(ref.read_key(read(secret))["sealed"].hex()[:16], text)
        self.fails(MISSING, "no file", "inspect", self.path("none"))
        self.fails(FORMAT, "neither", "inspect", self.raw)
        self.fails(USAGE, "folder", "inspect", self.path("keys"))

    def test_memory_does_not_grow_with_the_file(self):
        """add holds two chunks, whatever the length: the same peak for 0.2 and for 6 million values."""
        public, _ = self.keygen()
        peaks = []
        for n in (200000, 6000000):
            np.save(self.path("v.npy"), np.zeros(n, dtype=np.float32))
            for name in ("a", "b"):
                self.ok("encrypt", "--key", public, self.path("v.npy"), "-o", self.path(name), "--force")
            job = subprocess.Popen([CLI, "add", self.path("a"), self.path("b"), "-o", self.path("c"), "--force", "--quiet"])
            _, status, usage = os.wait4(job.pid, 0)
            job.returncode = status
            self.assertEqual(status, 0)
            peaks.append(usage.ru_maxrss)
        if not SANITIZED:
            self.assertLess(peaks[1], peaks[0] + 3000)  # KiB; the file is 30 MB longer


if __name__ == "__main__":
    main()
