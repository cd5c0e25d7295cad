"""Networks that are graphs against PyTorch in double precision: the built-in residual networks and U-Nets, read from their
canonical descriptions, under every loss; and a proximal term."""
import os
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a busy machine has better to do than to wait in circles

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
CLI = os.environ["MSFL_CLI"]
FOLDER = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(FOLDER.name, name)


def run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def description(model):
    """Canonical YAML of a model: name, input and layers with all keys, as text and as [(kind, keys)]."""
    run(PROBE, "init", model, 1, path("a.h5"), path("a.raw"))
    run(PROBE, "load", path("a.h5"), path("b.raw"), path("net.yaml"))
    with open(path("net.yaml")) as file:
        return file.read()


def layers_of(yaml):
    layers = []
    for line in yaml.splitlines():
        found = re.fullmatch(r"  - (\w+): \{(.*)\}", line)
        if found:
            keys = dict(re.findall(r"(\w+): (\[[^]]*\]|[^,]+)", found[2]))
            layers.append((found[1], {k: v.strip('"') for k, v in keys.items()}))
    return layers


def numbers(text, sides):
    values = [int(n) for n in re.findall(r"\d+", text)]
    return values * sides if len(values) == 1 else values


def same(x, kernel, stride):
    pads = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride))):  # the last side comes first
        p = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [p // 2, p - p // 2]
    return F.pad(x, pads)


class Net:
    def __init__(self, yaml, channels, classes, vector=None, rng=None):
        self.layers, self.classes, self.tensors, self.at = layers_of(yaml), classes, [], 0
        self.vector, self.rng, self.made = vector, rng, []
        self.channels = channels

    def take(self, *shape, spread, middle=0.0):
        """The next tensor of the vector, or, without one yet, random values that are put there."""
        n = int(np.prod(shape))
        if self.vector is None:
            self.made.append((middle + spread * self.rng.randn(n)).astype(np.float32))
            values = self.made[-1]
        else:
            values = self.vector[self.at:self.at + n]
        self.at += n
        tensor = torch.tensor(values.reshape(shape).astype(np.float64)).requires_grad_()
        self.tensors.append(tensor)
        return tensor

    def forward(self, x):
        made, before, sides = {}, x.movedim(-1, 1), x.dim() - 2
        conv, pool = (F.conv2d, F.max_pool2d) if sides == 2 else (F.conv3d, F.max_pool3d)
        for number, (kind, keys) in enumerate(self.layers):
            y = made[keys["from"]] if "from" in keys else before
            if kind == "conv":
                kernel, stride = numbers(keys["kernel"], sides), numbers(keys["stride"], sides)
                filters = self.classes if keys["filters"] == "classes" else int(keys["filters"])
                fan_in = int(np.prod(kernel)) * y.shape[1]
                w = self.take(*kernel, y.shape[1], filters, spread=(2.0 / fan_in) ** 0.5)
                bias = self.take(filters, spread=0.2) if keys["bias"] == "true" else None
                if keys["padding"] == "same":
                    y = same(y, kernel, stride)
                y = conv(y, w.movedim((-1, -2), (0, 1)), bias, stride=stride)
            elif kind == "dense":
                w = self.take(y.shape[1], self.classes, spread=(2.0 / y.shape[1]) ** 0.5)
                y = y @ w + self.take(self.classes, spread=0.2)
            elif kind == "group_norm":
                c = y.shape[1]
                gamma, beta = self.take(c, spread=0.1, middle=1.0), self.take(c, spread=0.1)
                y = F.group_norm(y, int(keys["groups"]), gamma, beta, float(keys["epsilon"]))
            elif kind == "max_pool":
                y = pool(y, numbers(keys["size"], sides), numbers(keys["stride"], sides))
            elif kind == "global_avg_pool":
                y = y.flatten(2).mean(2)
            elif kind == "add":
                y = y + made[keys["with"]]
            elif kind == "concat":
                y = torch.cat([y, made[keys["with"]]], 1)
            elif kind == "upsample":
                y = F.interpolate(y, scale_factor=numbers(keys["size"], sides), mode="nearest")
            else:
                raise AssertionError(kind)
            if keys.get("activation") == "relu":
                y = F.relu(y)
            made[keys["name"]] = before = y
        return before.movedim(1, -1)


def loss_of(z, y, focal, weights, dice):
    """In the words of loss.h, one image after the other."""
    w = torch.tensor(weights)
    if z.dim() == 2:
        log_p = F.log_softmax(z, 1).gather(1, y[:, None])[:, 0]
        return (-w[y] * (1 - log_p.exp()) ** focal * log_p).sum() / w[y].sum()
    total = 0
    for logits, labels in zip(z, y):
        p = F.softmax(logits, -1)
        log_p = F.log_softmax(logits, -1).gather(-1, labels[..., None])[..., 0]
        total = total + -(w[labels] * log_p).sum() / w[labels].sum()
        t = F.one_hot(labels, z.shape[-1])
        p, t = p.flatten(0, -2), t.flatten(0, -2)
        d = (2 * (p * t).sum(0) + 1) / ((p + t).sum(0) + 1)
        there = t.sum(0)[1:] > 0
        if there.any():
            total = total + dice * (1 - d[1:][there].mean())
    return total / len(z)


worst = {}
SIDES = ("depth", "height", "width", "channels")


def close(what, ours, theirs, bound):
    error = np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30)
    worst[what] = max(worst.get(what, 0.0), error)
    assert error < bound, f"{what}: relative error {error:.3g}, bound {bound:g}"


