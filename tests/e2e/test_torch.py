"""The network engine against PyTorch in double precision: predictions, every gradient, moving statistics, and steps of
both optimisers, for each kind of layer and for whole networks."""
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

torch.set_num_threads(2)
torch.set_default_dtype(torch.float64)
PROBE = os.path.join(os.environ["MSFL_TOOLS"], "nn_probe")
FOLDER = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(FOLDER.name, name)


def conv(filters, kernel, stride=(1, 1), padding="valid", bias=True, relu=False):
    return ("conv", dict(filters=filters, kernel=list(kernel), stride=list(stride), padding=padding,
                         bias=str(bias).lower(), activation="relu" if relu else "none"))


def dense(units, bias=True, relu=False):
    keys = dict(units=units, bias=str(bias).lower())
    if relu:
        keys["activation"] = "relu"
    return ("dense", keys)


def group_norm(groups, relu=False, epsilon=1e-3):
    return ("group_norm", dict(groups=groups, epsilon=epsilon, activation="relu" if relu else "none"))


def batch_norm(relu=False, momentum=0.9):
    return ("batch_norm", dict(momentum=momentum, epsilon=1e-3, activation="relu" if relu else "none"))


def pool(kind, size, stride=None):
    return (kind, dict(size=list(size), stride=list(stride or size)))


FLATTEN, GAP, RELU, END = ("flatten", {}), ("global_avg_pool", {}), ("relu", {}), dense("classes")


def yaml_of(shape, classes, layers):
    def value(v):
        return "[" + ", ".join(map(str, v)) + "]" if isinstance(v, list) else str(v)

    lines = ["name: net", "input: {height: %d, width: %d, channels: %d}" % shape, f"classes: {classes}", "layers:"]
    for kind, keys in layers:
        lines.append(f"  - {kind}: {{" + ", ".join(f"{k}: {value(v)}" for k, v in keys.items()) + "}")
    return "\n".join(lines) + "\n"


