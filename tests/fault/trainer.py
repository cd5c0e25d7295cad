#!/usr/bin/env python3
"""A trainer for tests (docs/formats/trainer.md) whose updates follow from a word, a hospital's place and the round, so that a test
knows what every hospital has sent, and can look for it where it must not be. Standard library only; with --fast numpy.

    trainer.py WORD INDEX [--fast]"""
import array
import json
import random
import struct
import sys
import time
import zipfile

SIZE = 0.01  # of an update's values


def n_samples(index):
    return 20 + 7 * index


def delta(word, index, round_number, name, count):
    """The update of one tensor, as floats of 32 bits."""
    rng = random.Random(f"{word} {index} {round_number} {name}")
    return array.array("f", (rng.uniform(-SIZE, SIZE) for _ in range(count)))


def header(shape):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({', '.join(map(str, shape))},), }}"
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def values_of(raw):
    at = 10 + struct.unpack("<H", raw[8:10])[0]
    return raw[at:]


def train(word, index, job):
    with zipfile.ZipFile("in/weights.npz") as given, zipfile.ZipFile("out/weights.npz", "w") as made:
        for t in job["tensors"]:
            weights = array.array("f", values_of(given.read(t["name"] + ".npy")))
            change = delta(word, index, job["round"], t["name"], len(weights))
            trained = array.array("f", (a + b for a, b in zip(weights, change)))
            made.writestr(t["name"] + ".npy", header(t["shape"]) + trained.tobytes())


def train_fast(index, job):
    """Something random, at once: for measuring everything else."""
    import numpy
    rng = numpy.random.default_rng([index, job["round"]])
    given = numpy.load("in/weights.npz")
    with zipfile.ZipFile("out/weights.npz", "w") as made:
        for t in job["tensors"]:
            noise = rng.integers(-1000, 1001, t["shape"], dtype=numpy.int16)
            with made.open(t["name"] + ".npy", "w", force_zip64=True) as f:
                f.write(header(t["shape"]))
                f.write((given[t["name"]] + noise * numpy.float32(1e-5)).astype("<f4").tobytes())


def main():
    begin = time.time()
    word, index = sys.argv[1], int(sys.argv[2])
    with open("in/job.json") as f:
        job = json.load(f)
    n = n_samples(index)
    if job["mode"] == "train":
        train_fast(index, job) if "--fast" in sys.argv else train(word, index, job)
    with open("out/result.json", "w") as f:
        json.dump({"n_samples": n, "metrics": {"loss": 0.5, "correct": n // 2, "seen": n}}, f)
    print(json.dumps({"round": job["round"], "begin": begin, "end": time.time()}))


if __name__ == "__main__":
    main()
