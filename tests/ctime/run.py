"""Constant time, by valgrind: the schemes must run without a report under each instruction set, twins that leak on purpose
must be reported, and functions that see secrets must not divide, which valgrind cannot see. Exit status 77: skipped."""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CTIME = os.path.join(os.environ["MSFL_TOOLS"], "ctime")
REPORTED = 99
SCHEMES = ["packed", "round", "answer", "bfv", "ckks", "shamir", "pairwise"]

# Functions whose operands are secret and whose code is ours. Inlined ones are seen in their callers.
NO_DIVISION = re.compile(
    r"(forward|inverse|multiply|binomial|import_signed|encode|add_pack|subtract_from|lift|draw_key|draw|evaluate|"
    r"combine|msfl_packed_encrypt|msfl_packed_open|msfl_avx2_(forward|binomial|encode|lift)|msfl_rlwe_(draw|transform|"
    r"scale)|msfl_bfv_(encrypt|encrypt_seeded|decrypt)|msfl_shamir_(split|join|add|pack|unpack)|msfl_bundle_(seal|add)|"
    r"msfl_pairwise_(expand|pack|client_mask)|msfl_montgomery_(mul|reduce)|msfl_limbs_\w+(?<!_vartime)|passes_once|"
    r"open_modulo|open_one|with_(random|fixed)_base|msfl_authority_answer|msfl_ckks_(seal|seal_seeded)|"
    r"centre|load|quantise|largest)(\.\w+)*$")
DIVISION = re.compile(r"^(v?div|idiv|v?sqrt)")


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def run(kernel, *programs):
    done = subprocess.run(
        ["valgrind", "-q", f"--error-exitcode={REPORTED}", f"--suppressions={HERE}/valgrind.supp", CTIME, *programs],
        env={**os.environ, "MSFL_KERNEL": kernel}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=500)
    if done.returncode == 77:
        skip(done.stdout.strip())
    assert all(f"{p} done" in done.stdout for p in programs), done.stdout
    return done.returncode, done.stdout


def check_divisions():
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", CTIME], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    function, seen, bad, divides = None, set(), [], False
    for line in text.splitlines():
        head = re.match(r"[0-9a-f]+ <(.+)>:$", line)
        if head:
            function = head.group(1)
            continue
        instruction = line.split("\t")[-1]
        if function == "division" and DIVISION.match(instruction):
            divides = True  # the twin: this search does find divisions
        if function and NO_DIVISION.match(function):
            seen.add(function)
            if DIVISION.match(instruction):
                bad.append((function, instruction))
    assert divides, "the dividing twin was not found"
    assert len(seen) > 25, seen
    assert not bad, f"functions that see secrets divide: {bad}"
    print(f"no division in {len(seen)} functions")


def main():
    if os.environ.get("MSFL_SANITIZED"):
        skip("valgrind and the sanitizers do not go together")
    if shutil.which("valgrind") is None:
        skip("valgrind is not installed")
    with open("/proc/cpuinfo") as f:
        flags = set(re.search(r"^flags\s*:(.*)$", f.read(), re.M).group(1).split())
    kernels = ["generic"] + (["avx2"] if {"avx2", "fma"} <= flags else [])
    for kernel in kernels:
        programs = SCHEMES + (["paillier", "vault"] if kernel == "generic" else [])  # these have no kernels of ours
        status, out = run(kernel, *programs)
        assert status == 0, out
        print(kernel + ": no report on", ", ".join(programs))
        status, out = run(kernel, "twins")
        assert status == REPORTED, f"leaks were not found\n{out}"
        print(kernel + ":", "; ".join(line for line in out.splitlines() if line.startswith("twin")))
    if shutil.which("objdump") is not None and os.uname().machine == "x86_64":
        check_divisions()


main()