class Net:
    """The same chain in PyTorch, whose parameters are cut from one vector in our order."""

    def __init__(self, shape, classes, layers, rng):
        self.layers, self.parameters, self.statistics = layers, [], []
        self.plan = []  # (kind of tensor, numpy shape, position in parameters or statistics)
        h, w, c = shape
        for kind, keys in layers:
            mine = []
            if kind == "conv":
                mine = [("kernel", (*keys["kernel"], c, keys["filters"]))]
                mine += [("bias", (keys["filters"],))] if keys["bias"] == "true" else []
                (kh, kw), (sh, sw) = keys["kernel"], keys["stride"]
                same = keys["padding"] == "same"
                h, w, c = (-(-h // sh), -(-w // sw), keys["filters"]) if same else (
                    (h - kh) // sh + 1, (w - kw) // sw + 1, keys["filters"])
            elif kind == "dense":
                units = classes if keys["units"] == "classes" else keys["units"]
                mine = [("kernel", (c, units))] + ([("bias", (units,))] if keys["bias"] == "true" else [])
                c = units
            elif kind.endswith("_norm"):
                mine = [("gamma", (c,)), ("beta", (c,))]
                mine += [("mean", (c,)), ("variance", (c,))] if kind == "batch_norm" else []
            elif kind in ("max_pool", "avg_pool"):
                (kh, kw), (sh, sw) = keys["size"], keys["stride"]
                h, w = (h - kh) // sh + 1, (w - kw) // sw + 1
            elif kind == "flatten":
                h, w, c = 1, 1, h * w * c
            elif kind == "global_avg_pool":
                h, w = 1, 1
            self.plan.append(mine)
        values = []
        for mine in self.plan:
            for name, s in mine:
                if name == "kernel":
                    v = rng.randn(*s) * np.sqrt(2.0 / np.prod(s[:-1]))
                elif name in ("gamma", "variance"):
                    v = 1 + 0.3 * rng.rand(*s)
                else:
                    v = 0.2 * rng.randn(*s)
                values.append(v.ravel())
        self.vector = np.concatenate(values).astype(np.float32)

    def load(self, vector):
        at, self.tensors = 0, []
        for mine in self.plan:
            row = {}
            for name, s in mine:
                n = int(np.prod(s))
                t = torch.tensor(vector[at:at + n].reshape(s).astype(np.float64))
                row[name] = t.requires_grad_(name not in ("mean", "variance"))
                at += n
            self.tensors.append(row)

    def flat(self, of):
        return np.concatenate([of(t).detach().numpy().ravel() for row in self.tensors for t in row.values()])

    def forward(self, x, training):
        flat = False
        x = x.permute(0, 3, 1, 2)
        for (kind, keys), t in zip(self.layers, self.tensors):
            if kind == "conv":
                if keys["padding"] == "same":
                    pads = []
                    for size, k, s in ((x.shape[3], keys["kernel"][1], keys["stride"][1]),
                                       (x.shape[2], keys["kernel"][0], keys["stride"][0])):
                        p = max((-(-size // s) - 1) * s + k - size, 0)
                        pads += [p // 2, p - p // 2]
                    x = F.pad(x, pads)
                x = F.conv2d(x, t["kernel"].permute(3, 2, 0, 1), t.get("bias"), stride=keys["stride"])
            elif kind == "dense":
                x = x @ t["kernel"] + t.get("bias", 0.0)
            elif kind == "group_norm":
                x = F.group_norm(x, keys["groups"], t["gamma"], t["beta"], keys["epsilon"])
            elif kind == "batch_norm":
                x = F.batch_norm(x, t["mean"], t["variance"], t["gamma"], t["beta"], training, 1 - keys["momentum"],
                                 keys["epsilon"])
            elif kind == "max_pool":
                x = F.max_pool2d(x, keys["size"], keys["stride"])
            elif kind == "avg_pool":
                x = F.avg_pool2d(x, keys["size"], keys["stride"])
            elif kind == "global_avg_pool":
                x, flat = x.mean((2, 3)), True
            elif kind == "flatten":
                x, flat = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1), True
            if kind == "relu" or keys.get("activation") == "relu":
                x = F.relu(x)
        assert flat
        return x


def probe(mode, *options):
    done = subprocess.run([PROBE, mode, path("net.yaml"), path("in"), path("out"), *options], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    with open(path("out"), "rb") as file:
        return file.read()


worst = {}


def close(what, ours, theirs, bound):
    """Relative to the whole vector's length: a value on the edge of a ReLU may fall on either side."""
    error = np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30)
    worst[what] = max(worst.get(what, 0.0), error)
    assert error < bound, f"{what}: relative error {error:.3g}, bound {bound:g}"


def check(shape, classes, layers, n, seed=0, smoothing=0.0, class_weights=None, offsets=None, steps=5):
    rng = np.random.RandomState(seed)
    net = Net(shape, classes, layers, rng)
    x = rng.randn(n, *shape).astype(np.float32)
    y = rng.randint(0, classes, n).astype(np.uint32)
    with open(path("net.yaml"), "w") as file:
        file.write(yaml_of(shape, classes, layers))
    with open(path("in"), "wb") as file:
        for array in (np.array([n], np.uint32), y, x, net.vector):
            array.tofile(file)
    X, Y = torch.tensor(x.astype(np.float64)), torch.tensor(y.astype(np.int64))
    w = None if class_weights is None else torch.tensor(class_weights)
    o = 0.0 if offsets is None else torch.tensor(offsets, dtype=torch.float64)

    net.load(net.vector)
    with torch.no_grad():
        theirs = F.softmax(net.forward(X, False), 1).numpy()
    close("prediction", np.frombuffer(probe("predict"), "<f4").reshape(theirs.shape), theirs, 5e-6)

    options = [f"smoothing={smoothing}"] + [f"weight{i}={v}" for i, v in enumerate(class_weights or [])]
    options += [f"offset{i}={v}" for i, v in enumerate(offsets or [])]
    net.load(net.vector)
    loss = F.cross_entropy(net.forward(X, True) + o, Y, weight=w, label_smoothing=smoothing)
    loss.backward()
    out = probe("gradient", *options)
    close("loss", np.frombuffer(out[:8], "<f8"), loss.detach().numpy(), 5e-6)
    size = net.vector.size
    ours = np.frombuffer(out[8:8 + 4 * size], "<f4")
    at, has_gradient = 0, np.ones(size, bool)
    largest = max(float(t.grad.norm()) for row in net.tensors for t in row.values() if t.requires_grad)
    for row in net.tensors:
        for name, t in row.items():
            if t.requires_grad:
                g = t.grad.numpy().ravel()
                # A bias in front of a norm has no gradient but rounding: such are measured by the largest there is.
                scale = max(np.linalg.norm(g), 1e-3 * largest)
                has_gradient[at:at + t.numel()] = np.linalg.norm(g) > 1e-6 * largest
                error = np.linalg.norm(ours[at:at + t.numel()] - g) / scale
                worst["gradient"] = max(worst.get("gradient", 0.0), error)
                assert error < 1e-4, f"gradient of {name} {tuple(t.shape)}: relative error {error:.3g}"
            at += t.numel()
    close("statistics", np.frombuffer(out[8 + 4 * size:], "<f4"), net.flat(lambda t: t), 1e-6)

    for optimizer in range(2):
        net.load(net.vector)
        kernels = [t for row in net.tensors for name, t in row.items() if name == "kernel"]
        others = [t for row in net.tensors for name, t in row.items() if name != "kernel" and t.requires_grad]
        groups = [{"params": kernels, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
        if optimizer == 0:
            stepper = torch.optim.SGD(groups, lr=0.02, momentum=0.8)
            extra = ["optimizer=0", "rate=0.02", "momentum=0.8"]
        else:
            stepper = torch.optim.AdamW(groups, lr=0.003, betas=(0.85, 0.999), eps=1e-8)
            extra = ["optimizer=1", "rate=0.003", "momentum=0.85"]
        for _ in range(steps):
            stepper.zero_grad()
            F.cross_entropy(net.forward(X, True) + o, Y, weight=w, label_smoothing=smoothing).backward()
            stepper.step()
        ours = np.frombuffer(probe("train", f"steps={steps}", "decay=0.01", *extra, *options), "<f4")
        # Measured on what was learned, where there was something: Adam divides a gradient by its own size, and would
        # walk as far by rounding alone.
        moved = (net.flat(lambda t: t) - net.vector) * has_gradient
        close(f"{steps} steps of {'Adam' if optimizer else 'SGD'}", (ours - net.vector) * has_gradient, moved, 5e-3)


S = (9, 8, 3)
check(S, 3, [FLATTEN, END], 19)
check(S, 3, [FLATTEN, dense(16, relu=True), dense(8, bias=False, relu=True), END], 19)
check(S, 2, [conv(8, (3, 3)), FLATTEN, END], 19)
check(S, 2, [conv(8, (3, 3), relu=True), FLATTEN, END], 7)
check(S, 2, [conv(5, (3, 2), stride=(2, 1), padding="same", relu=True), conv(6, (2, 3), stride=(1, 3)), FLATTEN, END], 19)
check(S, 2, [conv(8, (4, 4), padding="same", bias=False), conv(8, (1, 1), bias=False), GAP, END], 19)
check((12, 12, 1), 2, [conv(16, (3, 3), padding="same"), conv(24, (3, 3), padding="same", relu=True), FLATTEN, END], 33)
check(S, 3, [conv(8, (3, 3), relu=True), pool("max_pool", (2, 2)), FLATTEN, END], 19)
check(S, 3, [conv(7, (3, 3)), pool("max_pool", (3, 2), (2, 1)), RELU, FLATTEN, END], 19)
check(S, 3, [pool("max_pool", (2, 2)), conv(8, (2, 2)), pool("max_pool", (2, 2)), FLATTEN, END], 19)
check(S, 3, [conv(8, (2, 2)), pool("avg_pool", (2, 2)), pool("avg_pool", (3, 2), (1, 1)), FLATTEN, END], 19)
check(S, 3, [conv(8, (3, 3), bias=False), group_norm(2), FLATTEN, END], 19)
check(S, 3, [conv(12, (3, 3), bias=False), group_norm(4, relu=True, epsilon=1e-5), GAP, END], 19)
check(S, 3, [group_norm(1), conv(12, (3, 3)), group_norm(12), FLATTEN, dense(10), group_norm(5, relu=True), END], 19)
check(S, 3, [conv(8, (3, 3), bias=False), batch_norm(), FLATTEN, END], 19)
check(S, 3, [batch_norm(momentum=0.5), conv(8, (3, 3)), batch_norm(relu=True), pool("max_pool", (2, 2)), FLATTEN,
             dense(9), batch_norm(relu=True), END], 37)
check(S, 4, [conv(8, (3, 3), relu=True), FLATTEN, END], 19, smoothing=0.1, class_weights=[1.0, 0.25, 3.0, 0.0])
check(S, 4, [conv(8, (3, 3), relu=True), FLATTEN, END], 19, smoothing=0.1, offsets=[-0.1, -5.0, -2.5, 1.0])
check((64, 64, 1), 2, [conv(16, (3, 3), padding="same", bias=False), pool("max_pool", (2, 2)), group_norm(4, relu=True),
                       conv(32, (3, 3), padding="same", bias=False), pool("max_pool", (2, 2)), group_norm(4, relu=True),
                       conv(32, (3, 3), padding="same", bias=False), pool("max_pool", (2, 2)), group_norm(4, relu=True),
                       FLATTEN, END], 20, steps=3)
check((94, 98, 3), 2, [layer for f in (32, 32, 32, 64, 128)
                         for layer in (conv(f, (3, 3), relu=True), pool("max_pool", (2, 2)))] +
      [FLATTEN, dense(128, relu=True), dense(64, relu=True), END], 3, steps=2)
for what, error in worst.items():
    print(f"{what}: largest relative error {error:.2g}")
