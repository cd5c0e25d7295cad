"""What tests of the readers share: files written into a folder, and what `medsecurefl data inspect` says of each."""
import hashlib
import json
import os
import struct
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

from common import SANITIZED, CliTest, run


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
