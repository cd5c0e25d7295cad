"""What an attacker, a full disk or a power cut may try on keys and ciphertexts, through the command line."""
import glob
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vault_reference as ref
from common import CLI, SANITIZED, main, run
from vault_case import (CRYPTO, EXISTS, FORMAT, IO, LIMIT, MISMATCH, MISSING, PARAMS, POLICY, UNSUPPORTED, VaultCase, read,
                        write)

REFUSALS = (FORMAT, LIMIT, MISMATCH, POLICY, CRYPTO, UNSUPPORTED, PARAMS)


class Attack(VaultCase):
    def encrypt(self, key, values, out):
        return super().encrypt(key, np.asarray(values, dtype=np.float32), out)


class Outputs(Attack):
    def test_a_key_is_never_an_output(self):
        public, secret = self.keygen()
        a = self.encrypt(public, np.ones(5), "a.msc")
        np.save(self.path("v.npy"), np.ones(5))
        link = self.path("link")
        os.symlink(secret, link)
        for target in (public, secret, link):
            before = read(target)
            for words in (("encrypt", "--key", public, self.path("v.npy")), ("add", a),
                          ("decrypt", "--key", secret, "--keyfile", self.raw, a)):
                self.fails(EXISTS, "is a key", *words, "-o", target, "--force")
                self.assertEqual(read(target), before)

    def test_links_as_outputs(self):
        """An output replaces a link and does not write through it."""
        public, _ = self.keygen()
        victim, link = write(self.path("victim"), b"precious"), self.path("out.msc")
        np.save(self.path("v.npy"), np.ones(5))
        os.symlink(victim, link)
        words = ("encrypt", "--key", public, self.path("v.npy"), "-o", link)
        self.fails(EXISTS, "already there", *words)
        self.ok(*words, "--force")
        self.assertEqual(read(victim), b"precious")
        self.assertFalse(os.path.islink(link))
        os.symlink("/nowhere/at/all", self.path("dangling"))  # a link to nothing is something
        self.fails(EXISTS, "already there", *words[:-1], self.path("dangling"))
        os.mkfifo(self.path("pipe"))  # nor does a pipe keep anyone waiting
        for pipe in (("inspect", self.path("pipe")), ("add", self.path("pipe"), "-o", self.path("x")),
                     ("encrypt", "--key", self.path("pipe"), self.path("v.npy"), "-o", self.path("x"))):
            self.assertNotEqual(run(*pipe, timeout=60).returncode, 0)

    def test_modes_under_any_umask(self):
        for mask in (0, 0o077, 0o777):
            folder = self.path(f"keys{mask}")
            os.mkdir(folder, 0o700)
            r = subprocess.run([CLI, "keygen", "--keyfile", self.raw, "--out", folder], capture_output=True,
                               preexec_fn=lambda m=mask: os.umask(m) and None, stdin=subprocess.DEVNULL)
            secret = os.path.join(folder, "secret.msk")
            if os.geteuid() != 0 and mask == 0o777:
                continue  # its own public half is not readable then
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertEqual(stat.S_IMODE(os.stat(secret).st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, "public.msk")).st_mode) & 0o022, 0)

    @unittest.skipIf(os.geteuid() != 0, "only root may mount")
    def test_full_disk_at_every_size(self):
        """A disk that is full at one moment or another: named, nothing half under its name, and no key lost."""
        disk = self.path("disk")
        os.mkdir(disk)

        def mount(kib):
            return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=700", "msfl-test", disk],
                                  capture_output=True).returncode == 0

        if not mount(64):
            self.skipTest("mounting is not possible here")
        subprocess.run(["umount", disk], check=True)
        self.keygen()
        size = sum(os.path.getsize(p) for p in glob.glob(self.path("keys/*"))) // 1024
        for kib in (4, size, size + 64, 2 * size, 3 * size + 64):
            self.assertTrue(mount(kib))
            try:
                keys = os.path.join(disk, "keys")
                made = run("keygen", "--keyfile", self.raw, "--out", keys)
                self.assertIn(made.returncode, (0, IO), made.stderr)
                if made.returncode != 0:
                    self.assertEqual([n for _, _, names in os.walk(disk) for n in names], [])
                    continue
                first = ref.read_key(read(keys + "/public.msk"))["key_id"]
                for _ in range(3):
                    done = run("rotate-keys", keys, "--keyfile", self.raw)
                    self.assertIn(done.returncode, (0, IO), done.stderr)
                    halves = [keys + "/secret.msk"] + glob.glob(keys + "/retired/*.secret.msk")
                    ids = {ref.read_key(read(h))["key_id"] for h in halves}
                    self.assertIn(first, ids)
                    self.assertIn(ref.read_key(read(keys + "/public.msk"))["key_id"], ids)
                    self.assertEqual([n for n in os.listdir(keys) if ".partial-" in n or n.endswith(".next")], [])
                np.save(self.path("v.npy"), np.ones(100000))
                out = os.path.join(disk, "out.msc")
                if run("encrypt", "--key", keys + "/public.msk", self.path("v.npy"), "-o", out).returncode == 0:
                    self.ok("inspect", out)
                else:
                    self.assertFalse(os.path.exists(out))
            finally:
                subprocess.run(["umount", disk], check=True)


