"""Keys, ciphertexts, shares and primes against Python's big integers: what the library makes is checked and opened here, and
what is made here the library opens."""
import itertools
import os
import random
import struct
import subprocess
import sys
import tempfile

SOURCE, PROBE = os.environ["MSFL_SOURCE"], os.path.join(os.environ["MSFL_TOOLS"], "he_probe")
sys.path.insert(0, os.path.join(SOURCE, "tests", "kat"))
sys.dont_write_bytecode = True
import bfv_reference as bfv  # noqa: E402
import packed_reference as ref  # noqa: E402


def probe(*args, kernel=None):
    env = {**os.environ, **({"MSFL_KERNEL": kernel} if kernel else {})}
    done = subprocess.run([PROBE, *map(str, args)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def check_bfv(addends, bits, values, ring, kernel):
    with tempfile.TemporaryDirectory() as folder:
        def read(name):
            with open(os.path.join(folder, name), "rb") as f:
                return f.read()

        probe("bfv", addends, bits, values, ring, folder, kernel=kernel)
        secret, public, plain = read("secret"), read("public"), read("values")
        plain = list(struct.unpack(f"<{len(plain) // 4}I", plain))
        params = bfv.Params(secret[64:216])
        assert params.n == ring and (params.addends, params.bits) == (addends, bits)
        # The keys: id, secret from its seed, and b - a s = t e with a short e.
        seed = secret[216:]
        ident, number = bfv.header(secret, 1, params)
        assert len(seed) == 32 and number == 0 and ident == bfv.key_id(params, seed)
        s = bfv.secret_of(params, seed)
        assert bfv.header(public, 2, params) == (ident, 0) and public[64:216] == secret[64:216]
        b, rest = bfv.read_planes(params, public[248:], params.n)
        assert rest == b""
        product = bfv.times(params, bfv.public_values(params, public[216:248]), s)
        errors = bfv.lift(params, [[(x - y) % p for x, y in zip(ref.from_values(values, p), a)]
                                   for p, values, a in zip(params.primes, b, product)])
        assert all(x % params.t == 0 and abs(x // params.t) <= 21 for x in errors)
        assert sum((x // params.t) ** 2 for x in errors) <= 12 * params.n
        # The ciphertexts, alone and added.
        for name, n in (("full", 1), ("seeded", 1), ("sum", 2)):
            totals, count, noise, ct_ident = bfv.open_ct(params, read(name), s)
            assert totals == [n * x for x in plain] and count == n and ct_ident == ident, name
            assert bfv.header(read(name), 3, params)[1] == 77
            assert noise < 8 * (10.5 * n * (21 * params.n + 1)) ** 0.5, (name, noise)
        # One that is made here.
        rng = random.Random(5)
        mine = [rng.randrange(1 << bits) for _ in plain]
        e = [sum(rng.getrandbits(1) for _ in range(42)) - 21 for _ in range(params.n)]
        foreign = bfv.encrypt_seeded(params, seed, s, rng.randbytes(32), 3, mine, e)
        with open(os.path.join(folder, "foreign"), "wb") as f:
            f.write(foreign)
        probe("bfv-open", folder, kernel=kernel)
        assert list(struct.unpack(f"<{len(mine)}Q", read("totals"))) == mine
    print(f"bfv: {addends} x {bits} bits, N = {ring}, {params.l} primes, {kernel}: keys and ciphertexts agree")


def check_shamir(t, k, n):
    p = 786433
    with tempfile.TemporaryDirectory() as folder:
        probe("shamir", t, k, n, folder)
        with open(os.path.join(folder, "secret"), "rb") as f:
            secret = struct.unpack(f"<{n}i", f.read())
        with open(os.path.join(folder, "shares"), "rb") as f:
            flat = struct.unpack(f"<{k * n}I", f.read())
        with open(os.path.join(folder, "packed"), "rb") as f:
            packed = f.read()
    assert all(x < p for x in flat)
    number = int.from_bytes(packed, "little")
    assert [number >> 20 * i & 0xfffff for i in range(k * n)] == list(flat) and number >> 20 * k * n == 0
    sets = list(itertools.combinations(range(k), t))
    random.Random(1).shuffle(sets)
    for members in sets[:40]:
        weights = []
        for j in members:
            w = 1
            for i in members:
                if i != j:
                    w = w * (i + 1) * pow(i - j, -1, p) % p
            weights.append(w)
        for at in range(n):
            x = sum(w * flat[m * n + at] for w, m in zip(weights, members)) % p
            assert (x - p if x > p // 2 else x) == secret[at]
    # t - 1 of them are as good as random: no small set of values, whatever the secret.
    assert t == 1 or len(set(flat)) > 0.9 * k * n
    print(f"shamir: {t} of {k}: {min(len(sets), 40)} subsets agree")


def check_primes():
    lines = probe("primes").split("\n")[:-1]
    degrees = set()
    for line in lines:
        n, p, root = map(int, line.split())
        degrees.add(n)
        assert ref.is_prime(p) and p % (2 * n) == 1 and p < 1 << 50, line
        assert root == ref.root_2n(p, n) and pow(root, n, p) == p - 1, line
    assert degrees == {1024, 2048, 4096, 8192, 16384, 32768} and len(lines) > 100
    print(f"{len(lines)} primes of planned sets and their roots agree")


def main():
    with open("/proc/cpuinfo") as f:
        avx2 = " avx2 " in f.read().replace("\n", " ")
    check_bfv(3, 8, 3000, 2048, "generic")
    check_bfv(10, 16, 9001, 4096, "avx2" if avx2 else "generic")
    check_bfv(2, 32, 1000, 8192, None)
    check_shamir(1, 3, 50)
    check_shamir(3, 5, 60)
    check_shamir(11, 16, 30)
    check_primes()


main()
