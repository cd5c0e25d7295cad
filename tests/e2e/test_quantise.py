"""Stochastic rounding against exact fractions in Python, for every width and every instruction set of this machine."""
import os
import random
import struct
import subprocess
import sys
from fractions import Fraction

sys.path.insert(0, os.path.join(os.environ["MSFL_SOURCE"], "tests", "kat"))
sys.dont_write_bytecode = True
import quantise_reference as ref  # noqa: E402

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "quantise_probe")


def program(kernel, *args, values):
    done = subprocess.run([PROBE, *map(str, args)], input=struct.pack(f"<{len(values)}f", *values), capture_output=True,
                          check=True, env={**os.environ, "MSFL_KERNEL": kernel})
    return [int(line) for line in done.stdout.split()]


def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


rng = random.Random(7)
for bits in range(2, 33):
    clip = single(rng.uniform(0.5, 2) * 2.0 ** rng.randrange(-20, 20))
    n_max = rng.randrange(1, 10 ** 6)
    n_samples, seed = rng.randrange(1, n_max + 1), rng.randrange(2 ** 64)
    values = [single(rng.uniform(-1.2, 1.2) * clip * 2.0 ** -rng.choice((0, 0, 0, 10, 40))) for _ in range(150)]
    values[:4] = [0.0, clip, -clip, 3.4e38]
    expected = ref.slots(bits, Fraction(clip), n_samples, n_max, seed, [Fraction(v) for v in values])
    for kernel in ("generic", "avx2", "avx512"):  # one that is missing here is replaced by generic
        assert program(kernel, bits, repr(clip), n_samples, n_max, seed, values=values) == expected, (bits, kernel)
print("ok")
