#!/usr/bin/env python3
"""What leaves a hospital, read inside its TLS, and what a coordinator keeps, searched for what must not be there: updates and
trained weights as floats, keys and passphrases, names of patients. The same search of a `plain` job must find the update: it can.

    quiet.py [--seed S] [--keep]"""
import argparse
import array
import glob
import math
import os
import random
import shutil
import struct
import sys
import tempfile
import threading
import time
import zlib

import check
import leaks
import trainer
from federation import ENDED, Federation
from tap import Tap

HERE = os.path.dirname(os.path.abspath(__file__))
TENSORS = [{"name": "conv/kernel", "shape": [3, 3, 1, 16]}, {"name": "dense", "shape": [500, 8]}]
PATIENT = "ZZQUITEUNLIKELY"
PASSPHRASE = "correct-horse-battery-staple-4711"


def tapped(fed, name):
    """Everything that this hospital says and hears from now on."""
    port = fed.proxies[name].port
    fed.proxies[name].close()
    time.sleep(0.05)
    return Tap(fed, name, port)


class Watch(threading.Thread):
    """Copies of the coordinator's files while a round is open: uploads lie there for a moment only."""

    def __init__(self, fed):
        super().__init__(daemon=True)
        self.fed, self.ended, self.seen = fed, False, {}
        self.start()

    def run(self):
        while not self.ended:
            for path in list(leaks.files(self.fed.state("coordinator"))):
                try:
                    if path.endswith(".upload") or "plain" in path:
                        with open(path, "rb") as f:
                            self.seen[path] = f.read()
                except OSError:
                    pass
            time.sleep(0.005)

    def stop(self):
        self.ended = True
        self.join()
        return list(self.seen.items())


def updates(fed, job_id, word, rounds, wanted):
    """All updates and trained weights of all hospitals: the trainer's are known, the global weights are on disk."""
    folder = os.path.join(fed.state("coordinator"), "jobs", job_id, "models")
    for r in range(1, rounds + 1):
        path = os.path.join(folder, f"{r - 1:06d}.f32")
        given = array.array("f", check.read(path)) if os.path.exists(path) else None
        for i, name in enumerate(fed.names):
            at = 0
            for t in TENSORS:
                count = math.prod(t["shape"])
                change = trainer.delta(word, i, r, t["name"], count)
                wanted.vector(change.tobytes(), f"update of {name}")
                if given is not None:
                    trained = array.array("f", (a + b for a, b in zip(given[at:at + count], change)))
                    wanted.vector(trained.tobytes(), f"trained weights of {name}")
                    # what the client subtracts again is rounded: that is what it would send
                    sent = array.array("f", (a - b for a, b in zip(trained, given[at:at + count])))
                    wanted.vector(sent.tobytes(), f"update of {name}")
                at += count


def keys(fed, wanted, parties):
    for party in parties:
        for name, raw in leaks.private_keys(fed.kit(party)).items():
            wanted.key(raw, f"{party}: {name}")


def run_known(o, root, scheme):
    """A job whose updates are known; what was found, and how much was searched."""
    word = f"secret-{o.seed}"
    site = lambda i, n: f"trainer:\n  command: [/usr/bin/python3, -B, {HERE}/trainer.py, {word}, '{i}']\nthreads: 1\n"
    policy = "schemes: [packed, plain]\n" if scheme == "plain" else None
    with Federation(root, n=3, seed=o.seed, sites=site, policy=policy) as fed:
        tap = tapped(fed, "hospital-a")
        fed.start()
        watch = Watch(fed)
        count = sum(math.prod(t["shape"]) for t in TENSORS)
        first = array.array("f", (random.Random(o.seed).uniform(-0.1, 0.1) for _ in range(count))).tobytes()
        job_id = fed.submit(name="known", initial=first, model=None, classes=None, input=None, tensors=TENSORS, rounds=3, evaluate=False, test=False,
                            scheme=scheme, deadline_s=60)
        job = fed.wait_end(job_id)
        if scheme == "plain" and "plain is not there yet" in job["why"]:
            watch.stop()
            return None, 0, 0
        assert job["state"] == "done", fed.fail(f"the job ended as {job['state']}: {job['why']}")
        uploads = watch.stop()
        status = repr(fed.status()).encode()
        wanted = leaks.Wanted()
        updates(fed, job_id, word, 3, wanted)
        keys(fed, wanted, ["coordinator", "ops", *fed.names])
        if scheme == "packed":
            right_sum(fed, job_id, word)
        fed.stop()
        captured = [("what hospital-a sent", tap.up), ("status", status), *uploads]
        found = leaks.look(wanted, [fed.state("coordinator"), fed.logs], captured)
        heard = leaks.look(wanted, [], [("what hospital-a heard", tap.down)])
        # The search can see: the weights that all share came through the same line.
        shared = leaks.Wanted()
        models = glob.glob(os.path.join(fed.state("coordinator"), "jobs", job_id, "models", "000002.f32"))
        if models:
            shared.vector(check.read(models[0]), "weights after round 2")
            assert "weights after round 2" in shared.find(tap.down), "the search does not see the weights that hospital-a was given"
        return found + heard, len(tap.up), len(uploads)


