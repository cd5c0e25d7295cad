"""A trainer for medsecurefl client in PyTorch: docs/formats/trainer.md.

    python3 train.py                        as the client starts it: in/job.json, in/weights.npz -> out/weights.npz, out/result.json
    python3 train.py --describe NAME        a job description for this network, to be edited and submitted
    python3 train.py --initial FILE         weights to begin with, for `medsecurefl job submit --initial FILE`

Data: an .npz file with x (images x height x width, uint8) and y (classes), and perhaps group (patients). The network is small
and of this program alone: the job lists its tensors, and nobody else needs to know what they do.
"""
import argparse
import hashlib
import json
import os
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BINS = 24
STAYS_OUT = 3


class Net(nn.Module):
    def __init__(self, n_classes=2):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(2, 8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(4, 16)
        self.head = nn.Linear(16 * 16, n_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 4), 1))


def tensors_of(net):
    """Every parameter and every moving statistic, in the order of the network. A statistic is averaged, not trained."""
    trained = {name for name, _ in net.named_parameters()}
    return [(name, value, name not in trained) for name, value in net.state_dict().items()
            if value.dtype == torch.float32 and value.ndim > 0]


def describe(name):
    print(f"format: medsecurefl-job\nversion: 1\nname: {name}\nrounds: 5\nlearning_rate: 0.05\nlocal_epochs: 2\nbatch: 16\n"
          "samples_max: 4096\nclasses: [normal, opacity]\ntensors:")
    for key, value, statistic in tensors_of(Net()):
        print(f"  - {{name: {key}, shape: {list(value.shape)}" + (", statistic: true" if statistic else "") + "}")


def initial(path):
    torch.manual_seed(1)
    with open(path, "wb") as out:
        for _, value, _ in tensors_of(Net()):
            out.write(value.numpy().astype("<f4").tobytes())


def load_weights(net, path):
    arrays = np.load(path)
    state = net.state_dict()
    for key, value, _ in tensors_of(net):
        state[key] = torch.from_numpy(arrays[key].astype(np.float32).reshape(value.shape))
    net.load_state_dict(state)


def part_of(groups, job):
    """0 training, 1 validation, 2 test, for every image: by patient, and the same in every round. The split hangs on the job's
    name and the patient alone, so it is stable when images are added."""
    parts = {}
    for group in set(groups.tolist()):
        digest = hashlib.sha256(f"{job['name']}/{group}".encode()).digest()
        u = int.from_bytes(digest[:8], "big") / 2.0 ** 64
        parts[group] = 2 if u < job["test_fraction"] else 1 if u < job["test_fraction"] + job["validation_fraction"] else 0
    return np.array([parts[g] for g in groups.tolist()])


def load_data(job, part):
    data = np.load(job["data"]["path"])
    x, y = data["x"], data["y"].astype(np.int64).reshape(-1)
    groups = data["group"].reshape(-1) if "group" in data else np.arange(len(y))
    chosen = part_of(groups, job) == part
    x = x[chosen].astype(np.float32)
    if len(x) > 0:
        x = (x - x.mean(axis=(1, 2), keepdims=True)) / (x.std(axis=(1, 2), keepdims=True) + 1e-6)
    return torch.from_numpy(x[:, None]), torch.from_numpy(y[chosen])


def train(net, job):
    x, y = load_data(job, 0)
    if len(y) == 0:
        sys.exit("no images to train on")
    # The same input gives the same output: a round may be asked for again.
    torch.manual_seed((job["seed"] + job["round"]) % 2 ** 63)
    optimiser = torch.optim.SGD(net.parameters(), lr=job["learning_rate"], momentum=job["momentum"],
                                weight_decay=job["weight_decay"])
    net.train()
    for _ in range(job["local_epochs"]):
        loss_sum, correct = 0.0, 0
        for batch in torch.randperm(len(y)).split(job["batch"]):
            scores = net(x[batch])
            loss = F.cross_entropy(scores, y[batch], label_smoothing=job["label_smoothing"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item() * len(batch)
            correct += int((scores.argmax(1) == y[batch]).sum())
        print(f"round {job['round']}: loss {loss_sum / len(y):.4f}", flush=True)
    np.savez("out/weights.npz", **{key: value.detach().numpy() for key, value, _ in tensors_of(net)})
    return {"n_samples": len(y), "metrics": {"loss": loss_sum / len(y), "correct": correct, "seen": len(y)}}


def evaluate(net, job):
    x, y = load_data(job, 1 if job["part"] == "validation" else 2)
    if len(y) == 0:
        sys.exit(STAYS_OUT)
    net.eval()
    with torch.no_grad():
        p = torch.softmax(net(x), 1)
    loss = F.nll_loss(torch.log(p.clamp(min=1e-7)), y).item()
    metrics = {"loss": loss, "correct": int((p.argmax(1) == y).sum())}
    if p.shape[1] == 2:
        bins = (p[:, 1] * BINS).long().clamp(0, BINS - 1)
        metrics["histogram"] = [torch.bincount(bins[y == c], minlength=BINS).tolist() for c in (0, 1)]
    return {"n_samples": len(y), "metrics": metrics}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--describe")
    parser.add_argument("--initial")
    arguments = parser.parse_args()
    if arguments.describe:
        return describe(arguments.describe)
    if arguments.initial:
        return initial(arguments.initial)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.use_deterministic_algorithms(True)
    with open("in/job.json") as f:
        job = json.load(f)
    net = Net(max(2, len(job["classes"])))
    load_weights(net, job["weights"])
    result = train(net, job) if job["mode"] == "train" else evaluate(net, job)
    with open("out/result.json", "w") as f:
        json.dump(result, f)


if __name__ == "__main__":
    main()
