"""Key, ciphertext and revocation files read from their documentation alone (docs/formats), with nothing but hashlib and
integers: the hashes, the signatures (RFC 8032 by its formulas) and the places of the fields."""
import hashlib
import struct


def blake(label, data, key=b""):
    """BLAKE2b-256 with a label in front; with a key where one is given."""
    label = label.encode()
    return hashlib.blake2b(struct.pack("<Q", len(label)) + label + data, digest_size=32, key=key).digest()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), "cut off"
        self.at += n
        return self.data[self.at - n:self.at]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def f64(self):
        return struct.unpack("<d", self.take(8))[0]

    def text(self):
        return self.take(self.u32()).decode()


def spec(r):
    s = {"scheme": r.take(16).rstrip(b"\0").decode()}
    for name in ("clients", "min_cohort", "bits", "security", "ring"):
        s[name] = r.u32()
    assert r.u32() == 0
    s["values"], s["clip"], s["samples_max"] = r.u64(), r.f64(), r.u64()
    return s


# --- Ed25519, slowly ---

P = 2 ** 255 - 19
L = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - xx) % P == 0, "not a point"
    return P - x if x % 2 != sign else x


def point(data):
    n = int.from_bytes(data, "little")
    y, sign = n % 2 ** 255, n >> 255
    return recover_x(y, sign), y


def plus(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P)


def times(k, a):
    result = (0, 1)
    while k:
        if k & 1:
            result = plus(result, a)
        a, k = plus(a, a), k >> 1
    return result


BASE = (recover_x(4 * pow(5, P - 2, P) % P, 0), 4 * pow(5, P - 2, P) % P)


def signature_holds(public, message, signature):
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return times(s, BASE) == plus(point(signature[:32]), times(h, point(public)))


# --- files ---

def read_key(data):
    assert data[:8] == b"MSFLKEY\0"
    assert data[-32:] == blake("msfl.vault.key-file.v1", data[:-32])
    r = Reader(data[:-32])
    r.take(8)
    k = {"version": r.u32(), "half": r.u32(), "length": r.u64(), "key_id": r.take(16)}
    assert k["version"] == 1 and k["length"] == len(data)
    k["spec"], k["created"], k["identity"] = spec(r), r.u64(), r.take(32)
    adder, body = r.u32(), r.u32()
    assert r.u64() == 0
    k["adder"] = r.take(adder)
    if k["half"] == 2:
        k["predecessor"], k["predecessor_identity"] = r.take(16), r.take(32)
        k["key"] = r.take(body)
        content = data[:r.at]
        own, theirs = r.take(64), r.take(64)
        k["fingerprint"] = blake("msfl.vault.public.v1", content)
        assert signature_holds(k["identity"], k["fingerprint"], own)
        if k["predecessor"] != bytes(16):
            assert signature_holds(k["predecessor_identity"], blake("msfl.vault.successor.v1", content), theirs)
    else:
        assert k["half"] == 3
        k["kdf"], k["passes"], k["memory"], k["salt"], k["nonce"] = r.u32(), r.u32(), r.u64(), r.take(16), r.take(24)
        k["sealed"] = r.take(body)
    assert r.at == len(r.data)
    return k


def read_revocation(data):
    assert data[:8] == b"MSFLREV\0" and len(data) == 296
    assert data[-32:] == blake("msfl.vault.revocation-file.v1", data[:-32])
    r = Reader(data)
    r.take(8)
    assert (r.u32(), r.u32()) == (1, 0)
    v = {"key_id": r.take(16), "identity": r.take(32), "created": r.u64(), "reason": r.take(128).rstrip(b"\0").decode()}
    assert signature_holds(v["identity"], blake("msfl.vault.revocation.v1", data[:r.at]), r.take(64))
    return v


def read_cipher(data):
    """The header, and the chunks, every hash checked."""
    r = Reader(data)
    assert r.take(8) == b"MSFLENC\0"
    c = {"version": r.u32(), "header": r.u32(), "file_id": r.take(16), "label": r.take(32), "n_chunks": r.u64()}
    assert c["version"] == 1
    start = r.at
    c["spec"], c["key_id"], c["n_values"], c["round"] = spec(r), r.take(16), r.u64(), r.u64()
    c["adder"] = r.take(r.u32())
    kind = r.u32()
    if kind == 1:
        c["shape"] = tuple(r.u64() for _ in range(r.u32()))
    else:
        assert kind == 2
        c["yaml"] = r.text()
        c["classes"] = [r.text() for _ in range(r.u32())]
        c["normalise"] = r.text() if r.u32() else None
    assert c["label"] == blake("msfl.vault.label.v1", data[start:r.at])
    c["addends"] = [r.take(16) for _ in range(r.u32())]
    head = blake("msfl.vault.header.v1", data[:r.at])
    assert r.take(32) == head and r.at == c["header"]
    key = blake("msfl.vault.chunks.v1", head)
    c["chunks"], hashes = [], b""
    for j in range(c["n_chunks"]):
        at = r.at
        assert r.u64() == j
        length = r.u32()
        assert r.u32() == 0
        c["chunks"].append(r.take(length))
        chunk_hash = blake("msfl.vault.chunk.v1", data[at:r.at], key)
        assert r.take(32) == chunk_hash
        hashes += chunk_hash
    at = r.at
    assert r.take(8) == b"MSFLEND\0" and r.u64() == c["n_chunks"] and r.u64() == len(data)
    end = blake("msfl.vault.end.v1", hashes + data[at:r.at], key)
    assert r.take(32) == end
    assert r.at == len(data)
    return c
