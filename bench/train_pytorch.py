#!/usr/bin/env python3
"""Training throughput of `medsecurefl bench train` and of PyTorch on the same network, batch and number of threads, turn by
turn, so that a busy machine is busy for both; the best turn of each counts.

    bench/train_pytorch.py [--cli build/release/cli/medsecurefl] [--threads 2] [--turns 3] [--seconds 2] [--only NAME]

PyTorch gets float32, Adam, and the better of its two memory layouts (channels first, channels last). Beside the clock on the
wall stands the processor time of all threads, which other work on the machine does not take away."""
import argparse
import json
import math
import re
import subprocess
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CASES = [("cnn-small", 64, 1, 2, 32), ("cnn-small", 28, 1, 2, 32), ("resnet8", 64, 1, 2, 32), ("resnet8", 128, 1, 2, 16),
         ("resnet18", 64, 1, 2, 16), ("resnet18", 224, 3, 2, 16), ("unet2d", 64, 1, 3, 16), ("unet2d", 128, 1, 2, 8),
         ("unet3d", (48, 56, 40), 1, 3, 2)]  # of volumes depth, height, width


def numbers(text, sides):
    values = [int(n) for n in re.findall(r"\d+", text)]
    return values * sides if len(values) == 1 else values


def windows(sizes, kernel, stride):
    return tuple((n - k) // s + 1 for n, k, s in zip(sizes, kernel, stride))


class Net(nn.Module):
    """A network from its canonical description."""

    def __init__(self, yaml, shape, classes):
        super().__init__()
        self.plan, self.parts, sizes, before, sides = [], nn.ModuleList(), {}, shape, len(shape) - 1
        conv, pool = (nn.Conv2d, nn.MaxPool2d) if sides == 2 else (nn.Conv3d, nn.MaxPool3d)
        for kind, text in re.findall(r"^  - (\w+): \{(.*)\}$", yaml, re.M):
            keys = {k: v.strip('"') for k, v in re.findall(r"(\w+): (\[[^]]*\]|[^,]+)", text)}
            *at, c = sizes[keys["from"]] if "from" in keys else before
            part, same = nn.Identity(), None
            if kind == "conv":
                kernel, stride = numbers(keys["kernel"], sides), numbers(keys["stride"], sides)
                filters = classes if keys["filters"] == "classes" else int(keys["filters"])
                if keys["padding"] == "same":
                    pads = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(at, kernel, stride)]
                    even = all(p % 2 == 0 for p in pads)
                    same = None if even else [n for p in reversed(pads) for n in (p // 2, p - p // 2)]
                    part = conv(c, filters, kernel, stride, [p // 2 for p in pads] if even else 0,
                                bias=keys["bias"] == "true")
                    at = [-(-n // s) for n, s in zip(at, stride)]
                else:
                    part = conv(c, filters, kernel, stride, bias=keys["bias"] == "true")
                    at = windows(at, kernel, stride)
                c = filters
            elif kind == "dense":
                units = classes if keys["units"] == "classes" else int(keys["units"])
                part, c = nn.Linear(c, units, bias=keys["bias"] == "true"), units
            elif kind == "group_norm":
                part = nn.GroupNorm(int(keys["groups"]), c, float(keys["epsilon"]))
            elif kind == "max_pool":
                kernel, stride = numbers(keys["size"], sides), numbers(keys["stride"], sides)
                part = pool(kernel, stride)
                at = windows(at, kernel, stride)
            elif kind == "global_avg_pool":
                whole = nn.AdaptiveAvgPool2d(1) if sides == 2 else nn.AdaptiveAvgPool3d(1)
                part, at = nn.Sequential(whole, nn.Flatten()), [1] * sides
            elif kind == "flatten":
                part, at, c = nn.Flatten(), [1] * sides, math.prod(at) * c
            elif kind == "dropout":
                part = nn.Dropout(float(keys["rate"]))
            elif kind == "upsample":
                factors = numbers(keys["size"], sides)
                part = nn.Upsample(scale_factor=tuple(factors), mode="nearest")
                at = [n * f for n, f in zip(at, factors)]
            elif kind == "concat":
                c += sizes[keys["with"]][-1]
            elif kind != "add":
                raise SystemExit(f"no PyTorch twin for '{kind}'")
            self.parts.append(part)
            self.plan.append((kind, keys, same))
            sizes[keys["name"]] = before = (*at, c)

    def forward(self, x):
        made = {}
        wanted = {k[key] for _, k, _ in self.plan for key in ("from", "with") if key in k}
        for (kind, keys, same), part in zip(self.plan, self.parts):
            x = made[keys["from"]] if "from" in keys else x
            if kind == "add":
                x = x + made[keys["with"]]
            elif kind == "concat":
                x = torch.cat([x, made[keys["with"]]], 1)
            else:
                x = part(x if same is None else F.pad(x, same))
            if keys.get("activation") == "relu":
                x = F.relu(x, inplace=keys["name"] not in wanted)
            if keys["name"] in wanted:
                made[keys["name"]] = x
        return x


def loss_of(z, y):
    loss = F.cross_entropy(z, y)
    if z.dim() > 2:  # and soft Dice over the structures, image by image
        t = F.one_hot(y, z.shape[1]).movedim(-1, 1).flatten(2)
        p = F.softmax(z, 1).flatten(2)
        d = (2 * (p * t).sum(2) + 1) / ((p + t).sum(2) + 1)
        loss = loss + 1 - d[:, 1:].mean()
    return loss


def pytorch(net, x, y, seconds):
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    best, best_cpu, begun = 0.0, 0.0, time.monotonic()
    for run in range(1000):
        t0, cpu0 = time.monotonic(), time.process_time()
        for _ in range(4):
            adam.zero_grad(set_to_none=True)
            loss_of(net(x), y).backward()
            adam.step()
        if run > 0:
            best = max(best, 4 * len(x) / (time.monotonic() - t0))
            best_cpu = max(best_cpu, 4 * len(x) / (time.process_time() - cpu0))
        if run > 1 and time.monotonic() - begun > seconds:
            return best, best_cpu


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cli", default="build/release/cli/medsecurefl")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--only")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    torch.set_flush_denormal(True)
    print(f"PyTorch {torch.__version__}, {a.threads} threads, best of {a.turns} turns; images per second in training\n")
    print(f"{'network':<12}{'input':>12}{'batch':>7}{'medsecurefl':>14}{'PyTorch':>10}{'ratio':>8}{'by processor time':>22}"
          f"{'ratio':>8}{'memory':>10}")
    for name, size, channels, classes, batch in CASES:
        if a.only not in (None, name):
            continue
        size = size if isinstance(size, tuple) else (size, size)
        sized = [w for side, n in zip(("--width", "--height", "--depth"), reversed(size)) for w in (side, str(n))]
        words = [*sized, "--channels", str(channels), "--classes", str(classes)]
        yaml = subprocess.run([a.cli, "model", "info", name, *words, "--yaml"], check=True, capture_output=True,
                              text=True).stdout
        x = torch.randn(batch, channels, *size)
        last = torch.channels_last if len(size) == 2 else torch.channels_last_3d
        ours = theirs = ours_cpu = theirs_cpu = memory = 0.0
        for _ in range(a.turns):
            done = subprocess.run([a.cli, "bench", "train", "--model", name, *words, "--batch", str(batch),
                                   "--threads", str(a.threads), "--seconds", str(a.seconds), "--json", "--quiet"], check=True, capture_output=True)
            report = json.loads(done.stdout)
            ours, memory = max(ours, report["train_images_per_second"]), report["trainer_bytes"]
            ours_cpu = max(ours_cpu, report["train_images_per_cpu_second"])
            for layout in (torch.contiguous_format, last):
                net = Net(yaml, (*size, channels), classes).to(memory_format=layout)
                count = sum(v.numel() for v in net.parameters())
                assert count == report["values"], (count, report["values"])
                z = net(x)
                y = torch.randint(0, classes, (batch,) + z.shape[2:])
                rates = pytorch(net, x.to(memory_format=layout), y, a.seconds / 2)
                theirs, theirs_cpu = max(theirs, rates[0]), max(theirs_cpu, rates[1])
        print(f"{name:<12}{'x'.join(map(str, (*size, channels))):>12}{batch:>7}{ours:>14.1f}{theirs:>10.1f}{ours / theirs:>8.2f}"
              f"{ours_cpu:>12.1f}{theirs_cpu:>10.1f}{ours_cpu / theirs_cpu:>8.2f}{memory / 1e6:>7.0f} MB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
