#!/usr/bin/env python3
"""What a federation over the network costs, as real processes on this machine. Figures, never a test of time.

    federation.py large [--values N] [--hospitals N] [--bits B] [--rounds R] [--json]
    federation.py many  [--hospitals N] [--values N] [--bits B] [--threads T] [--json]
    federation.py same  DATA [--hospitals N] [--rounds R] [--seed S] [--json]

large: a job of `tensors`, whose trainer makes a random update at once, encrypted and plain through the same server: wall time of a
       round, the part of it after the last hospital has trained, bytes, processor time, the coordinator's memory.
many:  msfl-bench-load's hospitals against one coordinator, keys held by an authority: latencies by percentile, failures.
same:  hospitals as processes against `simulate` with the same seed: the same weights, bit for bit.

MSFL_CLI names the program, MSFL_BENCH the folder of msfl-bench-load."""
import argparse
import contextlib
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build", "release")
os.environ.setdefault("MSFL_CLI", os.path.join(BUILD, "cli", "medsecurefl"))
BENCH = os.environ.get("MSFL_BENCH", os.path.join(BUILD, "bench"))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "fault"))
import check  # noqa: E402
from federation import CLI, Federation  # noqa: E402

TRAINER = os.path.join(os.path.dirname(HERE), "tests", "fault", "trainer.py")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(process):
    """Processor seconds of a process and its ended children."""
    with contextlib.suppress(OSError, AttributeError):
        with open(f"/proc/{process.popen.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / TICK, sum(map(int, fields[13:15])) / TICK
    return 0.0, 0.0


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")
    return {"processor": model, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def large(o, root):
    out = {"machine": machine(), "values": o.values, "hospitals": o.hospitals, "bits": o.bits, "float32_bytes": 4 * o.values}
    site = lambda i, n: (f"trainer:\n  command: [/usr/bin/python3, {TRAINER}, bench, '{i}', --fast]\n  timeout_s: 3600\nthreads: 1\n")
    policy = "schemes: [packed, plain]\n"
    rows = 1000 if o.values % 1000 == 0 else 1
    for scheme in o.schemes.split(","):
        folder = os.path.join(root, scheme)
        os.makedirs(folder)
        with Federation(folder, n=o.hospitals, sites=site, policy=policy, proxied=False, patience=3600) as fed:
            fed.start()
            names = list(fed.processes)
            base = fed.processes["coordinator"].peak_memory()
            before = fed.status()["server"]
            cpu0 = {n: cpu_s(fed.processes[n]) for n in names}
            begin = time.time()
            job_id = fed.submit(name="large", initial=bytes(4 * o.values), model=None, classes=None, input=None, scheme=scheme, bits=o.bits, rounds=o.rounds,
                                tensors=[{"name": "w", "shape": [rows, o.values // rows]}], evaluate=False, test=False,
                                deadline_s=7200, samples_max=1024, clip=0.0625)
            job = fed.wait_end(job_id, 7200)
            wall = time.time() - begin
            if job["state"] != "done":
                fed.fail(f"the job ended as {job['state']}: {job['why']}")
            trained = []
            for name in fed.names:
                for path in glob.glob(os.path.join(fed.state(name), "jobs", job_id, "trainer.log")):
                    with open(path) as f:
                        trained += [json.loads(line) for line in f if line.startswith("{")]
            after = fed.status()["server"]
            cpu = {n: cpu_s(fed.processes[n]) for n in names}
            used = {n: cpu[n][0] - cpu0[n][0] for n in names}
            h = job["history"][-1]
            row = {"wall_s_per_round": wall / o.rounds, "parameters": job["parameters"],
                   "last_round_ms": {k: h["ms_" + k] for k in ("collect", "certify", "release", "open")},
                   "bytes_in": (after["bytes_in"] - before["bytes_in"]) / o.rounds,
                   "bytes_out": (after["bytes_out"] - before["bytes_out"]) / o.rounds,
                   "coordinator_memory_base": base, "coordinator_memory_peak": fed.processes["coordinator"].peak_memory(),
                   "hospital_memory_peak": max(fed.processes[n].peak_memory() for n in fed.names),
                   "coordinator_cpu_s": used["coordinator"] / o.rounds,
                   "hospital_cpu_s": sum(used[n] for n in fed.names) / o.hospitals / o.rounds,
                   "load": round(os.getloadavg()[0], 1)}
            if trained:
                row["trainer_s"] = max(t["end"] - t["begin"] for t in trained)
                row["after_training_s"] = h["ended_ms"] / 1000 - max(t["end"] for t in trained)
            out[scheme] = row
            fed.stop()
        shutil.rmtree(folder)
    return out


def many(o, root):
    out = {"machine": machine(), "values": o.values, "bits": o.bits}
    begin = time.time()
    with Federation(root, n=o.hospitals, custody="authority", sites=lambda i, n: "data: {path: phantom}\n", proxied=False,
                    patience=3600) as fed:
        out["provision_s"] = time.time() - begin
        fed.start("coordinator", "notary")
        base = fed.processes["coordinator"].peak_memory()
        job_id = fed.submit(name="many", initial=bytes(4 * o.values), model=None, classes=None, input=None, bits=o.bits, rounds=o.rounds,
                            tensors=[{"name": "w", "shape": [o.values]}], evaluate=False, test=False, deadline_s=3600,
                            samples_max=1024, clip=0.0625)
        r = subprocess.run([os.path.join(BENCH, "msfl-bench-load"), fed.kits, str(o.hospitals), job_id, "--threads",
                            str(o.threads)], capture_output=True, text=True, timeout=3600)
        if r.returncode != 0:
            fed.fail(r.stdout + r.stderr)
        job = fed.wait_end(job_id)
        out.update(json.loads(r.stdout))
        out["history"] = [{k: h[k] for k in ("cohort", "ms_collect", "ms_certify", "ms_release", "ms_open", "bytes_in", "bytes_out")}
                          for h in job["history"]]
        out["state"], out["parameters"] = job["state"], job["parameters"]
        out["coordinator_memory_base"], out["coordinator_memory_peak"] = base, fed.processes["coordinator"].peak_memory()
        out["coordinator_cpu_s"] = cpu_s(fed.processes["coordinator"])[0]
        out["load_after"] = round(os.getloadavg()[0], 1)
        check.check(fed, job_id, verify=False)
        fed.stop()
    return out


def same(o, root):
    data = o.data if o.data == "phantom" else os.path.abspath(o.data)
    share = lambda i, n: f"data:\n  path: {data}\n  share: {{of: {n}, index: {i}, seed: {o.seed}}}\nthreads: 1\n"
    facts = json.loads(subprocess.run([CLI, "data", "inspect", "--data", data, "--json", "--quiet"], capture_output=True, text=True,
                                      check=True).stdout)
    # simulate's public bound: the next power of two above the most that one hospital trains on
    held = json.loads(subprocess.run([CLI, "data", "partition", "--data", data, "--clients", str(o.hospitals), "--partition", "iid",
                                      "--size", str(o.size), "--seed", str(o.seed), "--json", "--quiet"], capture_output=True,
                                     text=True, check=True).stdout)
    bound = 1 << (max(h["train"] for h in held["hospitals"]) - 1).bit_length()
    begin = time.time()
    r = subprocess.run([CLI, "simulate", "--data", data, "--clients", str(o.hospitals), "--rounds", str(o.rounds), "--seed",
                        str(o.seed), "--size", str(o.size), "--compare", "none", "--bootstrap", "20", "--quiet", "--out",
                        os.path.join(root, "simulated"), "--json"], capture_output=True, text=True)
    if r.returncode != 0:
        raise SystemExit(r.stderr)
    simulated = json.loads(r.stdout)
    out = {"machine": machine(), "data": data, "hospitals": o.hospitals, "rounds": o.rounds, "simulate_s": time.time() - begin}
    folder = os.path.join(root, "federation")
    os.makedirs(folder)
    with Federation(folder, n=o.hospitals, sites=share, proxied=False, patience=7200) as fed:
        fed.start()
        begin = time.time()
        job_id = fed.submit(name="same", rounds=o.rounds, classes=[c["name"] for c in facts["classes"]], seed=o.seed, batch=32,
                            input={"height": o.size, "width": o.size, "channels": facts["channels"]}, samples_max=bound,
                            learning_rate=0.001, deadline_s=7200, test=True, plateau_patience=3)
        job = fed.wait_end(job_id, 7200)
        out["federation_s"] = time.time() - begin
        check.check(fed, job_id)
        fed.run("job", "fetch", job_id, "--kit", fed.kit("ops"), "--out", os.path.join(root, "fetched"))
        fed.stop()
    out["history"] = [{k: h[k] for k in ("round", "cohort", "train_loss", "validation_loss", "validation_auc")} for h in job["history"]]
    out["simulated"] = [r["encrypted"] for r in simulated["rounds"]]
    out["test"], out["best_round"], out["simulated_best_round"] = job["test"], job["best_round"], simulated["best_round"]
    out["same"] = {name: weights_of(os.path.join(root, "fetched", name)) == weights_of(os.path.join(root, "simulated", name))
                   for name in ("agg_model_last.h5", "agg_model.h5")}
    return out


def weights_of(path):
    import h5py
    found = []
    with h5py.File(path, "r") as f:
        f.visititems(lambda name, node: found.append((name, node[()].tobytes())) if isinstance(node, h5py.Dataset) else None)
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("large", "many", "same"))
    parser.add_argument("data", nargs="?", default="phantom")
    parser.add_argument("--values", type=int)
    parser.add_argument("--hospitals", type=int)
    parser.add_argument("--bits", type=int, default=16)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemes", default="packed,plain")
    parser.add_argument("--folder", default=None, help="where the processes' files go: a disk with room for all uploads of a round")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    usual = {"large": (25_600_000, 10, 1), "many": (10_000, 1000, 2), "same": (None, 5, 5)}[o.part]
    o.values, o.hospitals, o.rounds = o.values or usual[0], o.hospitals or usual[1], o.rounds or usual[2]
    root = tempfile.mkdtemp(prefix="msfl-bench-", dir=o.folder)
    try:
        out = globals()[o.part](o, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps(out, indent=None if o.json else 1))
    return 0 if out.get("same", {}).get("agg_model_last.h5", True) else 1


if __name__ == "__main__":
    sys.exit(main())
