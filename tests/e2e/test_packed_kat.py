"""The packed scheme against an implementation of its own in Python integers: what the program encrypts, Python opens; what
Python encrypted, the program opens (the known answers of selftest, re-made here)."""
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.environ["MSFL_SOURCE"]
CLI = os.environ["MSFL_CLI"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "kat"))
sys.dont_write_bytecode = True
import make_answers  # noqa: E402
import packed_reference as ref  # noqa: E402


def run(*args, env=None, expect=0):
    done = subprocess.run([CLI, *args], capture_output=True, text=True, env={**os.environ, **(env or {})})
    assert done.returncode == expect, (args, done.returncode, done.stderr)
    return done.stdout


def check_transcript(clients, bits, values):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "round.json")
        run("selftest", "--transcript", path, "--clients", str(clients), "--bits", str(bits), "--values", str(values))
        with open(path) as f:
            t = json.load(f)
    t["value_bits"] = t["bits"]
    ref.check_params(t)
    seed = bytes.fromhex(t["round_seed"])
    n, v = t["ring_degree"], t["slots_per_coefficient"]
    key_sum = [sum(u["key"][k] for u in t["updates"]) for k in range(n)]
    totals = [sum(u["values"][k] for u in t["updates"]) for k in range(values)]
    assert all(abs(s) <= 41 for u in t["updates"] for s in u["key"])
    slot, chunks, worst = 0, len(t["updates"][0]["chunks"]), 0
    for j in range(chunks):
        slots = ref.chunk_slots(t, values, j)
        planes = None
        for i, u in enumerate(t["updates"]):
            one = ref.read_chunk(t, bytes.fromhex(u["chunks"][j]), -(-slots // v))
            if i == 0:
                # One client alone opens with its own key, to its own values.
                opened, _ = ref.open_chunk(t, seed, j, one, u["key"], 1, slots)
                assert opened == u["values"][slot:slot + slots]
            planes = one if planes is None else ref.add_chunks(t, planes, one)
        opened, error = ref.open_chunk(t, seed, j, planes, key_sum, clients, slots)
        assert opened == totals[slot:slot + slots]
        worst = max(worst, error)
        if j == 0:
            wrong = list(key_sum)
            wrong[3] += 1
            try:
                ref.open_chunk(t, seed, j, planes, wrong, clients, slots)
                raise SystemExit("a wrong key was accepted")
            except ValueError:
                pass
        slot += slots
    assert slot == values
    # Six standard deviations of a sum of errors would be seen once in 2^29.
    assert worst < 8 * (40.5 * clients) ** 0.5, worst
    print(f"{clients} x {bits} bits, {values} values, N = {n}, {len(t['primes'])} primes, {chunks} chunks: "
          f"sums agree, largest error {worst}")


def main():
    made = subprocess.run([sys.executable, "-B", os.path.join(SOURCE, "tests", "kat", "make_answers.py")],
                          capture_output=True, text=True, check=True).stdout
    with open(os.path.join(SOURCE, "cli", "selftest_answers.h")) as f:
        assert f.read() == made, "cli/selftest_answers.h is not what tests/kat/make_answers.py makes"
    print("known answers re-made")

    report = json.loads(run("selftest", "--json"))
    assert report["ok"] and len(report["checks"]) >= 12 and all(c["ok"] for c in report["checks"])
    assert "FAILED" not in run("selftest")

    # Clients encrypt under the instruction sets in turn.
    check_transcript(3, 16, 25000)
    check_transcript(2, 24, 30001)
    check_transcript(10, 8, 40000)
    check_transcript(1, 32, 17)

    plan = json.loads(run("params", "--clients", "10", "--bits", "16", "--values", "25600000", "--json"))
    plan["value_bits"] = plan["bits"]
    ref.check_params(plan)
    assert plan["ciphertext_bytes"] < 2.7 * 25600000
    assert "log2 q" in run("params", "--clients", "7")
    run("params", "--clients", "10000", "--bits", "32", "--ring", "1024", expect=8)
    run("params", "--clients", "0", expect=2)
    run("params", "--ring", "1000", expect=2)
    run("selftest", "--nonsense", expect=2)
    run("selftest", env={"MSFL_KERNEL": "abacus"}, expect=2)


main()
