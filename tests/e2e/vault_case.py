"""What tests of keys and ciphertexts in files share: exit codes, whole files, and the four commands."""
import os

import numpy as np

from common import CliTest

# docs/guide/exit-codes.md
(USAGE, MEMORY, IO, FORMAT, LIMIT, MISMATCH, PARAMS, POLICY, CRYPTO, NUMERIC, DATA, EXISTS, MISSING, SYSTEM,
 UNSUPPORTED) = range(2, 17)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, mode=0o600):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    return path


class VaultCase(CliTest):
    def setUp(self):
        super().setUp()
        self.raw = write(self.path("raw"), os.urandom(48))  # a key file: no Argon2id, so quick

    def keygen(self, name="keys", *words):
        self.ok("keygen", "--keyfile", self.raw, "--out", self.path(name), *words)
        return self.path(name, "public.msk"), self.path(name, "secret.msk")

    def encrypt(self, key, values, out, *words):
        source = self.path("values.npy")
        np.save(source, np.asarray(values))
        self.ok("encrypt", "--key", key, source, "-o", self.path(out), *words)
        return self.path(out)

    def decrypt(self, key, source, *words):
        out = self.path("opened.npy")
        self.ok("decrypt", "--key", key, "--keyfile", self.raw, source, "-o", out, "--force", *words)
        return np.load(out)
