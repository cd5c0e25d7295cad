"""bfv once more, in Python integers, from docs/design/bfv.md alone. The ring and AES-128 come from packed_reference.py, which
shares nothing with the C code either."""
import hashlib
import math

import packed_reference as ref

MAGIC, COINS, NORM = b"MSFLBFV1", 42, 12


def _f(x):
    return len(x).to_bytes(8, "little") + x


def _hash(*parts):
    return hashlib.blake2b(b"".join(parts), digest_size=32).digest()


# --- AES-256 in counter mode ---

def _schedule(key):
    words = [int.from_bytes(key[i:i + 4], "big") for i in range(0, 32, 4)]
    rcon = 1
    for i in range(8, 60):
        t = words[-1]
        if i % 8 == 0:
            t = (t << 8 | t >> 24) & 0xffffffff
        if i % 4 == 0:
            t = sum(ref.SBOX[t >> s & 0xff] << s for s in (0, 8, 16, 24))
        if i % 8 == 0:
            t ^= rcon << 24
            rcon <<= 1
        words.append(words[i - 8] ^ t)
    return words


def _block(words, block):
    s = [block >> (96 - 32 * i) & 0xffffffff ^ words[i] for i in range(4)]
    for r in range(1, 14):
        s = [ref.T0[s[i] >> 24] ^ ref.T1[s[(i + 1) % 4] >> 16 & 0xff] ^ ref.T2[s[(i + 2) % 4] >> 8 & 0xff]
             ^ ref.T3[s[(i + 3) % 4] & 0xff] ^ words[4 * r + i] for i in range(4)]
    out = 0
    for i in range(4):
        w = (ref.SBOX[s[i] >> 24] << 24 | ref.SBOX[s[(i + 1) % 4] >> 16 & 0xff] << 16
             | ref.SBOX[s[(i + 2) % 4] >> 8 & 0xff] << 8 | ref.SBOX[s[(i + 3) % 4] & 0xff])
        out = out << 32 | (w ^ words[56 + i])
    return out


