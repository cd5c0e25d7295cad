"""The packed scheme once more, in plain Python integers, from docs/design/packed.md alone.

Nothing here is shared with the C code: AES is written out, products of polynomials are products of big integers, and the
Chinese remainder theorem is used on numbers of hundreds of bits.
"""
import hashlib
import math


# --- AES-128 in counter mode (FIPS 197, SP 800-38A) ---

def _gf_mul(a, b):
    r = 0
    while b:
        if b & 1:
            r ^= a
        a = a << 1 ^ (0x11b if a & 0x80 else 0)
        b >>= 1
    return r


def _tables():
    inverse = [0] * 256
    for a in range(1, 256):
        for b in range(1, 256):
            if _gf_mul(a, b) == 1:
                inverse[a] = b
                break
    sbox = []
    for a in range(256):
        b = inverse[a]
        s = 0x63
        for k in range(5):
            s ^= (b << k | b >> (8 - k)) & 0xff
        sbox.append(s)
    return sbox


SBOX = _tables()
# One table word per input byte: the column that SubBytes and MixColumns make of it, as a 32-bit big-endian number.
T0 = [_gf_mul(s, 2) << 24 | s << 16 | s << 8 | _gf_mul(s, 3) for s in SBOX]
T1 = [t >> 8 | (t & 0xff) << 24 for t in T0]
T2 = [t >> 16 | (t & 0xffff) << 16 for t in T0]
T3 = [t >> 24 | (t & 0xffffff) << 8 for t in T0]


def aes128_schedule(key):
    words = [int.from_bytes(key[i:i + 4], "big") for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 44):
        t = words[-1]
        if i % 4 == 0:
            t = (t << 8 | t >> 24) & 0xffffffff
            t = sum(SBOX[t >> s & 0xff] << s for s in (0, 8, 16, 24)) ^ rcon << 24
            rcon = _gf_mul(rcon, 2)
        words.append(words[i - 4] ^ t)
    return words


def aes128_block(words, block):
    s = [block >> (96 - 32 * i) & 0xffffffff ^ words[i] for i in range(4)]
    for r in range(1, 10):
        s = [T0[s[i] >> 24] ^ T1[s[(i + 1) % 4] >> 16 & 0xff] ^ T2[s[(i + 2) % 4] >> 8 & 0xff]
             ^ T3[s[(i + 3) % 4] & 0xff] ^ words[4 * r + i] for i in range(4)]
    out = 0
    for i in range(4):
        w = (SBOX[s[i] >> 24] << 24 | SBOX[s[(i + 1) % 4] >> 16 & 0xff] << 16 | SBOX[s[(i + 2) % 4] >> 8 & 0xff] << 8
             | SBOX[s[(i + 3) % 4] & 0xff])
        out = out << 32 | (w ^ words[40 + i])
    return out


def aes128_ctr(key, iv, length):
    words, counter = aes128_schedule(key), int.from_bytes(iv, "big")
    out = bytearray()
    while len(out) < length:
        out += aes128_block(words, counter).to_bytes(16, "big")
        counter = counter + 1 & (1 << 128) - 1
    return bytes(out[:length])


assert aes128_block(aes128_schedule(bytes(range(16))), 0x00112233445566778899aabbccddeeff) == \
    0x69c4e0d86a7b0430d8cdb78070b4c55a  # FIPS 197, appendix C.1


# --- the ring ---

def bit_reverse(x, bits):
    return int(format(x, "0%db" % bits)[::-1], 2)