def right_sum(fed, job_id, word):
    """The weights after every round are those before plus the weighted mean of the known updates, to the step of the encoding."""
    folder = os.path.join(fed.state("coordinator"), "jobs", job_id, "models")
    rounds = {h["round"]: h["cohort"] for h in fed.job(job_id)["history"]}
    n = [trainer.n_samples(i) for i in range(fed.n)]
    for r, cohort in rounds.items():
        before, after = (os.path.join(folder, f"{k:06d}.f32") for k in (r - 1, r))
        if cohort != fed.n or not (os.path.exists(before) and os.path.exists(after)):
            continue
        given, made, at, worst = array.array("f", check.read(before)), array.array("f", check.read(after)), 0, 0.0
        for t in TENSORS:
            count = math.prod(t["shape"])
            changes = [trainer.delta(word, i, r, t["name"], count) for i in range(fed.n)]
            for k in range(count):
                mean = sum(n[i] * changes[i][k] for i in range(fed.n)) / sum(n)
                worst = max(worst, abs(made[at + k] - given[at + k] - mean))
            at += count
        assert worst < 2e-4, f"round {r}: the sum is off by {worst}"


def png(path, pixels, side):
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(pixels[y * side:(y + 1) * side]) for y in range(side))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) +
                part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


def images(folder, rng):
    """Images whose names and table carry patients; one of them is broken, so that a message names it at home."""
    rows = ["file,class,patient"]
    os.makedirs(folder)
    for i in range(36):
        label = ("normal", "opacity")[i % 2]
        name = f"{PATIENT}-{i:03d}-{label[:2]}.png"
        png(os.path.join(folder, name), [min(255, rng.randrange(120) + 90 * (i % 2)) for _ in range(256)], 16)
        rows.append(f"{name},{label},{PATIENT}^JOHN{i:03d}")
    with open(os.path.join(folder, f"{PATIENT}-broken.png"), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\nbroken")
    rows.append(f"{PATIENT}-broken.png,normal,{PATIENT}^BROKEN")
    with open(os.path.join(folder, "labels.csv"), "w") as f:
        f.write("\n".join(rows) + "\n")


def run_patients(o, root):
    rng = random.Random(o.seed)
    folders = [os.path.join(root, "data", str(i), PATIENT) for i in range(3)]
    for folder in folders:
        images(folder, rng)
    site = lambda i, n: f"data:\n  path: {folders[i]}\nthreads: 1\n"
    with Federation(root, n=3, seed=o.seed, sites=site, passphrase=PASSPHRASE) as fed:
        tap = tapped(fed, "hospital-a") if not fed.sealed else None
        fed.start()
        job_id = fed.submit(name="patients", rounds=2, test=True, deadline_s=60)
        job = fed.wait_end(job_id)
        assert job["state"] == "done", fed.fail(f"the job ended as {job['state']}: {job['why']}")
        # one hospital loses its images: what it says of that is seen by all
        shutil.rmtree(folders[2])
        fed.processes["hospital-c"].kill()
        fed.start("hospital-c")
        second = fed.submit(name="without", rounds=1, test=False, evaluate=False, min_cohort=3, deadline_s=10, attempts=1)
        fed.wait_end(second)
        status = repr(fed.status()).encode()
        fed.stop()
        wanted = leaks.Wanted()
        for text in (PATIENT, PATIENT.lower(), "JOHN0", os.path.join(root, "data")):
            wanted.text(text)
        for text in (PASSPHRASE,):
            wanted.text(text, "passphrase")
        logs = [("log of the coordinator", check.read(os.path.join(fed.logs, "coordinator.log")))]
        found = leaks.look(wanted, [fed.state("coordinator")], [("status", status), *logs,
                                                              *([("what hospital-a sent", tap.up)] if tap else [])])
        only = leaks.Wanted()
        only.text(PASSPHRASE, "passphrase")
        found += leaks.look(only, [fed.logs, fed.path("state")])
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    o = parser.parse_args()
    root, failed = tempfile.mkdtemp(prefix="msfl-quiet-"), 0
    try:
        for part in ("packed", "plain", "patients"):
            folder = os.path.join(root, part)
            os.makedirs(folder)
            begin = time.monotonic()
            try:
                if part == "patients":
                    found, said = run_patients(o, folder), "names, paths, passphrases"
                else:
                    found, sent, n = run_known(o, folder, part)
                    if found is None:
                        print("plain: this coordinator has no such jobs", flush=True)
                        continue
                    said = f"{sent} bytes inside TLS, {n} uploads on the coordinator's disk"
                wrong = not any("update of hospital-a in what" in line for line in found) if part == "plain" else bool(found)
                failed += wrong
                print(f"{part}: {'FAILED: ' if wrong else ''}{said}; found: {len(found)}{' (as it must)' if part == 'plain' else ''} "
                      f"({time.monotonic() - begin:.1f} s)", *found[:8 if wrong else 0], sep="\n  ", flush=True)
            except AssertionError as e:
                failed += 1
                print(f"{part}: FAILED: {e}", flush=True)
    finally:
        if failed or o.keep:
            print("all files are in", root)
        else:
            shutil.rmtree(root, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
