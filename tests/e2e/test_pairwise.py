"""A coordinator of pairwise masking in Python: opens the sum from adverts, uploads and answers alone, by the document."""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from reference import blake, chacha20, x25519

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "pairwise_probe")
if not os.path.exists(PROBE):
    print("skipped: pairwise_probe is not built")
    sys.exit(77)
P = 786433


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def fields(data, width, n):
    number = int.from_bytes(data, "little")
    return [number >> (width * i) & ((1 << width) - 1) for i in range(n)]


def interpolate(points):
    """The value at 0 of the polynomial through (x, y), modulo P."""
    total = 0
    for x, y in points:
        term = y
        for other, _ in points:
            if other != x:
                term = term * other * pow(other - x, -1, P) % P
        total += term
    return total % P


def check(n, t, bits, n_values, n_dropped):
    width = (n * (2 ** bits - 1)).bit_length()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([PROBE, "round", *map(str, (n, t, bits, n_values, n_dropped)), folder], check=True)

        def read(name):
            with open(os.path.join(folder, name), "rb") as file:
                return file.read()

        uploaded = range(n - n_dropped)
        adverts = [read(f"advert.{i}") for i in range(n)]
        uploads = [read(f"upload.{i}") for i in uploaded]
        answers = [read(f"answer.{i}") for i in uploaded]
        values = [struct.unpack(f"<{n_values}I", read(f"values.{i}")) for i in uploaded]
        theirs = struct.unpack(f"<{n_values}Q", read("totals.0"))
    round_id = blake(b"msfl.pairwise.round.v1", b"pairwise_probe".ljust(32, b"\0"), u64(n, t, 2, bits, n_values))
    session = blake(b"msfl.pairwise.roster.v1", round_id, *(u64(140) + a for a in adverts))
    for i, a in enumerate(adverts):
        assert a[:44] == b"MSWA" + struct.pack("<II", 1, i) + round_id and len(a) == 140
    mask_keys = [a[44:76] for a in adverts]
    commitments = [a[108:] for a in adverts]
    total = [0] * n_values
    for i, upload in enumerate(uploads):
        assert upload[:44] == b"MSWU" + struct.pack("<II", 1, i) + session
        assert int.from_bytes(upload[44:76], "little") == 2 ** n - 1
        masked = fields(upload[76:], width, n_values)
        assert masked != list(values[i])
        total = [a + b for a, b in zip(total, masked)]
    shares = {}
    for i, answer in enumerate(answers):
        assert answer[:44] == b"MSWR" + struct.pack("<II", 1, i) + session and len(answer) == 44 + 41 * n
        assert list(answer[44:44 + n]) == [1] * len(uploads) + [2] * n_dropped
        for j in range(n):
            shares[i, j] = fields(answer[44 + n + 40 * j:][:40], 20, 16)

    def subtract(key, sign):
        word = 4 if width <= 32 else 8
        stream = chacha20(key, n_values * word)
        for v in range(n_values):
            total[v] -= sign * int.from_bytes(stream[word * v:word * v + word], "little")

    for j in range(n):
        members = list(uploaded)[-t:]  # others than the program takes
        digits = [interpolate([(i + 1, shares[i, j][d]) for i in members]) for d in range(16)]
        seed = struct.pack("<16H", *digits)
        if j in uploaded:
            assert blake(b"msfl.pairwise.commit.v1", round_id, u64(j, j), seed) == commitments[j]
            subtract(blake(b"msfl.pairwise.self.v1", session, u64(j, j), seed), 1)
            continue
        assert x25519(seed) == mask_keys[j]
        for u in uploaded:
            shared = x25519(seed, mask_keys[u])
            subtract(blake(b"msfl.pairwise.pair.v1", session, u64(min(u, j), max(u, j)), shared), 1 if u < j else -1)
    ours = [v % 2 ** width for v in total]
    assert ours == [sum(column) for column in zip(*values)] == list(theirs)


check(2, 2, 16, 50, 0)
check(5, 3, 24, 100, 2)
check(5, 4, 32, 33, 1)
check(10, 6, 8, 40, 4)
print("ok")
