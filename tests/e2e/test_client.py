"""Hospitals as processes: the same model as simulate whatever is killed, an authority, a trainer in PyTorch, dry runs, policies."""
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools"))
from ports import free_ports  # noqa: E402

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

CLI = os.environ["MSFL_CLI"]
SOURCE = os.environ["MSFL_SOURCE"]
SANITIZED = "MSFL_SANITIZED" in os.environ
SLOW = 4 if SANITIZED else 1
JOB = """format: medsecurefl-job
version: 1
name: chest
model: cnn-small
input: {height: 32, width: 32, channels: 1}
classes: [normal, opacity]
batch: 4
samples_max: 64
seed: 3
validation_fraction: 0.15
attempts: 30
"""


def run(*arguments, status=0, **more):
    done = subprocess.run([CLI, *arguments], capture_output=True, text=True, timeout=120 * SLOW, **more)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done


class Federation:
    def __init__(self, hospitals=3, authority=False, images=120):
        self.folder = tempfile.mkdtemp(prefix="msfl-e2e-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.names = [f"site-{i}" for i in range(hospitals)]
        self.processes = {}
        plan = f"federation: f\ncoordinator: {{name: hub, url: 'https://localhost:{free_ports(1)[0]}'}}\noperators: [{{name: ops}}]\n"
        plan += "hospitals: [" + ", ".join(f"{{name: {n}}}" for n in self.names) + "]\n"
        if authority:
            plan += "authority: {name: notary}\ncommittee: {custody: authority}\n"
        self.write("plan.yaml", plan)
        run("provision", self.path("plan.yaml"), "--out", self.path("kits"))
        for i, name in enumerate(self.names):
            self.site(name, f"data: {{path: phantom, phantom_images: {images}, share: {{of: {hospitals}, index: {i}, "
                            "partition: 'dirichlet:2', seed: 3}}\nthreads: 1\n")
        port = re.search(r"localhost:(\d+)", plan).group(1)
        self.start("hub", "coordinator", "--kit", self.kit("hub"), "--state", self.path("hub"), "--listen", f"127.0.0.1:{port}",
                   "--local", "0")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self.processes.values():
            process.kill()
            process.wait()
        if error[0] is not None:
            for log in glob.glob(self.path("*.log")):
                print(f"--- {log}\n{open(log).read()[-3000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def kit(self, name):
        return self.path("kits", name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def site(self, name, text):
        self.write(f"kits/{name}/site.yaml", text)

    def log(self, name):
        return open(self.path(f"{name}.log")).read()

    def start(self, name, *arguments):
        with open(self.path(f"{name}.log"), "a") as log:
            self.processes[name] = subprocess.Popen([CLI, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def client(self, name, *more, command="client"):
        self.start(name, command, "--kit", self.kit(name), *more)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def wait_for(self, what, seconds=60):
        end = time.time() + seconds * SLOW
        while not what():
            assert time.time() < end, "nothing happened"
            time.sleep(0.05)

    def submit(self, text, *more):
        self.write("job.yaml", text)
        end = time.time() + 20 * SLOW
        while True:
            done = subprocess.run([CLI, "job", "submit", self.path("job.yaml"), "--kit", self.kit("ops"), *more],
                                  capture_output=True, text=True)
            if done.returncode == 0:
                return done.stdout.split()[-1]
            assert time.time() < end, done.stderr
            time.sleep(0.2)

    def status(self):
        return json.loads(run("status", "--kit", self.kit("ops"), "--json").stdout)

    def job(self, identity):
        return next(j for j in self.status()["jobs"] if j["id"] == identity)

    def wait_done(self, identity, seconds=90, meanwhile=lambda: None):
        end = time.time() + seconds * SLOW
        while True:
            job = self.job(identity)
            if job["state"] == "done":
                return job
            assert job["state"] in ("queued", "running"), (job["state"], job["why"])
            assert time.time() < end, json.dumps(job, indent=1)
            meanwhile()
            time.sleep(0.2)

    def fetch(self, identity):
        run("job", "fetch", identity, "--kit", self.kit("ops"), "--out", self.path("got"))
        return self.path("got", "agg_model.h5")


def arrays(path):
    found = {}
    with h5py.File(path) as f:
        f.visititems(lambda name, o: found.__setitem__(name, o[()]) if isinstance(o, h5py.Dataset) else None)
    return found


def test_same_as_simulate():
    """Killed while it trains, encrypts, uploads, waits: the model has the bits that simulate's has."""
    chance = random.Random(5)
    with Federation() as f:
        identity = f.submit(JOB + "rounds: 3\ndeadline_s: 6\ntest: false\n")
        for name in f.names:
            f.client(name)
        kills = 0

        def disturb():
            nonlocal kills
            if kills < 8:
                time.sleep(chance.uniform(0, 0.4))
                f.kill(f.names[kills % 2])
                f.client(f.names[kills % 2])
                kills += 1

        f.wait_done(identity, 180, disturb)
        model = arrays(f.fetch(identity))
        run("simulate", "--data", "phantom", "--phantom-images", "120", "--clients", "3", "--rounds", "3", "--partition",
            "dirichlet:2", "--seed", "3", "--batch", "4", "--size", "32", "--validation-fraction", "0.15", "--compare", "none", "--out",
            f.path("sim"), "--quiet")
        simulated = arrays(f.path("sim", "agg_model.h5"))
        assert model.keys() == simulated.keys()
        for key in model:
            assert np.array_equal(model[key], simulated[key]), key
        for name in f.names:  # what they kept is whole, and theirs is what was opened
            record = json.loads(run("audit", "verify", f.path("kits", name, "state", "audit", identity), "--kit", f.kit(name),
                                    "--allow-gaps", "--json").stdout)
            assert "confirmed" in json.dumps(record)
        print(f"   {kills} kills")


def test_plain():
    """Nothing is encrypted, and only where every hospital's policy says so."""
    with Federation() as f:
        identity = f.submit(JOB + "rounds: 1\ntest: false\nscheme: plain\n")
        for name in f.names:
            f.write(f"kits/{name}/policy.yaml", "schemes: [packed, plain]\n")
            f.client(name)
        job = f.wait_done(identity)
        assert job["history"][0]["cohort"] == 3 and job["history"][0]["validation_loss"] > 0, job
        assert "NOT ENCRYPTED" in f.log("site-0")
        os.remove(f.path("kits/site-0/policy.yaml"))
        f.kill("site-0")
        identity = f.submit(JOB.replace("chest", "again") + "rounds: 1\ntest: false\nscheme: plain\n")
        done = run("client", "--kit", f.kit("site-0"), "--job", identity, "--once", status=9)
        assert "policy schemes" in done.stderr


def test_dry_run():
    """What a dry run says is what a real round sends, to the byte; and it sends nothing."""
    with Federation() as f:
        identity = f.submit(JOB + "rounds: 1\ntest: false\nevaluate: false\n")
        kit = f.kit("site-0")
        offline = json.loads(run("client", "--kit", kit, "--dry-run", f.path("dry-1"), "--job", f.path("job.yaml"),
                                 "--json").stdout)
        f.wait_for(lambda: f.job(identity)["number"] == 1)
        asked = json.loads(run("client", "--kit", kit, "--dry-run", f.path("dry-2"), "--json").stdout)
        run("client", "--kit", kit, "--dry-run", f.path("dry-2"), status=13)  # not empty
        assert asked["job"] == identity and offline["bytes"] == asked["bytes"], (offline, asked)
        for name, summary in (("dry-1", offline), ("dry-2", asked)):
            files = sorted(glob.glob(f.path(name, "messages", "*")))
            assert len(files) == len(summary["messages"])
            assert sum(os.path.getsize(p) + 4 for p in files) == summary["bytes"]
            for message in summary["messages"]:
                assert sum(part["bytes"] for part in message["parts"]) == message["bytes"]
                assert os.path.getsize(f.path(name, message["file"])) == message["bytes"]
            assert "nothing was sent" in open(f.path(name, "summary.txt")).read()
            assert not os.path.exists(f.path(name, "training"))
        # Two encryptions of one update have no chunk in common, not even a run of bytes.
        one, two = (open(f.path(d, "messages", "000000-chunk.bin"), "rb").read() for d in ("dry-1", "dry-2"))
        assert sum(a == b for a, b in zip(one[80:], two[80:])) < len(one) / 50
        hospital = next(h for h in f.job(identity)["hospitals"] if h["name"] == "site-0")
        assert hospital["bytes"] == 0, hospital
        for name in f.names:
            f.client(name)
        f.wait_done(identity)
        sent = re.search(r"(\d+) bytes sent and acknowledged", f.log("site-0"))
        assert int(sent.group(1)) == asked["bytes"], (sent.group(1), asked["bytes"])


def test_policy():
    """A refusal is local, told by its rule, and ends a client that was started for that job alone."""
    with Federation() as f:
        identity = f.submit(JOB + "rounds: 1\n")
        f.write("kits/site-0/policy.yaml", "min_cohort: 5\n")
        done = run("client", "--kit", f.kit("site-0"), "--job", identity, "--once", status=9)
        assert "policy min_cohort" in done.stderr
        hospital = next(h for h in f.job(identity)["hospitals"] if h["name"] == "site-0")
        assert hospital["state"] == "refused" and "min_cohort" in hospital["text"], hospital
        f.write("kits/site-0/policy.yaml", "min_cohort: [\n")
        assert "policy.yaml" in run("client", "--kit", f.kit("site-0"), status=5).stderr
        os.remove(f.path("kits/site-0/policy.yaml"))
        os.remove(f.path("kits/site-0/site.yaml"))
        assert "site.yaml" in run("client", "--kit", f.kit("site-0"), status=14).stderr


def test_greedy_jobs():
    """Jobs whose author would read single images or hospitals out of their sums: with no policy.yaml each is refused by every
    hospital, in one line that names key, value and bound; nothing is sent, the coordinator hears the key alone, and the job
    ends at once."""
    greedy = {
        "images_min": "optimizer: sgd\nlocal_steps: 1\nbatch: 1\n",
        "steps_min": "batch: 1024\n",
        "sgd_rate_max": "optimizer: sgd\nlearning_rate: 50\n",
        "clipped_max": "optimizer: sgd\nclip: 0.0000001\n",
    }
    value = {"images_min": "tells of 1 images (by local_steps, batch, weight_decay and proximal), 8 are the least", "steps_min": "takes 1 steps of Adam, 3 are the least",
             "sgd_rate_max": "is 500 in the job, 1 is the most", "clipped_max": "0.01 is the most"}
    with Federation() as f:
        for name in f.names:
            f.client(name)
        for key, more in greedy.items():
            text = JOB if "batch" not in more else JOB.replace("batch: 4\n", "")
            identity = f.submit(text.replace("chest", key.replace("_", "-")) + "rounds: 1\ndeadline_s: 3600\n" + more)
            f.wait_for(lambda: f.job(identity)["state"] not in ("queued", "running"))
            job = f.job(identity)
            assert (job["state"], job["why"]) == ("failed", f"every hospital refuses it: policy {key}"), (job["state"], job["why"])
            for name in f.names:
                line = next(x for x in f.log(name).splitlines() if identity in x and f"policy {key}: " in x)
                assert value[key] in line, line
        for name in f.names:
            assert "bytes sent" not in f.log(name)
        assert not os.path.exists(f.path("hub", "spool")) or not [p for p in glob.glob(f.path("hub", "spool", "*", "*")) if
                                                                   os.path.getsize(p) > 4096]


def test_authority():
    """One key holder that trains nothing, and a graceful end."""
    with Federation(authority=True) as f:
        identity = f.submit(JOB + "rounds: 1\ntest: false\n")
        for name in f.names:
            f.client(name, "--once")
        f.client("notary", command="authority")
        job = f.wait_done(identity)
        assert job["history"][0]["cohort"] == 3
        for name in f.names:
            assert f.processes[name].wait(30) == 0
        f.processes["notary"].send_signal(signal.SIGTERM)
        assert f.processes["notary"].wait(10) == 0
        for line in f.log("notary").splitlines():
            json.loads(line)


def test_pytorch():
    """A network that only the hospitals' own trainer knows."""
    try:
        import torch  # noqa: F401
    except ImportError:
        print("   skipped: no torch")
        return
    trainer = os.path.join(SOURCE, "examples/pytorch_trainer/train.py")
    python = os.environ["MSFL_PYTHON"]
    with Federation() as f:
        g = np.random.default_rng(7)
        for i, name in enumerate(f.names):
            y = g.integers(0, 2, 60)
            x = g.integers(0, 90, (60, 16, 16))
            x[:, 4:12, 4:12] += (y * 90)[:, None, None]
            np.savez(f.path(f"data-{i}.npz"), x=x.astype(np.uint8), y=y, group=np.arange(60) // 2)
            f.site(name, f"data: {{path: '{f.path(f'data-{i}.npz')}'}}\ntrainer:\n  command: [{python}, {trainer}]\n"
                         "  timeout_s: 100\n")
        described = subprocess.run([python, trainer, "--describe", "lungs"], capture_output=True, text=True, check=True).stdout
        subprocess.run([python, trainer, "--initial", f.path("initial.f32")], check=True)
        described = described.replace("local_epochs: 2\n", "").replace("rounds: 5", "rounds: 1\nlocal_epochs: 4\ntest: false")
        identity = f.submit(described, "--initial", f.path("initial.f32"))
        for name in f.names:
            f.client(name)
        job = f.wait_done(identity, 150)
        figures = job["history"][0]
        assert figures["validation_auc"] > 0.9 and figures["train_accuracy"] > 0.6, figures
        assert "own session, no new privileges, no network" in f.log("site-0")


for name, test in list(globals().items()):
    if name.startswith("test_") and (len(sys.argv) < 2 or name in sys.argv[1:]):
        before = time.time()
        test()
        print(f"{name}: ok, {time.time() - before:.1f} s", flush=True)
