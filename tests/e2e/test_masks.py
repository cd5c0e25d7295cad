"""Dice and 95 % Hausdorff distance against SciPy's erosion and distance transform, in two and three dimensions."""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from scipy import ndimage
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "mask_probe")
FOLDER = tempfile.TemporaryDirectory()


def ours(truth, found, spacing, label):
    name = os.path.join(FOLDER.name, "in")
    with open(name, "wb") as file:
        np.array([*truth.shape, label], "<u4").tofile(file)
        np.array(spacing, "<f8").tofile(file)
        truth.astype("u1").tofile(file)
        found.astype("u1").tofile(file)
    done = subprocess.run([PROBE, name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [float(v) for v in done.stdout.split()]


def surface(mask):
    """In one slice, without neighbours above and below."""
    if mask.shape[0] == 1:
        return mask & ~ndimage.binary_erosion(mask[0])[None]
    return mask & ~ndimage.binary_erosion(mask)


def theirs(truth, found, spacing, label):
    a, b = truth == label, found == label
    dice = 2 * (a & b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else np.nan
    if not a.any() or not b.any():
        return dice, np.nan
    sa, sb = surface(a), surface(b)
    far = [np.percentile(ndimage.distance_transform_edt(~y, sampling=spacing)[x], 95) for x, y in ((sa, sb), (sb, sa))]
    return dice, max(far)


def same(x, y):
    return (np.isnan(x) and np.isnan(y)) or abs(x - y) <= 1e-9 * max(1.0, abs(y))


rng = np.random.RandomState(1)
shapes = [(1, 1, 1), (1, 1, 9), (1, 16, 13), (2, 7, 5), (9, 8, 7), (20, 24, 18), (3, 1, 1)]
for shape in shapes:
    for case in range(12):
        spacing = [1.0, 1.0, 1.0] if case == 0 else list(rng.uniform(0.3, 4, 3))
        if case % 3 == 0:
            truth, found = rng.randint(0, 3, (2, *shape))
        else:  # blobs, as masks are
            smooth = ndimage.gaussian_filter(rng.randn(2, *shape), (0, 1.5, 1.5, 1.5))
            truth, found = (smooth > 0.3 * smooth.std()).astype(int) + (smooth > 1.0 * smooth.std())
        if case == 11:
            found = np.zeros(shape, int)
        for label in range(3):
            mine, reference = ours(truth, found, spacing, label), theirs(truth, found, spacing, label)
            assert same(mine[0], reference[0]) and same(mine[1], reference[1]), (shape, case, label, mine, reference)
            assert mine[2:] == [(truth == label).sum(), (found == label).sum()]
print(f"{len(shapes) * 12 * 3} comparisons")
