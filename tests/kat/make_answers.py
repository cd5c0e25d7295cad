"""Writes cli/selftest_answers.h: small ciphertexts made by packed_reference.py, which every build must open.

    /usr/bin/python3 tests/kat/make_answers.py > cli/selftest_answers.h

The key of every answer is s_i = (37 i mod 83) - 41, the errors e_c = (29 c mod 163) - 81, the values
(2654435761 i + 12345) mod 2^32 mod 2^bits, and the round's seed the bytes 0 to 31.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import packed_reference as ref  # noqa: E402

CASES = [
    # clients, bits, ring degree, values
    (2, 8, 1024, 9),
    (3, 24, 4096, 8),
    (10, 16, 8192, 25),
]


def primes_for(degree, bits):
    """The planner's choice: as few as possible, of two neighbouring widths, the largest below powers of two."""
    n = -(-bits // 50)
    out = []
    for i in range(n):
        k = bits // n + (1 if i < bits % n else 0)
        p = (1 << k) - 1
        p -= (p - 1) % (2 * degree)
        while not ref.is_prime(p) or p in out:
            p -= 2 * degree
        out.append(p)
    return out


def params_for(clients, bits, degree, values):
    """The planner's rule: within a hundredth of the smallest ciphertext, the fewest residues, then the fewest bits."""
    w = (clients * ((1 << bits) - 1)).bit_length()
    options = []
    for v in range(1, 400):
        log2_q = v * w + (2 * ref.noise_bound(clients) + 1).bit_length()
        if log2_q > ref.TABLE_5_2[degree][0]:
            break
        coefficients = -(-values // v)
        options.append((coefficients * -(-log2_q // 50), coefficients * log2_q, v, log2_q))
    smallest = min(o[1] for o in options)
    _, _, v, log2_q = min(o for o in options if o[1] * 100 <= smallest * 101)
    p = {"ring_degree": degree, "primes": primes_for(degree, log2_q), "security_bits": 128, "clients": clients,
         "bits": bits, "value_bits": bits, "slot_bits": w, "slots_per_coefficient": v, "log_t": v * w}
    ref.check_params(p)
    return p


def answer(clients, bits, degree, values):
    p = params_for(clients, bits, degree, values)
    key = [37 * i % 83 - 41 for i in range(degree)]
    slots = [(2654435761 * i + 12345) % (1 << 32) % (1 << bits) for i in range(values)]
    coefficients = -(-values // p["slots_per_coefficient"])
    noise = [29 * c % 163 - 81 for c in range(coefficients)]
    data = ref.encrypt(p, bytes(range(32)), 0, slots, key, noise)
    opened, worst = ref.open_chunk(p, bytes(range(32)), 0, ref.read_chunk(p, data, coefficients), key, 1, values)
    assert opened == slots and worst <= 81
    return p, data


def main():
    out = ["/* Made by tests/kat/make_answers.py with an implementation of its own. */",
           "/* clang-format off */", "#ifndef MSFL_CLI_SELFTEST_ANSWERS_H", "#define MSFL_CLI_SELFTEST_ANSWERS_H", "", "#include <stdint.h>", "",
           "typedef struct selftest_answer {", "    uint32_t clients, bits, ring_degree, values;",
           "    uint64_t first_prime;", "    const char *ciphertext;", "} selftest_answer;", "",
           "static const selftest_answer selftest_answers[] = {"]
    for case in CASES:
        p, data = answer(*case)
        text = data.hex()
        lines = ["     \"%s\"" % text[i:i + 100] for i in range(0, len(text), 100)]
        out.append("    {%d, %d, %d, %d, %d," % (*case, p["primes"][0]))
        out.append("\n".join(lines) + "},")
    out += ["};", "", "#endif"]
    print("\n".join(out))


if __name__ == "__main__":
    main()