def probe(mode, *options):
    run(PROBE, mode, path("sized.yaml"), path("in"), path("out"), *options)
    with open(path("out"), "rb") as file:
        return file.read()


def check(model, shape, classes, n, focal=0.0, weights=None, dice=0.0, steps=0):
    rng = np.random.RandomState(3)
    weights = weights or [1.0] * classes
    sizes = ", ".join(f"{k}: {v}" for k, v in zip(SIDES[-len(shape):], shape))
    yaml = re.sub(r"input: .*", "input: {" + sizes + "}", description(model))
    yaml = re.sub(r"classes: \d+", f"classes: {classes}", yaml, count=1)
    with open(path("sized.yaml"), "w") as file:
        file.write(yaml)
    x = rng.randn(n, *shape).astype(np.float32)
    X = torch.tensor(x.astype(np.float64))
    first = Net(yaml, shape[-1], classes, rng=rng)
    z = first.forward(X)
    vector = np.concatenate(first.made)
    y = rng.randint(0, classes, z.shape[:-1]).astype(np.uint32)
    if z.dim() > 2:
        y = np.where(rng.rand(*y.shape) < 0.5, 0, y).astype(np.uint32)
        y[0][y[0] == classes - 1] = 0  # a class that is not in this image
        y[1][...] = 0  # nothing
    Y = torch.tensor(y.astype(np.int64))
    with open(path("in"), "wb") as file:
        for array in (np.array([n], np.uint32), y, x, vector):
            array.tofile(file)
    options = [f"focal={focal}", f"dice={dice}"] + [f"weight{i}={v}" for i, v in enumerate(weights)]
    theirs = F.softmax(z, -1).detach().numpy()
    close("prediction", np.frombuffer(probe("predict"), "<f4").reshape(theirs.shape), theirs, 2e-5)
    net = Net(yaml, shape[-1], classes, vector)
    loss = loss_of(net.forward(X), Y, focal, weights, dice)
    loss.backward()
    out = probe("gradient", *options)
    close("loss", np.frombuffer(out[:8], "<f8"), loss.detach().numpy(), 5e-6)
    gradient = np.concatenate([t.grad.numpy().ravel() for t in net.tensors])
    close("gradient", np.frombuffer(out[8:8 + 4 * vector.size], "<f4"), gradient, 2e-4)
    if steps == 0:
        return
    net = Net(yaml, shape[-1], classes, vector)
    net.forward(X)
    start = [t.detach().clone() for t in net.tensors]
    now = vector
    velocity = np.zeros(vector.size)
    for _ in range(steps):  # SGD, with mu (w - w0) in the gradient
        net = Net(yaml, shape[-1], classes, now)
        loss = loss_of(net.forward(X), Y, focal, weights, dice)
        loss = loss + 0.5 * 0.3 * sum(((t - t0) ** 2).sum() for t, t0 in zip(net.tensors, start))
        loss.backward()
        velocity = 0.9 * velocity + np.concatenate([t.grad.numpy().ravel() for t in net.tensors])
        now = now - 0.05 * velocity
    ours = np.frombuffer(probe("train", f"steps={steps}", "optimizer=0", "rate=0.05", "proximal=0.3", *options), "<f4")
    close(f"{steps} proximal steps", ours - vector, now - vector, 5e-3)


check("resnet8", (17, 20, 1), 3, 9, steps=2)
check("resnet8", (14, 14, 4), 4, 5, focal=2.0, weights=[1.0, 0.25, 3.0, 0.5])
check("resnet18", (33, 28, 3), 2, 2)
check("unet2d", (16, 24, 1), 3, 9, dice=1.0, steps=2)
check("unet2d", (24, 16, 3), 2, 4, weights=[0.5, 2.0])
check("unet2d", (8, 16, 1), 4, 3, dice=2.0, weights=[0.5, 2.0, 1.0, 1.0])
check("unet3d", (8, 16, 8, 1), 3, 5, dice=1.0, steps=2)
check("unet3d", (16, 8, 8, 2), 2, 3, weights=[0.5, 2.0], dice=0.5)
for what, error in worst.items():
    print(f"{what}: largest relative error {error:.2g}")