def aes256_ctr(key, length):
    """From counter block 0."""
    words = _schedule(key)
    return b"".join(_block(words, c).to_bytes(16, "big") for c in range(-(-length // 16)))[:length]


assert _block(_schedule(bytes(range(32))), 0x00112233445566778899aabbccddeeff) == \
    0x8ea2b7ca516745bfeafc49904b496089  # FIPS 197, appendix C.3


# --- objects ---

class Params:
    def __init__(self, raw):
        assert len(raw) == 152
        words = [int.from_bytes(raw[4 * i:4 * i + 4], "little") for i in range(6)]
        self.n, self.l, self.security, self.addends, self.bits, self.v = words
        primes = [int.from_bytes(raw[24 + 8 * i:32 + 8 * i], "little") for i in range(16)]
        assert not any(primes[self.l:])
        self.primes = primes[:self.l]
        self.w = (self.addends * ((1 << self.bits) - 1)).bit_length()
        self.log_t, self.t, self.q = self.v * self.w, 1 << self.v * self.w, math.prod(self.primes)
        self.fingerprint = _hash(_f(b"msfl.rlwe.params.v1"), _f(MAGIC), _f(raw))[:16]
        # What the document demands of a set.
        assert self.q < 1 << ref.TABLE_5_2[self.n][self.security // 64 - 2]
        assert all(p % (2 * self.n) == 1 and p < 1 << 50 and ref.is_prime(p) for p in self.primes)
        assert self.primes == sorted(set(self.primes), reverse=True)
        assert (self.t << 20) * (2 * self.bound(self.addends) + 1) <= ((1 << 20) - 1) * self.q

    def bound(self, n):
        """min(floor(16 sqrt(10.5 n (24 N + 1))), n (882 N + 21))"""
        return min(math.isqrt(256 * 21 * n * (24 * self.n + 1) // 2), n * (882 * self.n + 21))

    def plane_bytes(self, n):
        return [-(-n * p.bit_length() // 8) for p in self.primes]


def header(raw, kind, params=None):
    """Key id and number; everything else must be as documented."""
    assert raw[:8] == MAGIC and int.from_bytes(raw[8:12], "little") == 1
    assert int.from_bytes(raw[12:16], "little") == kind
    assert int.from_bytes(raw[16:24], "little") == len(raw)
    if params is not None:
        assert raw[24:40] == params.fingerprint
    return raw[40:56], int.from_bytes(raw[56:64], "little")


def stream_key(params, purpose, seed, number):
    return _hash(_f(b"msfl.rlwe.stream.v1"), _f(MAGIC), _f(purpose), params.fingerprint, seed,
                 number.to_bytes(8, "little"))


def secret_of(params, seed):
    """The key's coefficients, drawn again while they are too long."""
    for number in range(128):
        raw = aes256_ctr(stream_key(params, b"s", seed, number), 6 * params.n)
        s = []
        for block in range(params.n // 32):
            groups = [raw[192 * block + 32 * g:192 * block + 32 * g + 32] for g in range(6)]
            s += [sum(bin(groups[g][k] & (0xff if g < 5 else 3)).count("1") for g in range(6)) - COINS // 2
                  for k in range(32)]
        if sum(x * x for x in s) <= NORM * params.n:
            return s
    raise ValueError("no short key")


def key_id(params, seed):
    return _hash(_f(b"msfl.rlwe.keyid.v1"), _f(MAGIC), params.fingerprint, seed)[:16]


def public_values(params, seed):
    """The values of a, modulo every prime."""
    key, planes = stream_key(params, b"a", seed, 0)[:16], []
    for i, p in enumerate(params.primes):
        width, bits, values, length = (p.bit_length() + 7) // 8, p.bit_length(), [], params.n
        while len(values) < params.n:
            length *= 2
            raw, values = ref.aes128_ctr(key, i.to_bytes(4, "little") + bytes(12), width * length), []
            for k in range(length):
                candidate = int.from_bytes(raw[k * width:(k + 1) * width], "little") & (1 << bits) - 1
                if candidate < p:
                    values.append(candidate)
        planes.append(values[:params.n])
    return planes


def read_planes(params, raw, n):
    """Residues of n places modulo every prime, and what is left of the bytes."""
    planes = []
    for p, size in zip(params.primes, params.plane_bytes(n)):
        number, bits = int.from_bytes(raw[:size], "little"), p.bit_length()
        raw = raw[size:]
        assert number >> bits * n == 0
        plane = [number >> bits * i & (1 << bits) - 1 for i in range(n)]
        assert all(r < p for r in plane)
        planes.append(plane)
    return planes, raw


def write_planes(params, planes):
    return b"".join(sum(r << p.bit_length() * i for i, r in enumerate(plane)).to_bytes(size, "little")
                    for p, plane, size in zip(params.primes, planes, params.plane_bytes(len(planes[0]))))


def lift(params, planes):
    """The integers in (-q/2, q/2) with these residues."""
    basis = [params.q // p * pow(params.q // p, p - 2, p) for p in params.primes]
    out = []
    for residues in zip(*planes):
        x = sum(r * b for r, b in zip(residues, basis)) % params.q
        out.append(x - params.q if x > params.q // 2 else x)
    return out


def times(params, value_planes, small):
    """Coefficients, modulo every prime, of the product of values and a small polynomial."""
    return [ref.multiply(ref.from_values(values, p), [x % p for x in small], p)
            for p, values in zip(params.primes, value_planes)]


def coefficients(params, n_values):
    return -(-n_values // params.v)


def open_ct(params, raw, s):
    """Totals, number of addends and the largest noise of a ciphertext."""
    ident, _ = header(raw, 3, params)
    n_values, addends, seeded, zero = (int.from_bytes(raw[64 + 4 * i:68 + 4 * i], "little") for i in range(4))
    n_c = coefficients(params, n_values)
    assert zero == 0 and seeded in (0, 1)
    c0, rest = read_planes(params, raw[80:], n_c)
    if seeded:
        assert len(rest) == 32
        c1 = public_values(params, rest)
    else:
        c1, rest = read_planes(params, rest, params.n)
        assert rest == b""
    product = times(params, c1, s)
    phase = lift(params, [[(x - y) % p for x, y in zip(a, b)] for p, a, b in zip(params.primes, c0, product)])
    totals, noise = [0] * (n_c * params.v), 0
    for c, x in enumerate(phase):
        m = x % params.t
        noise = max(noise, abs((x - m) // params.t))
        for j in range(params.v):
            totals[j * n_c + c] = m >> params.w * j & (1 << params.w) - 1
    assert not any(totals[n_values:]) and noise <= params.bound(addends)
    return totals[:n_values], addends, noise, ident


def encrypt_seeded(params, secret_seed, s, a_seed, chunk, values, errors):
    """A ciphertext of the seeded form with the given errors."""
    n_c = coefficients(params, len(values))
    padded = values + [0] * (n_c * params.v - len(values))
    product = times(params, public_values(params, a_seed), s)
    plain = [sum(padded[j * n_c + c] << params.w * j for j in range(params.v)) for c in range(n_c)]
    c0 = [[(a[c] + params.t * errors[c] + plain[c]) % p for c in range(n_c)] for p, a in zip(params.primes, product)]
    body = b"".join(x.to_bytes(4, "little") for x in (len(values), 1, 1, 0)) + write_planes(params, c0) + a_seed
    return (MAGIC + (1).to_bytes(4, "little") + (3).to_bytes(4, "little") + (64 + len(body)).to_bytes(8, "little")
            + params.fingerprint + key_id(params, secret_seed) + chunk.to_bytes(8, "little") + body)