class Memory(Attack):
    @unittest.skipIf(shutil.which("setpriv") is None or os.geteuid() != 0 or SANITIZED, "needs setpriv, as root")
    def test_memory_that_is_not_locked_is_told(self):
        """As somebody without the right to lock memory; one with it is told nothing."""
        public, secret = self.keygen()
        a = self.encrypt(public, np.ones(5), "a.msc")
        words = ["decrypt", "--key", secret, "--keyfile", self.raw, a, "-o", self.path("o"), "--force"]
        without = ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock", "sh", "-c",
                   'ulimit -l 0 && exec "$@"', "sh", CLI]
        r = subprocess.run([*without, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("did not lock", r.stderr)
        r = subprocess.run([*without, "rotate-keys", self.path("keys"), "--keyfile", self.raw], capture_output=True,
                           text=True, stdin=subprocess.DEVNULL)
        self.assertIn("did not lock", r.stderr)

    def test_no_secret_in_arguments_or_environment(self):
        """What other processes see of a decryption at work: no passphrase; and its memory is closed to them."""
        word = "a passphrase that nobody else may see"
        p = write(self.path("p"), word.encode() + b"\n")
        self.ok("keygen", "--passphrase-file", p, "--out", self.path("keys"))
        a = self.encrypt(self.path("keys/public.msk"), np.ones(5), "a.msc")
        job = subprocess.Popen([CLI, "decrypt", "--key", self.path("keys/secret.msk"), "--passphrase-file", p, a, "-o",
                                self.path("o")], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        seen, limits = b"", ""
        while job.poll() is None:
            try:
                seen += read(f"/proc/{job.pid}/cmdline") + read(f"/proc/{job.pid}/environ")
                limits = read(f"/proc/{job.pid}/limits").decode() or limits
            except OSError:
                pass
        self.assertEqual(job.returncode, 0, job.stderr.read())
        job.stderr.close()
        self.assertNotIn(word.encode(), seen)
        core = next(line for line in limits.splitlines() if line.startswith("Max core"))
        self.assertEqual(core.split()[4:6], ["0", "0"])


class Kills(Attack):
    """kill -9 at random moments of everything that writes."""

    def killed(self, seconds, *words):
        job = subprocess.Popen([CLI, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        job.kill()
        return job.wait()

    def secrets_are_private(self, folder):
        for path in glob.glob(folder + "/**/*", recursive=True):
            if "secret" in os.path.basename(path):
                self.assertEqual(stat.S_IMODE(os.lstat(path).st_mode) & 0o077, 0, path)

    def test_keygen_add_decrypt(self):
        rng = random.Random(os.urandom(8))
        public, secret = self.keygen()
        files = [self.encrypt(public, np.full(400000, i + 1), f"{i}.msc") for i in range(3)]
        killed, rounds = 0, 8
        for i in range(rounds):
            folder = self.path(f"k{i}")
            killed += self.killed(rng.uniform(0, 0.05), "keygen", "--keyfile", self.raw, "--out",
                                  folder) == -signal.SIGKILL
            self.secrets_are_private(folder)
            if os.path.exists(folder + "/public.msk"):  # the secret half was there first
                self.assertEqual(ref.read_key(read(folder + "/public.msk"))["key_id"],
                                 ref.read_key(read(folder + "/secret.msk"))["key_id"])
            again = run("keygen", "--keyfile", self.raw, "--out", folder)
            self.assertIn(again.returncode, (0, EXISTS), again.stderr)
            self.assertEqual(ref.read_key(read(folder + "/public.msk"))["key_id"],
                             ref.read_key(read(folder + "/secret.msk"))["key_id"])
            self.assertEqual([n for n in os.listdir(folder) if n not in ("public.msk", "secret.msk")], [])
            shutil.rmtree(folder)
            out = self.path(f"s{i}.msc")
            killed += self.killed(rng.uniform(0, 0.08), "add", *files, "-o", out) == -signal.SIGKILL
            if os.path.exists(out):
                self.assertTrue(np.allclose(self.decrypt(secret, out), 6, atol=1e-5))
                os.remove(out)
            out = self.path(f"d{i}.npy")
            killed += self.killed(rng.uniform(0, 0.08), "decrypt", "--key", secret, "--keyfile", self.raw, files[1],
                                  "-o", out) == -signal.SIGKILL
            if os.path.exists(out):
                self.assertTrue(np.allclose(np.load(out), 2, atol=1e-5))
                os.remove(out)
        self.assertGreater(killed, rounds // 4)

    def test_rewrap(self):
        """The same secret, sealed in the old way or in the new one, and never in none."""
        rng = random.Random(os.urandom(8))
        public, secret = self.keygen()
        a = self.encrypt(public, [1, 2, 3], "a.msc")
        other = write(self.path("raw2"), os.urandom(48))
        for _ in range(15):
            self.killed(rng.uniform(0, 0.02), "rotate-keys", self.path("keys"), "--rewrap", "--keyfile", self.raw,
                        "--new-keyfile", other)
            self.secrets_are_private(self.path("keys"))
            if run("decrypt", "--key", secret, "--keyfile", self.raw, a, "-o", self.path("o"), "--force").returncode:
                self.raw, other = other, self.raw
            self.assertTrue(np.allclose(self.decrypt(secret, a), [1, 2, 3], atol=1e-5))

    def test_two_at_once(self):
        """Commands on one folder at the same moment: some are refused, and no key is lost."""
        public, _ = self.keygen()
        ids, codes = {ref.read_key(read(public))["key_id"]}, []

        def work(words):
            for _ in range(6):
                codes.append(run(*words).returncode)

        keys = self.path("keys")
        jobs = [("rotate-keys", keys, "--keyfile", self.raw)] * 2 + [
            ("rotate-keys", keys, "--rewrap", "--keyfile", self.raw, "--new-keyfile", self.raw),
            ("rotate-keys", keys, "--recover"), ("keygen", "--keyfile", self.raw, "--out", keys)]
        threads = [threading.Thread(target=work, args=(w,)) for w in jobs]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            ids.add(ref.read_key(read(public))["key_id"])  # whoever reads now may encrypt under it
        for t in threads:
            t.join()
        self.assertLessEqual(set(codes), {0, EXISTS})
        halves = [keys + "/secret.msk"] + glob.glob(keys + "/retired/*.secret.msk")
        have = {ref.read_key(read(h))["key_id"] for h in halves}
        self.assertLessEqual(ids, have)
        self.assertGreater(len(have), 1)


class Forgeries(Attack):
    def test_a_chain_through_a_stolen_key(self):
        """A thief's successor has a chain of signatures that holds; that the key was revoked is shown with it."""
        public, _ = self.keygen()
        old = shutil.copy(public, self.path("old.msk"))
        stolen = shutil.copytree(self.path("keys"), self.path("stolen"))
        self.ok("rotate-keys", self.path("keys"), "--keyfile", self.raw, "--revoke-old")
        notice, = glob.glob(self.path("keys/*.msr"))
        self.ok("rotate-keys", stolen, "--keyfile", self.raw)
        forged = shutil.copy(os.path.join(stolen, "public.msk"), self.path("forged.msk"))
        revoked = ref.read_key(read(old))["key_id"].hex()
        for key in (forged, public):  # signatures alone tell them not apart: two successors of one key
            r = self.ok_json("inspect", key, "--trusted", old, "--revocations", notice)
            self.assertEqual((r["chain"], r["chain_revoked"], r["revoked"]), ([revoked], [revoked], False))
            text = self.ok("inspect", key, "--trusted", old, "--revocations", notice).stdout
            self.assertIn("REVOKED", text)
            self.assertIn("compare the fingerprint", text)
        self.assertEqual(self.ok_json("inspect", forged, "--trusted", old)["chain_revoked"], [])  # not heard yet
        shutil.copy(notice, self.path("notice.msr"))  # beside the keys
        self.assertEqual(self.ok_json("inspect", forged, "--trusted", old)["chain_revoked"], [revoked])

    def test_mutations(self):
        """Bytes changed at random in keys, revocations and ciphertexts, the plain hashes made right again: an error with
        a name, within a moment, and no output."""
        rng = random.Random(20)
        public, secret = self.keygen("keys", "--clients", "3", "--values", "100")
        a = self.encrypt(public, np.linspace(-1, 1, 50), "a.msc")
        key_id = ref.read_key(read(public))["key_id"].hex()
        self.ok("rotate-keys", self.path("keys"), "--keyfile", self.raw, "--revoke", key_id)
        notice, = glob.glob(self.path("keys/*.msr"))
        os.rename(notice, self.path("n.msr"))
        bad, out = self.path("bad"), self.path("out")
        keys, sealed, cipher, revoked = map(read, (public, secret, a, self.path("n.msr")))
        head = struct.unpack_from("<I", cipher, 12)[0]

        def changed(data, begin, end):
            data = bytearray(data)
            for _ in range(rng.choice((1, 1, 2, 8))):
                at = rng.randrange(begin, end)
                data[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, data[at] ^ 1 << rng.randrange(8)))
            return bytes(data)

        for _ in range(12 if SANITIZED else 35):
            m = changed(keys, 0, rng.choice((160, 300, len(keys))))
            m = m[:-32] + ref.blake("msfl.vault.key-file.v1", m[:-32])
            if m != keys:
                write(bad, m)
                r = run("encrypt", "--key", bad, self.path("values.npy"), "-o", out, timeout=60)
                self.assertIn(r.returncode, REFUSALS, r.stderr)
            m = changed(sealed, 0, rng.choice((160, 300, len(sealed))))
            m = m[:-32] + ref.blake("msfl.vault.key-file.v1", m[:-32])
            if m != sealed:
                write(bad, m)
                r = run("decrypt", "--key", bad, "--keyfile", self.raw, a, "-o", out, timeout=60)
                self.assertIn(r.returncode, REFUSALS, r.stderr)
            m = changed(revoked, 0, len(revoked))
            m = m[:-32] + ref.blake("msfl.vault.revocation-file.v1", m[:-32])
            if m != revoked:
                write(bad, m)
                self.assertIn(run("inspect", bad, timeout=60).returncode, REFUSALS)
            m = changed(cipher[:head - 32], 0, head - 32)
            if m != cipher[:head - 32]:
                write(bad, m + ref.blake("msfl.vault.header.v1", m) + cipher[head:])
                for words in (("add", bad), ("decrypt", "--key", secret, "--keyfile", self.raw, bad)):
                    r = run(*words, "-o", out, timeout=60)
                    self.assertIn(r.returncode, REFUSALS, r.stderr)
            self.assertFalse(os.path.exists(out))

    def test_an_escape_in_a_name_does_not_reach_the_terminal(self):
        for name in ("a\x1b[2J", "a\u009b2J", b"a\x9b2J", "a\u202egpj.exe"):
            r = subprocess.run([CLI, "inspect", name], capture_output=True, stdin=subprocess.DEVNULL)
            self.assertEqual(r.returncode, MISSING)
            for bad in (b"\x1b", b"\x9b", "\u202e".encode()):
                self.assertNotIn(bad, r.stderr)


if __name__ == "__main__":
    main()
