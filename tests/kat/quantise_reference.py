"""Stochastic rounding as docs/design/encoding.md defines it, in exact fractions. Shares nothing with the C code: AES is
packed_reference's, BLAKE2b Python's own, and the two roundings to double are done on fractions.

    /usr/bin/python3 tests/kat/quantise_reference.py     prints what tests/unit/update/test_quantise.c expects
"""
import hashlib
import os
import struct
import sys
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import packed_reference as ref  # noqa: E402


def nearest(x, unit):
    """x to a multiple of unit, ties to even."""
    n = x / unit
    low = n.numerator // n.denominator
    rest = n - low
    return (low + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and low % 2 == 1))) * unit


def double(x):
    """The double nearest to a fraction (none here is near the ends of the range of exponents)."""
    if x == 0:
        return Fraction(0)
    e = abs(x.numerator).bit_length() - x.denominator.bit_length()
    while abs(x) >= Fraction(2) ** (e + 1):
        e += 1
    while abs(x) < Fraction(2) ** e:
        e -= 1
    return nearest(x, Fraction(2) ** (e - 52))


def scale_of(bits, clip, n_samples, n_max):
    half = Fraction(2 ** bits - 1, 2)
    s = double(double(half * double(Fraction(n_samples, n_max))) / clip)
    while double(clip * s) > half:  # one unit in the last place down
        e = s.numerator.bit_length() - s.denominator.bit_length()
        unit = Fraction(2) ** (e - 52 - (s < Fraction(2) ** e))
        s -= unit if s > Fraction(2) ** (e - (s < Fraction(2) ** e)) else unit / 2
    return s


def words_of(seed, n_groups):
    domain = b"msfl.update.rounding.v2"
    h = hashlib.blake2b(struct.pack("<Q", len(domain)) + domain + struct.pack("<Q", seed), digest_size=32)
    stream = ref.aes128_ctr(h.digest()[:16], bytes(16), 64 * n_groups)
    return struct.unpack(f"<{16 * n_groups}I", stream)


def digits(value, bits):
    return [value >> (bits * d) & (2 ** bits - 1) for d in range(-(-35 // bits))]


def slots(bits, clip, n_samples, n_max, seed, values, counters=()):
    """clip and values: floats as fractions. All slots of a layout of one range."""
    f = min(32, 52 - bits)
    s, half = scale_of(bits, clip, n_samples, n_max), Fraction(2 ** bits - 1, 2)
    out = [d for c in (n_samples, *counters) for d in digits(c, bits)]
    words = words_of(seed, (len(out) + len(values) + 31) // 32)
    for x in values:
        slot = len(out)
        lane = slot % 32
        w = words[slot // 32 * 16 + 2 * (lane % 8) + lane // 8 % 2]
        if lane >= 16:
            w = (w << 16 | w >> 16) & 0xffffffff
        c = max(-clip, min(clip, x))
        y = nearest(double(c * s) + half, Fraction(1, 2 ** f))
        # The bound on the bias that the design document states, here for the true weight as well.
        assert abs(y - half * (1 + Fraction(n_samples, n_max) * c / clip)) <= (
            Fraction(1, 2 ** 31) if bits <= 20 else Fraction(2) ** (bits - 50))
        m = (y * 2 ** f + w % 2 ** f) // 2 ** f
        assert 0 <= m < 2 ** bits and abs(m - y) < 1
        out.append(int(m))
    return out


def layout_hash(bits, n_max, clips, lengths, n_counters):
    domain = b"msfl.update.layout.v1"
    h = hashlib.blake2b(struct.pack("<Q", len(domain)) + domain, digest_size=32)
    h.update(struct.pack("<5Q", bits, n_counters, -(-35 // bits), n_max, len(clips)))
    for clip, n in zip(clips, lengths):
        h.update(struct.pack("<Q", n) + struct.pack("<fI", clip, 0))
    return h.hexdigest()


if __name__ == "__main__":
    print(slots(11, Fraction(3, 4), 3, 4, 42, [Fraction(i - 32, 32) for i in range(64)], [123456789]))
    print(layout_hash(11, 4, [0.75], [64], 2))
