"""The ckks scheme in Python's integers, from docs/design/ckks.md alone: opens what the program encrypted, checks its
keys, and encrypts what the program opens."""
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

import numpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kat"))
from packed_reference import SBOX, T0, T1, T2, T3, aes128_ctr, bit_reverse, from_values, multiply, root_2n
from reference import blake

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "ckks_probe")
if not os.path.exists(PROBE):
    print("skipped: ckks_probe is not built")
    sys.exit(77)
MAGIC = b"MSFLCKS1"


def field(data):
    return struct.pack("<Q", len(data)) + data


# --- AES-256 in counter mode from zero ---

def aes256_ctr(key, length):
    words, rcon = [int.from_bytes(key[i:i + 4], "big") for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        t = words[-1]
        if i % 8 == 0:
            t = (t << 8 | t >> 24) & 0xffffffff
        if i % 4 == 0:
            t = sum(SBOX[t >> s & 0xff] << s for s in (0, 8, 16, 24))
        if i % 8 == 0:
            t ^= rcon << 24
            rcon *= 2
        words.append(words[i - 8] ^ t)
    out = bytearray()
    for counter in range((length + 15) // 16):
        s = [counter >> (96 - 32 * i) & 0xffffffff ^ words[i] for i in range(4)]
        for r in range(1, 14):
            s = [T0[s[i] >> 24] ^ T1[s[(i + 1) % 4] >> 16 & 0xff] ^ T2[s[(i + 2) % 4] >> 8 & 0xff]
                 ^ T3[s[(i + 3) % 4] & 0xff] ^ words[4 * r + i] for i in range(4)]
        for i in range(4):
            w = sum(SBOX[s[(i + k) % 4] >> (24 - 8 * k) & 0xff] << (24 - 8 * k) for k in range(4))
            out += (w ^ words[56 + i]).to_bytes(4, "big")
    return bytes(out[:length])


assert aes256_ctr(bytes(32), 16).hex() == "dc95c078a2408989ad48a21492842087"  # AESAVS, appendix E: AES-256, all zero


# --- objects ---

class Context:
    def __init__(self, key):
        """Parameters from the bytes of any key."""
        self.raw = key[64:64 + 184]
        head = struct.unpack("<10I2d16Q", self.raw)
        self.n, self.levels, self.base, self.step, self.special, self.security = head[:6]
        self.addends, self.bits, self.flood, self.releases, self.scale, self.value_max = head[6:12]
        self.primes = head[12:12 + self.levels + self.special]
        assert not any(head[12 + len(self.primes):])
        self.fingerprint = blake(b"msfl.rlwe.params.v1", field(MAGIC), field(self.raw))[:16]

    def header(self, data, kind):
        assert data[:8] == MAGIC and data[24:40] == self.fingerprint
        assert struct.unpack("<IIQ", data[8:24]) == (1, kind, len(data))
        return data[40:56], struct.unpack("<Q", data[56:64])[0]

    def stream_key(self, purpose, seed, number):
        return blake(b"msfl.rlwe.stream.v1", field(MAGIC), field(purpose), self.fingerprint, seed,
                     struct.pack("<Q", number))

    def small(self, purpose, seed, number):
        """N coins counted: blocks of 32 coefficients in 6 groups of 32 bytes."""
        stream, out = aes256_ctr(self.stream_key(purpose, seed, number), 6 * self.n), []
        for at in range(0, 6 * self.n, 192):
            for i in range(32):
                group = [stream[at + 32 * k + i] for k in range(6)]
                group[5] &= 3
                out.append(sum(bin(b).count("1") for b in group) - 21)
        return out

    def secret(self, seed):
        draw = 0
        while True:
            s = self.small(b"s", seed, draw)
            if sum(x * x for x in s) <= 12 * self.n:
                return s
            draw += 1

    def uniform(self, seed, i):
        """Coefficients of the public polynomial of a seed modulo prime i."""
        p, key = self.primes[i], self.stream_key(b"a", seed, 0)[:16]
        width, values, at = (p.bit_length() + 7) // 8, [], 0
        stream = aes128_ctr(key, struct.pack("<I12x", i), width * (self.n + 1000))
        while len(values) < self.n:
            v = int.from_bytes(stream[at:at + width], "little") & (1 << p.bit_length()) - 1
            at += width
            if v < p:
                values.append(v)
        return from_values(values, p)

    def planes(self, data, count):
        """Coefficients modulo each of the first `count` primes, and the rest of the bytes."""
        out = []
        for p in self.primes[:count]:
            bits, length = p.bit_length(), (self.n * p.bit_length() + 7) // 8
            values, mask = [], (1 << bits) - 1
            for at in range(0, length, bits):  # eight values
                group = int.from_bytes(data[at:at + bits], "little")
                values += [group >> bits * i & mask for i in range(8)]
            assert max(values) < p and length * 8 == bits * self.n
            out.append(from_values(values, p))
            data = data[length:]
        return out, data

    def lift(self, rows):
        """The integer polynomial of least magnitude with these coefficients modulo the first primes."""
        primes = self.primes[:len(rows)]
        q = math.prod(primes)
        weights = [q // p * pow(q // p, -1, p) for p in primes]
        out = [sum(r * w for r, w in zip(column, weights)) % q for column in zip(*rows)]
        return [x - q if x > q // 2 else x for x in out]

    def phase(self, data, s):
        """(c0 - c1 s as integers, the fields of the ciphertext)."""
        known = struct.unpack("<4I5d", data[64:120])
        level, seeded = known[3], known[2] & 1
        c0, rest = self.planes(data[120:], level)
        if seeded:
            assert len(rest) == 32
            c1 = [self.uniform(rest, i) for i in range(level)]
        else:
            c1, rest = self.planes(rest, level)
            assert not rest
        rows = []
        for p, a, b in zip(self.primes, c0, c1):
            product = multiply(b, [x % p for x in s], p)
            rows.append([(x - y) % p for x, y in zip(a, product)])
        return self.lift(rows), known

    def at_roots(self, m):
        """m(zeta^(2 t + 1)) for all t."""
        zeta = numpy.exp(1j * numpy.pi * numpy.arange(self.n) / self.n)
        return numpy.fft.ifft(numpy.array([float(x) for x in m]) * zeta) * self.n

    def slots(self, m):
        """m(zeta^(5^j)) for j below N / 2."""
        values = self.at_roots(m)
        return values[[(pow(5, j, 2 * self.n) - 1) // 2 for j in range(self.n // 2)]]

    def positions(self, m):
        """m(zeta^(4 brv(k) + 1)) for k below N / 2."""
        values, bits = self.at_roots(m), (self.n // 2).bit_length() - 1
        return values[[2 * bit_reverse(k, bits) for k in range(self.n // 2)]]

    def is_short(self, e):
        return sum(x * x for x in e) <= 12 * self.n and max(abs(self.at_roots(e))) ** 2 <= 168 * self.n


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def open_secret(folder):
    data = read(folder, "secret")
    ctx = Context(data)
    key_id, number = ctx.header(data, 1)
    seed = data[248:]
    assert number == 0 and len(seed) == 32
    assert key_id == blake(b"msfl.rlwe.keyid.v1", field(MAGIC), ctx.fingerprint, seed)[:16]
    s = ctx.secret(seed)
    assert ctx.is_short(s)
    return ctx, key_id, s


def check_public(ctx, key_id, s, data):
    assert ctx.header(data, 2) == (key_id, 0) and data[64:248] == ctx.raw
    b, rest = ctx.planes(data[280:], ctx.levels)
    assert not rest
    rows = []
    for i, p in enumerate(ctx.primes[:ctx.levels]):
        a_s = multiply(ctx.uniform(data[248:280], i), [x % p for x in s], p)
        rows.append([(x - y) % p for x, y in zip(b[i], a_s)])
    assert ctx.is_short(ctx.lift(rows))


def check_switch(ctx, s, t, data):
    """b_i - a_i s = e_i + P t modulo prime i, e_i modulo all others. Returns what stands behind."""
    seeds, data = data[:32 * ctx.levels], data[32 * ctx.levels:]
    for i in range(ctx.levels):
        b, data = ctx.planes(data, ctx.levels + 1)
        rows = []
        for j, p in enumerate(ctx.primes):
            a_s = multiply(ctx.uniform(seeds[32 * i:32 * i + 32], j), [x % p for x in s], p)
            on_top = [ctx.primes[-1] * x if i == j else 0 for x in t]
            rows.append([(x - y - z) % p for x, y, z in zip(b[j], a_s, on_top)])
        assert ctx.is_short(ctx.lift(rows))
    return data


def substitute(s, g):
    """s(x^g)"""
    n, out = len(s), [0] * len(s)
    for k, x in enumerate(s):
        to = k * g % (2 * n)
        out[to % n] = x if to < n else -x
    return out


def check_sums(n, bits, n_values, singles):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([PROBE, "sums", str(n), str(bits), str(n_values), folder], check=True)
        ctx, key_id, s = open_secret(folder)
        assert ctx.bits == bits and ctx.addends == n and ctx.special == 0

        def opened(name, addends):
            data = read(folder, name)
            assert ctx.header(data, 3) == (key_id, 3)
            m, known = ctx.phase(data, s)
            assert known[0] == n_values and known[1] == addends and known[2] & 2 and known[4:] == (0,) * 5
            z = ctx.positions(m) / ctx.scale
            parts = numpy.concatenate([z.real, z.imag])
            whole = numpy.rint(parts)
            assert max(abs(parts - whole)) < 0.499 and not any(whole[n_values:])
            return [int(x) + addends * 2 ** (bits - 1) for x in whole[:n_values]]

        values = [list(struct.unpack(f"<{n_values}I", read(folder, f"values.{i}"))) for i in range(n)]
        for i in range(singles):
            assert opened(f"ct.{i}", 1) == values[i]
        totals = opened("sum", n)
        assert totals == [sum(c) for c in zip(*values)] == list(struct.unpack(f"<{n_values}Q", read(folder, "totals")))


def pack_values(ctx, i, coefficients):
    """The values of a polynomial modulo prime i, packed: value k at psi^(2 brv(k) + 1)."""
    p, n = ctx.primes[i], ctx.n
    psi, bits = root_2n(p, n), n.bit_length() - 1

    def dft(x, root):
        if len(x) == 1:
            return x
        even, odd, half, w = dft(x[::2], root * root % p), dft(x[1::2], root * root % p), len(x) // 2, 1
        out = [0] * len(x)
        for j in range(half):
            out[j], out[j + half] = (even[j] + odd[j] * w) % p, (even[j] - odd[j] * w) % p
            w = w * root % p
        return out

    twist, twisted = 1, []
    for c in coefficients:
        twisted.append(c * twist % p)
        twist = twist * psi % p
    natural = dft(twisted, psi * psi % p)
    number = 0
    for k in reversed(range(n)):
        number = number << p.bit_length() | natural[bit_reverse(k, bits)]
    return number.to_bytes((n * p.bit_length() + 7) // 8, "little")


def encode(ctx, z, scale):
    """round(1 / n sum_j (z_j zeta^(-5^j k) + its conjugate) scale / 2) for all k: the inverse of `slots`."""
    values = numpy.zeros(ctx.n, dtype=complex)
    for j, x in enumerate(z):
        power = pow(5, j, 2 * ctx.n)
        values[(power - 1) // 2] = x
        values[(2 * ctx.n - power - 1) // 2] = x.conjugate()
    zeta = numpy.exp(-1j * numpy.pi * numpy.arange(ctx.n) / ctx.n)
    return [int(round(x)) for x in (numpy.fft.fft(values) / ctx.n * zeta).real * scale]


def encrypt(ctx, key_id, s, m, z_max):
    """A ciphertext in full form, from randomness of our own."""
    draw = random.Random(5)
    e = [sum(draw.getrandbits(1) for _ in range(42)) - 21 for _ in range(ctx.n)]
    c0, c1 = b"", b""
    for i, p in enumerate(ctx.primes[:ctx.levels]):
        a = [draw.randrange(p) for _ in range(ctx.n)]
        a_s = multiply(a, [x % p for x in s], p)
        c1 += pack_values(ctx, i, a)
        c0 += pack_values(ctx, i, [(x + y + w) % p for x, y, w in zip(a_s, e, m)])
    noise = 16 * math.sqrt(10.5 * ctx.n)
    fixed = struct.pack("<4I5d", ctx.n // 2, 1, 0, ctx.levels, ctx.scale, noise, ctx.n / 2 + 1, z_max, 1)
    body = fixed + c0 + c1
    return (MAGIC + struct.pack("<IIQ", 1, 3, 64 + len(body)) + ctx.fingerprint + key_id + struct.pack("<Q", 1)) + body


def check_numbers():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([PROBE, "numbers", folder], check=True)
        ctx, key_id, s = open_secret(folder)
        check_public(ctx, key_id, s, read(folder, "public"))
        n = ctx.n // 2
        z = numpy.frombuffer(read(folder, "re")) + 1j * numpy.frombuffer(read(folder, "im"))

        def opened(name, level, wanted):
            data = read(folder, name)
            assert ctx.header(data, 3) == (key_id, 8)
            m, known = ctx.phase(data, s)
            assert known[0] == n and known[3] == level and not known[2] & 2
            _, _, _, _, scale, noise, error, magnitude, step = known
            off = max(abs(ctx.slots(m) - scale * wanted))
            assert off <= noise + error and max(abs(wanted)) <= magnitude and step == 1
            return m, scale

        m, scale = opened("ct.1", ctx.levels, z)
        assert scale == ctx.scale == 2.0 ** 25
        # Encoding is the same polynomial up to a rounding at the edge; what is left is the noise.
        noise = [x - y for x, y in zip(m, encode(ctx, z, scale))]
        assert max(map(abs, noise)) <= 22 and 8 < sum(x * x for x in noise) / ctx.n < 13
        opened("ct.0", ctx.levels, z)
        _, scale = opened("product", ctx.levels - ctx.step, z * z)
        assert abs(scale * math.prod(ctx.primes[ctx.levels - ctx.step:ctx.levels]) / 2.0 ** 50 - 1) < 1e-14
        opened("turned", ctx.levels, numpy.roll(z, -6))
        # Keys that switch.
        relin = read(folder, "relin")
        assert ctx.header(relin, 4) == (key_id, 0) and relin[64:248] == ctx.raw
        big = 2 ** 61 - 1  # s^2 as integers: far below this prime
        square = [x - big if x > big // 2 else x for x in multiply([x % big for x in s], [x % big for x in s], big)]
        assert not check_switch(ctx, s, square, relin[248:])
        galois = read(folder, "galois")
        assert ctx.header(galois, 4) == (key_id, 2) and galois[64:248] == ctx.raw
        rest = galois[248:]
        assert struct.unpack("<Q", rest[:8]) == (5,)
        rest = rest[8 + (len(rest) - 16) // 2:]  # that it works is shown by `turned`
        g = pow(5, 5, 2 * ctx.n)
        assert struct.unpack("<Q", rest[:8]) == (g,)
        assert not check_switch(ctx, s, [-x for x in substitute(s, g)], rest[8:])
        # And what is encrypted here opens there.
        mine = numpy.array([complex(j % 13 - 6, j % 5) for j in range(n)])
        with open(os.path.join(folder, "mine"), "wb") as file:
            file.write(encrypt(ctx, key_id, s, encode(ctx, mine, ctx.scale), 10.0))
        paths = [os.path.join(folder, name) for name in ("secret", "mine", "theirs")]
        subprocess.run([PROBE, "open", *paths], check=True)
        theirs = numpy.frombuffer(read(folder, "theirs"))
        assert (theirs[:n] + 1j * theirs[n:] == mine).all()


check_sums(3, 16, 2000, 2)
check_sums(10, 8, 33, 0)
check_sums(2, 32, 700, 0)
check_numbers()
print("ok")
