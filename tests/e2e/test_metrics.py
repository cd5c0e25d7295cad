"""Figures of merit against an independent computation in numpy (ranks, not pairs; arrays, not loops)."""
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

PROGRAM = os.path.join(os.path.dirname(os.environ["MSFL_CLI"]), "..", "tests", "eval_test_metrics")
if not os.path.exists(PROGRAM):
    print("skipped: eval_test_metrics is not built")
    sys.exit(77)

NAMES = ["auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1"]


def ours(rows, labels, groups, replicates, seed):
    n, classes = rows.shape
    with tempfile.NamedTemporaryFile() as file:
        file.write(struct.pack("<5I", n, classes, replicates, seed, groups is not None))
        file.write(rows.astype("<f4").tobytes())
        file.write(labels.astype("<u4").tobytes())
        file.write((labels * 0 if groups is None else groups).astype("<u4").tobytes())
        file.flush()
        text = subprocess.run([PROGRAM, file.name], check=True, stdout=subprocess.PIPE, text=True).stdout
    out = {"confusion": []}
    for line in text.splitlines():
        name, *values = line.split()
        if name == "confusion":
            out["confusion"].append([int(v) for v in values])
        else:
            out[name] = [float(v) for v in values]
    return out


def midranks(values):
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


def auc_one(scores, positive):
    n_pos, n_neg = positive.sum(), (~positive).sum()
    if n_pos == 0 or n_neg == 0:
        return np.nan
    return (midranks(scores)[positive].sum() - n_pos * (n_pos + 1) / 2.0) / (n_pos * n_neg)


def mean_of_defined(values):
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return values.mean() if len(values) else np.nan


def figures(rows, labels):
    classes = rows.shape[1]
    predicted = rows.argmax(axis=1)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, predicted), 1)
    truth = np.eye(classes, dtype=bool)[labels]
    guess = np.eye(classes, dtype=bool)[predicted]
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = (truth & guess).sum(0) / truth.sum(0)
        specificity = (~truth & ~guess).sum(0) / (~truth).sum(0)
        f1 = 2.0 * (truth & guess).sum(0) / (truth.sum(0) + guess.sum(0))
    present = truth.any(axis=0)
    f1[~present] = np.nan
    aucs = [auc_one(rows[:, c], labels == c) for c in range(classes)]
    if classes == 2:
        pick = lambda v: v[1]
    else:
        pick = lambda v: mean_of_defined(np.asarray(v)[present])
    return {
        "auc": pick(np.array(aucs)),
        "accuracy": (predicted == labels).mean(),
        "balanced_accuracy": recall[present].mean() if present.sum() > 1 else np.nan,
        "sensitivity": pick(recall),
        "specificity": pick(specificity),
        "f1": pick(f1),
    }, confusion


def calibration(rows, labels):
    top = rows.max(axis=1).astype(float)
    right = rows.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, 16)
    which = np.clip(np.digitize(top, edges, right=True) - 1, 0, 14)
    return sum(abs(right[which == b].sum() - top[which == b].sum()) for b in range(15)) / len(labels)


def bootstrap(rows, labels, groups, replicates, generator):
    groups = np.arange(len(labels)) if groups is None else groups
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    values = {name: [] for name in NAMES}
    for _ in range(replicates):
        drawn = np.concatenate([members[g] for g in generator.integers(0, len(members), len(members))])
        result, _ = figures(rows[drawn], labels[drawn])
        for name in NAMES:
            values[name].append(result[name])
    out = {}
    for name in NAMES:
        array = np.array(values[name])
        array = array[~np.isnan(array)]
        out[name] = np.percentile(array, [2.5, 97.5]) if len(array) * 20 >= replicates * 19 else [np.nan, np.nan]
    return out


def same(name, a, b, tolerance):
    if np.isnan(a) and np.isnan(b):
        return
    assert abs(a - b) <= tolerance, f"{name}: {a!r} here, {b!r} in numpy"


def draw(generator, n, classes, signal, coarse):
    labels = generator.integers(0, classes, n)
    logits = generator.normal(size=(n, classes)) + signal * np.eye(classes)[labels]
    if coarse:
        logits = np.round(logits)
    rows = np.exp(logits)
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32), labels


generator = np.random.default_rng(20)
checked = 0
for case in range(60):
    classes = int(generator.integers(2, 8))
    n = int(generator.integers(1, 400))
    rows, labels = draw(generator, n, classes, generator.uniform(0, 3), case % 2 == 0)
    if case % 7 == 0:
        labels[:] = labels[0]
    expected, confusion = figures(rows, labels)
    got = ours(rows, labels, None, 0, 1)
    for name in NAMES:
        same(name, got[name][0], expected[name], 1e-12)
        checked += 1
    assert (np.array(got["confusion"]) == confusion).all()
    true_probability = rows[np.arange(n), labels].astype(float)
    same("loss", got["loss"][0], -np.log(np.clip(true_probability, 1e-7, 1.0)).mean(), 1e-12)
    same("calibration", got["calibration"][0], calibration(rows, labels), 1e-9)
    if classes == 2 and not np.isnan(expected["auc"]):
        same("area under the ROC curve", got["roc_area"][0], expected["auc"], 1e-12)

# The two draw from different generators, so the ends differ by Monte Carlo noise: a few percent of the width.
for classes, patients, n in [(2, None, 300), (2, 80, 400), (4, 120, 400)]:
    rows, labels = draw(generator, n, classes, 1.5, False)
    groups = None if patients is None else generator.integers(0, patients, n)
    expected = bootstrap(rows, labels, groups, 2000, generator)
    got = ours(rows, labels, groups, 20000, 7)
    for name in NAMES:
        width = expected[name][1] - expected[name][0]
        for end in (0, 1):
            same(f"{name} interval, {classes} classes", got[name][1 + end], expected[name][end], 0.12 * width)
            checked += 1

print(f"{checked} figures agree with numpy")
