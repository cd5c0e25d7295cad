#!/usr/bin/env python3
"""What encrypted federated training reaches on real images, beside its plaintext twin and central training, with intervals:

    bench/accuracy.py --data DIR [--cli build/release/cli/medsecurefl] [--only NAME ...] [--seeds 1] [--first-seed 1] [--clients 3] [--out DIR] [--json]

DIR holds cxr_kermany, brain_tumor_mri, breast_us_28 and mri3d_hippocampus, each with a folder dev. Hospitals share by dirichlet:0.5,
test images are of other patients (or volumes, or clusters of near copies). Each task is one command of `medsecurefl simulate`, which is
printed; what it aims at stands beside what it got. Figures are of the round with the best validation loss, or, for the smallest set, which
spares no images for validation, of the last; never chosen by test images."""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

# Hospitals that see different classes: few steps a round and an adaptive server where single hospitals have one class
# alone, logit adjustment where they share classes (docs/design/training.md, "Label skew").
SKEW = "--schedule linear --plateau-patience 0"
TASKS = {
    "chest": ("chest X-ray, pneumonia or not", "auc", 0.97, "cxr_kermany/dev/cxr64.npz",
              "--label y_pneumonia --rounds 10 --local-epochs 2 --lr 0.002 " + SKEW),
    "chest3": ("chest X-ray, normal, bacterial, viral", "auc", 0.90, "cxr_kermany/dev/cxr64.npz",
               "--label y --rounds 20 --local-epochs 2 --lr 0.002 --logit-adjust 1 " + SKEW),
    "brain": ("brain MRI, four classes", "accuracy", 0.92, "brain_tumor_mri/dev/brain64.npz",
              "--model cnn-wide --rounds 40 --local-epochs 2 --lr 0.002 --logit-adjust 1 " + SKEW),
    "breast": ("breast ultrasound, 28 px", "auc", 0.90, "breast_us_28/dev/breast28.npz",
               "--size 28 --model cnn-wide --rounds 800 --local-steps 1 --aggregate fedadam --optimizer sgd --momentum 0 --lr 0.1 "
               "--label-smoothing 0.1 --augment strong,flip-horizontal --views 16 --validation-fraction 0 --keep last " + SKEW),
    "hippocampus": ("hippocampus, Dice by volume", "dice", 0.85, "mri3d_hippocampus/dev/images",
                    "--recipe {recipes}/hippocampus.yaml --masks {data}/mri3d_hippocampus/dev/labels "
                    "--labels {data}/mri3d_hippocampus/dev/labels.csv --label intensity_group --model unet2d --rounds 12 "
                    "--lr 0.003 --batch 16 --no-augment " + SKEW),
}


def run(cli, name, seed, data, clients, out):
    where = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples", "recipes")
    _, figure, _, source, options = TASKS[name]
    folder = os.path.join(out, f"{name}-{seed}")
    command = [cli, "simulate", "--data", os.path.join(data, source), "--out", folder, "--clients", str(clients), "--partition",
               "dirichlet:0.5", "--seed", str(seed), "--compare", "plain,central", "--json"]
    command += shlex.split(options.format(recipes=os.path.normpath(where), data=data))
    if not sys.stderr.isatty():
        command.append("--quiet")
    print("$ " + shlex.join(command), file=sys.stderr, flush=True)
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{name}, seed {seed}: exit status {done.returncode}")
    result = json.loads(done.stdout)
    row = {"task": name, "seed": seed, "figure": figure, "seconds": round(time.monotonic() - start, 1),
           "sum_exact": result["sum_exact"], "test": result["data"]["test"], "clients": clients}
    for track in ("encrypted", "plain", "central"):
        row[track] = {"value": result[track][figure], "interval": result[track]["intervals"].get(figure)}
    return row


def cell(rows, track):
    values = [r[track]["value"] for r in rows]
    if len(values) == 1:
        interval = rows[0][track]["interval"]
        return f"{values[0]:.4f} [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ({min(values):.3f} to {max(values):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cli", default="build/release/cli/medsecurefl")
    parser.add_argument("--only", action="append", choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=1, help="how many, N: 1 to N")
    parser.add_argument("--first-seed", type=int, default=1, help="then FIRST to FIRST + N - 1: to try settings out on other splits")
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--out", help="keeps every run's folder; otherwise they are removed")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        out = args.out or scratch
        os.makedirs(out, exist_ok=True)
        for name in args.only or TASKS:
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                rows.append(run(args.cli, name, seed, os.path.abspath(args.data), args.clients, out))
    if args.json:
        json.dump({"rows": rows}, sys.stdout, indent=2)
        print()
        return
    print(f"{args.clients} hospitals, dirichlet:0.5; " + ("95 % bootstrap intervals over test patients" if args.seeds == 1 else
                                                        f"mean (smallest to largest) of {args.seeds} seeds"))
    print(f"{'':42}{'':10}{'aim':>6}   {'encrypted':26}{'plain':26}{'central':26}{'s':>7}")
    for name in args.only or TASKS:
        mine = [r for r in rows if r["task"] == name]
        title, figure, aim = TASKS[name][:3]
        print(f"{title:42}{figure:10}{aim:6.2f}   " + "".join(f"{cell(mine, t):26}" for t in ("encrypted", "plain", "central")) +
              f"{sum(r['seconds'] for r in mine):7.0f}")


if __name__ == "__main__":
    main()
