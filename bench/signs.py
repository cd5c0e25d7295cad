"""How much of single hospitals can be read from the weighted sum of three updates, by optimiser and steps.

    /usr/bin/python3 bench/signs.py [--seed N]

Three hospitals with 150, 230 and 400 drawn pictures train a small network from the same weights; the sum of their updates, weighted by
their sizes, is all that the reader has, beside the sizes. The reader takes every value of an update for one of two, up or down by the
same amount, and looks for the three signs whose weighted sum is nearest. Printed is the share of signs that are right, of all
values and hospitals; beside it the share that the sum's own sign has right, which is what anybody may read from a mean. Where the first is
above the second, the sum tells of single hospitals what a mean should not: so it is after the first step of Adam, which moves every
value by the learning rate, and hardly after two or more. (docs/security.md, policy `steps_min`.) Needs PyTorch and numpy."""
import argparse
import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIZES, SIDE = (150, 230, 400), 32


def pictures(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    x = torch.randn(n, 1, SIDE, SIDE, generator=g) * 0.5
    for i in range(n):
        row, column = torch.randint(8, 24, (2,), generator=g).tolist()
        r = 3 + 3 * int(y[i])
        x[i, 0, max(0, row - r):row + r, max(0, column - r):column + r] += 1
    return x, y


def network(seed):
    torch.manual_seed(seed)
    layers, channels = [], 1
    for filters in (16, 32, 32):
        layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.GroupNorm(4, filters), nn.ReLU()]
        channels = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 16, 2))


def flat(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def update(seed, hospital, n, optimizer, batch, steps):
    x, y = pictures(n, 1000 * seed + hospital)
    net = network(seed)
    before = flat(net).clone()
    o = torch.optim.Adam(net.parameters(), lr=1e-3) if optimizer == "adam" else torch.optim.SGD(net.parameters(), lr=1e-2, momentum=0.9)
    g, done = torch.Generator().manual_seed(hospital), 0
    while done < steps:
        for rows in torch.randperm(n, generator=g).split(batch):
            if done == steps:
                break
            o.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            o.step()
            done += 1
    return (flat(net) - before).double().numpy()


def read(updates, weights):
    """The best share of right signs over all guesses of how large a value is, and that of the sum's own sign."""
    total = weights @ updates
    signs = np.array(list(itertools.product((-1, 1), repeat=len(weights))))
    size = np.sqrt((updates ** 2).mean())
    best = 0
    for guess in np.linspace(0.3, 2.5, 45) * size:
        nearest = signs[np.abs(total[:, None] - guess * (signs @ weights)).argmin(1)]
        best = max(best, (nearest == np.sign(updates.T)).mean())
    return best, (np.sign(total) == np.sign(updates)).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=7)
    o = parser.parse_args()
    torch.set_num_threads(1)
    weights = np.array(SIZES) / 512
    print("optimiser  batch  steps  signs read  by the sum's sign")
    for optimizer, batch, steps in itertools.product(("adam", "sgd"), (16, 64), (1, 2, 3, 4, 8)):
        u = np.array([update(o.seed, i, n, optimizer, batch, steps) for i, n in enumerate(SIZES)])
        print(f"{optimizer:9}  {batch:5}  {steps:5}  {read(u, weights)[0]:10.3f}  {read(u, weights)[1]:17.3f}", flush=True)


main()
