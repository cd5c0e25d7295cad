"""Paillier keys and ciphertexts against Python's integers: the textbook formulas, without CRT, windows or Montgomery."""
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from reference import blake, chacha20

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "paillier_probe")
if not os.path.exists(PROBE):
    print("skipped: paillier_probe is not built")
    sys.exit(77)
FOLDER = tempfile.TemporaryDirectory()
HEADER = 112
LABEL = b"paillier_probe".ljust(32, b"\0")


def path(name):
    return os.path.join(FOLDER.name, name)


def run(*args):
    return subprocess.run([PROBE, *map(str, args)], check=True, stdout=subprocess.PIPE, text=True).stdout


def read(name):
    with open(path(name), "rb") as file:
        return file.read()


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def is_prime(n, rounds=24):
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for _ in range(rounds):
        x = pow(random.randrange(2, n - 1), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def jacobi(a, n):
    sign = 1
    while a:
        while a % 2 == 0:
            a //= 2
            if n % 8 in (3, 5):
                sign = -sign
        a, n = n, a
        if a % 4 == 3 and n % 4 == 3:
            sign = -sign
        a %= n
    return sign if n == 1 else 0


def little(data):
    return int.from_bytes(data, "little")


def slot_bits(clients, bits):
    return (clients * (2 ** bits - 1)).bit_length()


class Key:
    def __init__(self, bits):
        run("keygen", bits, path("key.pub"), path("key.sec"))
        public, secret = read("key.pub"), read("key.sec")
        size = bits // 8
        assert len(public) == len(secret) == 44 + size
        assert public[:12] == b"MSPP" + struct.pack("<II", 1, bits)
        assert secret[:12] == b"MSPS" + struct.pack("<II", 1, bits)
        self.bits, self.n = bits, little(public[12:12 + size])
        self.p, self.q = little(secret[12:12 + size // 2]), little(secret[12 + size // 2:12 + size])
        self.id = blake(b"msfl.paillier.key.v1", struct.pack("<Q", bits), public[12:12 + size])
        assert public[12 + size:] == secret[12 + size:] == self.id
        p, q, n = self.p, self.q, self.n
        assert n == p * q and n.bit_length() == bits and p.bit_length() == q.bit_length() == bits // 2
        assert is_prime(p) and is_prime(q) and p % 4 == q % 4 == 3
        assert math.gcd(p - 1, q - 1) == 2 and math.gcd(n, (p - 1) * (q - 1)) == 1
        assert all((v - 1) // 2 % d for v in (p, q) for d in range(3, 1 << 16, 2))
        self.n2 = n * n
        self.lam = math.lcm(p - 1, q - 1)
        self.mu = pow(self.lam, -1, n)
        self.mask = self.first_mask = pow(random.randrange(1, n), n, self.n2)

    def open(self, c):
        return (pow(c, self.lam, self.n2) - 1) // self.n * self.mu % self.n

    def randomness(self, c):
        """r of c = (1 + n)^m r^n."""
        return pow(c % self.n, pow(self.n, -1, self.lam), self.n)

    def close(self, m):
        """(1 + n)^m r^n, with r the next power of one that was drawn: each another one, and one long exponentiation for all."""
        self.mask = self.mask * self.first_mask % self.n2
        return (1 + m * self.n) * self.mask % self.n2

    def header(self, clients, bits, slots, n_values, chunk, addends, n_ciphertexts):
        return (b"MSPC" + struct.pack("<I", 1) + self.id + LABEL
                + struct.pack("<IIIIQQII", clients, bits, slot_bits(clients, bits), slots, n_values, chunk, addends,
                              n_ciphertexts))


def encode(values, slots, w):
    return [sum(v << (w * i) for i, v in enumerate(values[at:at + slots])) for at in range(0, len(values), slots)]


def pack(key, clients, bits, slots, n_values, addends, ciphertexts):
    out = b""
    for chunk in range(0, (len(ciphertexts) + 31) // 32):
        part = ciphertexts[chunk * 32:chunk * 32 + 32]
        out += key.header(clients, bits, slots, n_values, chunk, addends, len(part))
        out += b"".join(c.to_bytes(key.bits // 4, "little") for c in part)
    return out


def unpack(key, data, clients, bits, slots, n_values, addends):
    size, out, chunk = key.bits // 4, [], 0
    n_ciphertexts = -(-n_values // slots)
    while data:
        count = min(32, n_ciphertexts - 32 * chunk)
        assert data[:HEADER] == key.header(clients, bits, slots, n_values, chunk, addends, count)
        data = data[HEADER:]
        out += [little(data[i * size:(i + 1) * size]) for i in range(count)]
        data, chunk = data[count * size:], chunk + 1
    assert len(out) == n_ciphertexts
    return out


def totals(name, n):
    return list(struct.unpack(f"<{n}Q", read(name)))


def check(key, method, clients, bits, slots, n_values, how):
    w = slot_bits(clients, bits)
    packed = slots or (key.bits - 1) // w
    most = 2 ** bits - 1
    a, b = ([most if how == "max" else random.randint(0, most) for _ in range(n_values)] for _ in "ab")
    for name, values in (("a", a), ("b", b)):
        write("values", struct.pack(f"<{n_values}I", *values))
        run("encrypt", path("key.pub"), method, clients, bits, slots, path("values"), path(name))
        ours = unpack(key, read(name), clients, bits, packed, n_values, 1)
        # Ours opens by the textbook; the ends of a long row stand for the rest.
        some = range(len(ours)) if len(ours) < 8 else [0, 1, 31, 32, len(ours) - 1]
        assert [key.open(ours[i]) for i in some] == [encode(values, packed, w)[i] for i in some]
        for c in ours[:3]:
            assert math.gcd(c, key.n) == 1 and 0 < c < key.n2
            if method == 2:  # a power of a square
                assert jacobi(key.randomness(c), key.n) == 1
    # The sum is the product.
    run("add", path("key.pub"), clients, bits, slots, n_values, path("a"), path("b"), path("sum"))
    product = [x * y % key.n2 for x, y in zip(unpack(key, read("a"), clients, bits, packed, n_values, 1),
                                              unpack(key, read("b"), clients, bits, packed, n_values, 1))]
    assert unpack(key, read("sum"), clients, bits, packed, n_values, 2) == product
    run("decrypt", path("key.sec"), clients, bits, slots, n_values, path("sum"), path("totals"))
    assert totals("totals", n_values) == [x + y for x, y in zip(a, b)]
    # Theirs opens here.
    theirs = pack(key, clients, bits, packed, n_values, 1, [key.close(m) for m in encode(a, packed, w)])
    write("theirs", theirs)
    run("decrypt", path("key.sec"), clients, bits, slots, n_values, path("theirs"), path("totals"))
    assert totals("totals", n_values) == a


def base_is_what_the_document_says(key):
    x = little(chacha20(blake(b"msfl.paillier.base.v1", key.id), key.bits // 8 + 16)) % key.n
    assert int(run("base", path("key.pub")), 16) == x * x % key.n


for key_bits in (2048, 3072):
    key = Key(key_bits)
    base_is_what_the_document_says(key)
    check(key, 1, 2, 16, 0, 30, "random")
    check(key, 2, 2, 16, 0, 250, "max")
    check(key, 2, 10000, 32, 7, 20, "max")
    if key_bits == 2048:
        check(key, 2, 10, 24, 0, 100, "random")
        check(key, 2, 5, 32, 1, 34, "random")
# Signs of the fixed base's exponent being full: the ciphertexts of one message all differ, and r is never seen twice.
key = Key(2048)
write("values", struct.pack("<64I", *[5] * 64))
run("encrypt", path("key.pub"), 2, 2, 16, 1, path("values"), path("a"))
# r -> r^n mod n^2 is one to one, so for one message no ciphertext twice is no r twice.
seen = set(unpack(key, read("a"), 2, 16, 1, 64, 1))
assert len(seen) == 64
print("ok")
