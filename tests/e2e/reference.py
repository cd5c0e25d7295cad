"""Primitives for checks that share no code with the program, slow and plain. BLAKE2b is Python's own."""
import hashlib
import struct


def blake(domain, *parts):
    """BLAKE2b-256 with the domain in front, its length first."""
    h = hashlib.blake2b(digest_size=32)
    h.update(struct.pack("<Q", len(domain)) + domain)
    for part in parts:
        h.update(part)
    return h.digest()


def chacha20(key, length):
    """RFC 8439's block function with the original 64-bit counter and a nonce of zero."""
    def rotate(v, n):
        return (v << n | v >> (32 - n)) & 0xffffffff

    out = b""
    for block in range((length + 63) // 64):
        start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key)) + [block, 0, 0, 0]
        x = start[:]
        for _ in range(10):
            for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                               (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                for s, t, u, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    x[s] = (x[s] + x[t]) & 0xffffffff
                    x[u] = rotate(x[u] ^ x[s], n)
        out += struct.pack("<16I", *((i + j) & 0xffffffff for i, j in zip(x, start)))
    return out[:length]


def x25519(secret, public=(9).to_bytes(32, "little")):
    """RFC 7748, section 5: the Montgomery ladder."""
    p = 2 ** 255 - 19
    k = int.from_bytes(secret, "little") & (2 ** 255 - 8) & ~(1 << 255) | 1 << 254
    u = (int.from_bytes(public, "little") & (2 ** 255 - 1)) % p
    x1, x2, z2, x3, z3, swap = u, 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % p, x1 * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


# RFC 7748, section 5.2, first vector; RFC 8439, section 2.3.2 has another nonce, so ChaCha20 is checked by what it opens.
assert x25519(bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
              bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")).hex() == (
    "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