def root_2n(p, n):
    x = 2
    while True:
        psi = pow(x, (p - 1) // (2 * n), p)
        if pow(psi, n, p) == p - 1:
            return psi
        x += 1


def _dft(values, root, p):
    """sum_i values[i] root^(i j) for all j, by halves."""
    n = len(values)
    if n == 1:
        return values
    even, odd = _dft(values[::2], root * root % p, p), _dft(values[1::2], root * root % p, p)
    out, w = [0] * n, 1
    for j in range(n // 2):
        t = odd[j] * w % p
        out[j], out[j + n // 2] = (even[j] + t) % p, (even[j] - t) % p
        w = w * root % p
    return out


def from_values(values, p):
    """Coefficients of the polynomial whose value at psi^(2 brv(i) + 1) is values[i]."""
    n = len(values)
    psi, bits = root_2n(p, n), n.bit_length() - 1
    natural = [0] * n
    for i, v in enumerate(values):
        natural[bit_reverse(i, bits)] = v
    psi_inverse = pow(psi, p - 2, p)
    sums = _dft(natural, psi_inverse * psi_inverse % p, p)
    scale, step = pow(n, p - 2, p), psi_inverse
    out = []
    for s in sums:
        out.append(s * scale % p)
        scale = scale * step % p
    return out


def multiply(a, b, p):
    """a b mod (x^n + 1, p) for 0 <= a, b < p, as one product of big integers."""
    n, width = len(a), (2 * p.bit_length() + len(a).bit_length() + 7) // 8
    big = lambda x: int.from_bytes(b"".join(v.to_bytes(width, "little") for v in x), "little")
    raw = (big(a) * big(b)).to_bytes(2 * n * width, "little")
    c = [int.from_bytes(raw[i * width:(i + 1) * width], "little") for i in range(2 * n)]
    return [(c[i] - c[i + n]) % p for i in range(n)]


# --- the scheme ---

def public_polynomial(round_seed, chunk, index, p, n):
    """Coefficients of a_chunk modulo prime number `index`."""
    label = b"msfl.packed.a.v1"
    key = hashlib.blake2b(len(label).to_bytes(8, "little") + label + round_seed, digest_size=32).digest()[:16]
    iv = chunk.to_bytes(8, "little") + index.to_bytes(4, "little") + bytes(4)
    width, values = (p.bit_length() + 7) // 8, []
    stream = aes128_ctr(key, iv, width * (n + 64 + n // 4 * (p < 3 << p.bit_length() - 2)) + 4096)
    at = 0
    while len(values) < n:
        v = int.from_bytes(stream[at:at + width], "little") & (1 << p.bit_length()) - 1
        at += width
        assert at <= len(stream)
        if v < p:
            values.append(v)
    return from_values(values, p)


def noise_bound(clients):
    return min(81 * clients, math.isqrt(9216 * clients))


def chunk_slots(params, n_values, chunk):
    full = params["ring_degree"] * params["slots_per_coefficient"]
    return min(full, n_values - chunk * full)


def read_chunk(params, data, coefficients):
    """Residues per prime of a packed chunk."""
    planes, at = [], 0
    for p in params["primes"]:
        k = p.bit_length()
        size = (coefficients * k + 7) // 8
        number = int.from_bytes(data[at:at + size], "little")
        at += size
        assert number >> (coefficients * k) == 0, "padding"
        plane = [number >> (k * c) & (1 << k) - 1 for c in range(coefficients)]
        assert all(r < p for r in plane), "range"
        planes.append(plane)
    assert at == len(data), "length"
    return planes


def write_chunk(params, planes):
    out = b""
    for p, plane in zip(params["primes"], planes):
        number = sum(r << (p.bit_length() * c) for c, r in enumerate(plane))
        out += number.to_bytes((len(plane) * p.bit_length() + 7) // 8, "little")
    return out


def add_chunks(params, a, b):
    return [[(x + y) % p for x, y in zip(u, v)] for p, u, v in zip(params["primes"], a, b)]


def encrypt(params, round_seed, chunk, slots, key, noise):
    """Packed bytes of one chunk with the given key and errors."""
    v, w = params["slots_per_coefficient"], params["slot_bits"]
    m = -(-len(slots) // v)
    slots = slots + [0] * (m * v - len(slots))
    plain = [sum(slots[j * m + c] << (w * j) for j in range(v)) for c in range(m)]
    planes = []
    for i, p in enumerate(params["primes"]):
        a = public_polynomial(round_seed, chunk, i, p, params["ring_degree"])
        product = multiply(a, [s % p for s in key], p)
        planes.append([(product[c] + (noise[c] << params["log_t"]) + plain[c]) % p for c in range(m)])
    return write_chunk(params, planes)


def open_chunk(params, round_seed, chunk, planes, key_sum, addends, n_slots):
    """Totals of one chunk and the largest error, or an exception where the key does not fit."""
    v, w, t = params["slots_per_coefficient"], params["slot_bits"], 1 << params["log_t"]
    q = math.prod(params["primes"])
    m = len(planes[0])
    x = [0] * m
    for i, (p, plane) in enumerate(zip(params["primes"], planes)):
        a = public_polynomial(round_seed, chunk, i, p, params["ring_degree"])
        product = multiply(a, [s % p for s in key_sum], p)
        basis = q // p * pow(q // p, p - 2, p)
        for c in range(m):
            x[c] += (plane[c] - product[c]) % p * basis
    bound, worst, rows = noise_bound(addends), 0, [[0] * m for _ in range(v)]
    for c in range(m):
        lifted = (x[c] + t * bound) % q - t * bound
        error, plain = lifted // t, lifted % t
        worst = max(worst, abs(error))
        if abs(error) > bound:
            raise ValueError("noise beyond its bound")
        for j in range(v):
            rows[j][c] = plain >> (w * j) & (1 << w) - 1
    flat = [r for row in rows for r in row]
    if any(flat[n_slots:]):
        raise ValueError("padding slots are not zero")
    if any(r > addends * ((1 << params["value_bits"]) - 1) for r in flat):
        raise ValueError("a total is impossible")
    return flat[:n_slots], worst


# --- what parameters must fulfil ---

TABLE_5_2 = {1024: (28, 0, 0), 2048: (55, 38, 30), 4096: (108, 75, 58), 8192: (216, 149, 116), 16384: (432, 299, 232),
             32768: (870, 599, 464)}


def is_prime(n):
    if n < 2 or any(n % k == 0 and n != k for k in (2, 3, 5, 7, 11, 13)):
        return False
    d, twos = n - 1, 0
    while d % 2 == 0:
        d, twos = d // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        x = pow(base, d, n)
        if base % n == 0 or x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def check_params(params):
    n, primes = params["ring_degree"], params["primes"]
    q, log_t = math.prod(primes), params["log_t"]
    assert q < 1 << TABLE_5_2[n][params["security_bits"] // 64 - 2]
    assert all(p % (2 * n) == 1 and p < 1 << 50 and is_prime(p) for p in primes)
    assert primes == sorted(set(primes), reverse=True)
    assert params["slot_bits"] == (params["clients"] * ((1 << params["bits"]) - 1)).bit_length()
    assert log_t == params["slot_bits"] * params["slots_per_coefficient"]
    assert (1 << log_t + 20) * (2 * noise_bound(params["clients"]) + 1) <= ((1 << 20) - 1) * q
