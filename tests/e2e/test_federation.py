"""Whole federations over loopback: a coordinator and its hospitals as processes, and the model they end with held bit by bit
against `simulate` of the same seed. Killed coordinators, jobs that are aborted, rosters that change."""
import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tools")]
from common import CLI, SANITIZED, CliTest, main, run  # noqa: E402
from ports import free_ports  # noqa: E402

import h5py  # noqa: E402
import numpy as np  # noqa: E402

PATIENCE = 240 if SANITIZED else 90
IMAGES, SIDE = 120, 16

JOB = """format: medsecurefl-job
version: 1
name: tiny
model: cnn-small
input: {{height: {side}, width: {side}, channels: 1}}
classes: [{classes}]
rounds: {rounds}
batch: 4
samples_max: 32
deadline_s: {deadline}
seed: 5
scheme: {scheme}
{more}"""

SITE = """data:
  path: phantom
  phantom_images: {images}
  share: {{of: {of}, index: {index}, partition: iid, seed: 5}}
threads: 1
"""


def weights_of(path):
    """All weights of a model file, by name."""
    found = {}
    with h5py.File(path, "r") as f:
        f["model_weights"].visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


class Federation(CliTest):
    hospitals = ("hospital-a", "hospital-b", "hospital-c")
    more_of_plan = ""

    def setUp(self):
        super().setUp()
        self.running = {}
        self.addCleanup(self.stop_all)
        self.port = free_ports(1)[0]
        with open(self.path("plan.yaml"), "w", encoding="utf-8") as f:
            f.write("federation: chest\n"
                    f"coordinator: {{name: hub, url: 'https://localhost:{self.port}', hosts: [127.0.0.1]}}\n"
                    f"hospitals: [{', '.join('{name: ' + h + '}' for h in self.hospitals)}]\n"
                    "operators: [{name: ada}]\n" + self.more_of_plan)
        self.ok("provision", self.path("plan.yaml"), "--out", self.path("kits"))
        for i, name in enumerate(self.hospitals):
            self.write(("kits", name, "site.yaml"), SITE.format(images=IMAGES, of=len(self.hospitals), index=i))

    def write(self, where, text):
        with open(self.path(*where), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(*where)

    # --- processes ---

    def start(self, name, *args):
        log = open(self.path(name + ".log"), "a", encoding="utf-8")
        process = subprocess.Popen([CLI, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                   text=True)
        log.close()
        self.running[name] = process
        return process

    def start_hub(self, *more):
        hub = self.start("hub", "coordinator", "--kit", self.path("kits", "hub"), "--listen",
                         f"127.0.0.1:{self.port}", "--local", "0", *more)
        line = hub.stdout.readline()
        found = re.search(r"http://127.0.0.1:(\d+)/", line)
        self.assertIsNotNone(found, line + self.log("hub"))
        self.local = f"http://127.0.0.1:{found.group(1)}"

    def start_hospital(self, name, *more):
        return self.start(name, "client", "--kit", self.path("kits", name), "--quiet", *more)

    def stop(self, name, how=signal.SIGTERM):
        process = self.running.pop(name)
        process.send_signal(how)
        code = process.wait(timeout=PATIENCE)
        process.stdout.close()
        return code

    def stop_all(self):
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)

    def log(self, name):
        with open(self.path(name + ".log"), encoding="utf-8") as f:
            return f.read()

    def logs(self):
        return "\n".join(f"--- {n}\n{self.log(n)[-3000:]}" for n in ("hub", *self.hospitals)
                         if os.path.exists(self.path(n + ".log")))

    # --- jobs ---

    def submit(self, rounds=2, deadline=120, scheme="packed", more="", classes="normal, opacity"):
        path = self.write(("job.yaml",), JOB.format(side=SIDE, rounds=rounds, deadline=deadline, scheme=scheme,
                                                    classes=classes, more=more))
        return self.ok("job", "submit", path, "--kit", self.path("kits", "ada")).stdout.strip()

    def show(self, job):
        return self.ok_json("job", "show", job, "--kit", self.path("kits", "ada"))

    def status(self):
        with urllib.request.urlopen(self.local + "/v1/status", timeout=10) as answer:
            return json.load(answer)

    def job(self, job):
        return next(j for j in self.status()["jobs"] if j["id"] == job)

    def wait(self, job, wanted=lambda j: j["state"] not in ("queued", "running")):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.job(job)
            if wanted(found):
                return found
            time.sleep(0.05)
        self.fail(f"{job} did not get there: {json.dumps(self.job(job), indent=1)[:3000]}\n{self.logs()}")

    def simulate(self, rounds=2, *more):
        out = self.path("simulated")
        self.ok("simulate", "--data", "phantom", "--phantom-images", IMAGES, "--size", SIDE, "--clients",
                len(self.hospitals), "--rounds", rounds, "--batch", 4, "--seed", 5, "--compare", "none", "--bootstrap", 1, "--quiet",
                "--out", out, *more)
        return out

    def fetch(self, job):
        out = self.path("fetched")
        self.ok("job", "fetch", job, "--kit", self.path("kits", "ada"), "--out", out)
        return out

    def same_model(self, a, b):
        for name in ("agg_model.h5", "agg_model_last.h5"):
            one, other = weights_of(os.path.join(a, name)), weights_of(os.path.join(b, name))
            self.assertEqual(sorted(one), sorted(other))
            for key, value in one.items():
                self.assertEqual(value.tobytes(), other[key].tobytes(), f"{name}: {key}")


class TestThree(Federation):
    def test_same_as_simulate(self):
        self.start_hub()
        job = self.submit(rounds=2)
        for name in self.hospitals:
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        shown = self.show(job)
        self.assertEqual([h["cohort"] for h in shown["history"]], [3, 3])
        fetched = self.fetch(job)
        self.same_model(fetched, self.simulate(2))
        with open(os.path.join(fetched, "result.json"), encoding="utf-8") as f:
            result = json.load(f)
        self.assertEqual((result["state"], result["rounds_done"], result["encrypts"]), ("done", 2, True))
        self.assertGreater(result["encrypted"]["n"], 0)
        with zipfile.ZipFile(os.path.join(fetched, "audit.zip")) as z:
            self.assertIsNone(z.testzip())
            z.extractall(self.path("audit"))
        self.ok("audit", "verify", self.path("audit"), "--kit", self.path("kits", self.hospitals[0]))

    def test_adaptive_server_same_as_simulate(self):
        """fedadam and the mean of the last rounds: what the coordinator carries from round to round survives its death, and the
        model is that of simulate."""
        self.start_hub()
        job = self.submit(rounds=6, more="aggregate: fedadam\nserver_learning_rate: 0.01\nschedule: linear\nlocal_steps: 2\n"
                          "logit_adjustment: 1\noptimizer: sgd\nmomentum: 0\nlearning_rate: 0.1\naverage_rounds: 4\n")
        for name in self.hospitals:
            self.start_hospital(name)
        deaths, end = 0, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.job(job)
            if found["state"] not in ("queued", "running"):
                break
            if found["round"] < 2 + deaths or deaths == 3:
                time.sleep(0.01)
                continue
            self.stop("hub", signal.SIGKILL)
            self.start_hub()
            deaths += 1
        self.assertEqual(self.job(job)["state"], "done", self.logs())
        self.assertEqual(deaths, 3)
        simulated = self.simulate(6, "--aggregate", "fedadam", "--server-lr", 0.01, "--schedule", "linear", "--local-steps", 2,
                                  "--logit-adjust", 1, "--optimizer", "sgd", "--momentum", 0, "--lr", 0.1, "--average-rounds", 4)
        self.same_model(self.fetch(job), simulated)
        self.assertEqual(os.stat(self.path("kits", "hub", "state")).st_mode & 0o077, 0)
        kept = os.listdir(self.path("kits", "hub", "state", "jobs", job, "models"))
        self.assertLessEqual(len([f for f in kept if f.endswith(".moments")]), 2, kept)

    def test_norms_that_stay_same_as_simulate(self):
        """FedBN over the network, hospitals killed between rounds: their normalisation layers are kept at home, the model
        and each hospital's own model are those of simulate; an update is shorter by them."""
        self.start_hub()
        job = self.submit(rounds=4, more="norms: local\nproximal: 0.1\nlearning_rate: 0.02\n")
        for name in self.hospitals:
            self.start_hospital(name)
        deaths, seen, end = 0, set(), time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.job(job)
            if found["state"] not in ("queued", "running"):
                break
            at = (found["round"], found["kind"])
            if at in seen or found["round"] < 2:
                time.sleep(0.01)
                continue
            seen.add(at)
            name = self.hospitals[deaths % 3]
            self.stop(name, signal.SIGKILL)
            self.start_hospital(name)
            deaths += 1
        self.assertEqual(self.job(job)["state"], "done", self.logs())
        self.assertGreater(deaths, 2)
        options = ("--norms", "local", "--proximal", 0.1, "--lr", 0.02)
        fetched, simulated = self.fetch(job), self.simulate(4, *options)
        self.same_model(fetched, simulated)
        with open(os.path.join(simulated, "result.json"), encoding="utf-8") as f:
            result = json.load(f)
        history = self.show(job)["history"]
        for mine, theirs in zip(history, result["rounds"]):
            for key in ("train_loss", "validation_loss", "validation_accuracy"):
                self.assertEqual(mine[key], theirs["encrypted"][key], key)
        for k, name in enumerate(self.hospitals):
            folder = self.path("kits", name, "state", "jobs", job)
            self.assertIn("norms-0000004", os.listdir(folder))
            own = weights_of(os.path.join(folder, "own_model.h5"))
            wanted = weights_of(os.path.join(simulated, "personal", f"hospital-{k + 1}.h5"))
            self.assertEqual(sorted(own), sorted(wanted))
            for key, value in own.items():
                self.assertEqual(value.tobytes(), wanted[key].tobytes(), f"{name}: {key}")
        # What was uploaded: kernels and biases alone.
        with open(os.path.join(fetched, "agg_model.h5"), "rb") as f:
            self.assertTrue(f.read(4))
        federated = weights_of(os.path.join(fetched, "agg_model.h5"))
        self.assertTrue(all((v == 1).all() for key, v in federated.items() if "gamma" in key))

    def test_flips_and_words_of_augmentation(self):
        """Words that mean nothing are refused at submission; flips by every hospital whose data nothing speaks for, with what
        to do; who says it in site.yaml takes part."""
        self.start_hub()
        bad = self.write(("bad.yaml",), JOB.format(side=SIDE, rounds=1, deadline=120, scheme="packed",
                                                   classes="normal, opacity", more="augmentation: \"sharpen=3\"\n"))
        self.fails(2, "what is 'sharpen=3'", "job", "submit", bad, "--kit", self.path("kits", "ada"))
        job = self.submit(rounds=1, more="augmentation: \"default,flip-horizontal\"\n")
        for name in self.hospitals:
            self.start_hospital(name)
        found = self.wait(job)  # nobody is left whom its deadline could bring
        self.assertEqual(found["state"], "failed", self.logs())
        self.assertIn("every hospital refuses it: ", found["why"])
        self.assertIn("mirrors pictures", found["why"])
        self.assertEqual(found["why"].count("mirrors pictures"), 1)
        self.assertIn("laterality: irrelevant", self.log(self.hospitals[0]))
        job = self.submit(rounds=1, more="augmentation: \"default,flip-horizontal\"\n")
        for i, name in enumerate(self.hospitals):
            self.stop(name)
            with open(self.path("kits", name, "site.yaml"), "a+", encoding="utf-8") as f:
                f.seek(0)
                text = f.read()
                f.truncate(0)
                f.write(text.replace("  path: phantom\n", "  path: phantom\n  laterality: irrelevant\n"))
            self.start_hospital(name)
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        self.same_model(self.fetch(job), self.simulate(1, "--augment", "default,flip-horizontal"))

    def test_plain_same_as_simulate(self):
        """Scheme plain by its name and the hospitals' leave: the same fixed point, the same model."""
        self.start_hub()
        job = self.submit(rounds=2, scheme="plain")
        for name in self.hospitals:
            self.write(("kits", name, "policy.yaml"), "schemes: [plain]\n")
            self.start_hospital(name)
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        self.same_model(self.fetch(job), self.simulate(2, "--scheme", "plain"))

    def test_killed_and_stopped(self):
        """kill -9 whenever the coordinator is found in another phase, SIGTERM in between; the model is the same."""
        self.start_hub()
        job = self.submit(rounds=3, deadline=15, more="local_epochs: 2\nattempts: 50\n")
        for name in self.hospitals:
            self.start_hospital(name)
        seen, deaths, end = set(), 0, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.job(job)
            if found["state"] not in ("queued", "running"):
                break
            at = (found["round"], found["kind"], found["phase"], sum(h["state"] == "uploaded" for h in found["hospitals"]))
            if at in seen or len(seen) >= 12:
                time.sleep(0.01)
                continue
            seen.add(at)
            code = self.stop("hub", signal.SIGKILL if deaths % 3 != 2 else signal.SIGTERM)
            self.assertEqual(code, -signal.SIGKILL if deaths % 3 != 2 else 0, self.logs())
            deaths += 1
            self.start_hub()
        self.assertEqual(self.job(job)["state"], "done", self.logs())
        self.assertGreater(deaths, 4)
        shown = self.show(job)
        self.assertEqual([h["cohort"] for h in shown["history"]], [3, 3, 3], self.logs())
        self.same_model(self.fetch(job), self.simulate(3, "--local-epochs", 2))


class TestFour(Federation):
    hospitals = ("hospital-a", "hospital-b", "hospital-c", "hospital-d")

    def test_a_hospital_that_is_late(self):
        """Three of four are enough; the fourth comes later and takes part from the next round on."""
        self.start_hub()
        job = self.submit(rounds=2, deadline=20, more="target_cohort: 3\nvalidation_fraction: 0.3\n")
        for name in self.hospitals[:3]:
            self.start_hospital(name)
        self.wait(job, lambda j: j["round"] >= 2)
        self.start_hospital(self.hospitals[3])
        self.wait(job)
        history = self.show(job)["history"]
        self.assertEqual(history[0]["cohort"], 3)
        self.assertGreaterEqual(history[1]["cohort"], 3)

    def test_too_few(self):
        """Below the minimum at the deadline: given up, and failed after so many attempts; abort is for those who wait."""
        self.start_hub()
        job = self.submit(rounds=1, deadline=5, more="attempts: 1\n")
        other = self.submit(rounds=1, deadline=5)
        self.ok("job", "abort", other, "--kit", self.path("kits", "ada"), "--reason", "not this one")
        self.start_hospital(self.hospitals[0])
        found = self.wait(job)
        self.assertEqual(found["state"], "failed")
        self.assertIn("too few uploads", found["why"])
        self.assertEqual([a["outcome"] for a in self.show(job)["attempts"]], ["aborted"])
        self.assertEqual(self.wait(other)["state"], "aborted")
        self.fails(9, "has ended", "job", "abort", job, "--kit", self.path("kits", "ada"), "--reason", "x")
        self.fails(14, "no job", "job", "show", "tiny-00000000", "--kit", self.path("kits", "ada"))

    def test_roster_changes(self):
        """A hospital is revoked while a round is open: the round is given up, the job goes on as another task."""
        self.start_hub()
        job = self.submit(rounds=2, deadline=20)  # who trips over the change comes with the next attempt
        for name in self.hospitals[:2]:
            self.start_hospital(name)
        before = self.wait(job, lambda j: sum(h["state"] == "uploaded" for h in j["hospitals"]) == 2)
        self.ok("provision", "revoke", "--name", self.hospitals[3], "--ca", self.path("kits", "ca"), "--reason", "moved")
        with open(self.path("kits", "ca", "roster.yaml"), "rb") as f:
            roster = f.read()
        with open(self.path("kits", "hub", "roster.yaml"), "wb") as f:
            f.write(roster)
        self.running["hub"].send_signal(signal.SIGHUP)
        self.start_hospital(self.hospitals[2])
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        self.assertNotEqual(found["task"], before["task"])
        shown = self.show(job)
        self.assertEqual([h["cohort"] for h in shown["history"]], [3, 3])
        self.assertIn("roster", shown["attempts"][0]["why"])
        with zipfile.ZipFile(os.path.join(self.fetch(job), "audit.zip")) as z:
            self.assertEqual(sum(n.startswith("roster-") for n in z.namelist()), 2)


class TestAuthority(Federation):
    more_of_plan = "authority: {name: notary}\ncommittee: {custody: authority}\n"

    def test_one_authority(self):
        """A separate party holds what opens the sums, and is away at first."""
        self.start_hub()
        job = self.submit(rounds=1)
        for name in self.hospitals:
            self.start_hospital(name)
        self.wait(job, lambda j: j["phase"] == "certifying")
        self.start("notary", "authority", "--kit", self.path("kits", "notary"), "--quiet")
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        self.assertEqual(self.status()["trust"]["custody"], "authority")
        self.same_model(self.fetch(job), self.simulate(1))


class TestCustodyOfTheCoordinator(Federation):
    more_of_plan = "committee: {custody: coordinator}\n"

    def test_insecure_by_name(self):
        """Only where every hospital's policy names it; the coordinator answers itself."""
        self.start_hub()
        job = self.submit(rounds=1, deadline=60)
        self.start_hospital(self.hospitals[0])
        self.wait(job, lambda j: any(h["state"] == "refused" for h in j["hospitals"]))
        self.stop(self.hospitals[0])
        for name in self.hospitals:
            self.write(("kits", name, "policy.yaml"), "custody: [coordinator]\n")
            self.start_hospital(name)
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        self.assertEqual(self.status()["trust"]["custody"], "coordinator")
        self.same_model(self.fetch(job), self.simulate(1))


class TestPlain(Federation):
    """Scheme plain, by hospitals that are this script: nothing of the program but its coordinator."""

    def setUp(self):
        super().setUp()
        self.links = {}
        for name in self.hospitals:
            context = ssl.create_default_context(cafile=self.path("kits", name, "ca.pem"))
            context.load_cert_chain(self.path("kits", name, "tls.pem"), self.path("kits", name, "tls.key"))
            self.links[name] = context

    def ask(self, name, method, path, body=b"", headers=None):
        link = http.client.HTTPSConnection("localhost", self.port, context=self.links[name], timeout=30)
        try:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            link.close()

    @staticmethod
    def upload_hash(content):
        label = b"msfl.net.upload.v1"
        return hashlib.blake2b(struct.pack("<Q", len(label)) + label + content, digest_size=32).hexdigest()

    def put(self, name, path, content, at=0, hash_of=None):
        return self.ask(name, "PUT", path, content[at:], {
            "Content-Range": f"bytes {at}-{len(content) - 1}/{len(content)}",
            "Upload-Hash": self.upload_hash(content if hash_of is None else hash_of)})

    def plan(self, name, job):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            status, body, _ = self.ask(name, "GET", f"/v1/jobs/{job}/inbox")
            if status == 200:
                n = struct.unpack("<I", body[:4])[0]
                self.assertEqual(n, len(body) - 4)
                return json.loads(body[4:])
            if self.job(job)["state"] not in ("queued", "running"):
                return None
            time.sleep(0.02)
        return self.fail("no plan\n" + self.logs())

    def test_what_is_served(self):
        """Routes, who may use them, and what is refused."""
        self.start_hub()
        for name in (*self.hospitals, "ada", "hub"):
            context = ssl.create_default_context(cafile=self.path("kits", name, "ca.pem"))
            context.load_cert_chain(self.path("kits", name, "tls.pem"), self.path("kits", name, "tls.key"))
            self.links[name] = context
        act = {"X-Msfl-Action": "1"}
        with urllib.request.urlopen(self.local + "/v1/events", timeout=10) as events:
            job = self.submit()
            lines = []
            while not any(line.startswith(b"data: {\"version\"") for line in lines):
                lines.append(events.readline())
            event = json.loads(lines[-1][6:])
        self.assertTrue(any(line == b"event: status\n" for line in lines))
        self.assertNotIn("history", event["jobs"][0])
        for path in ("/", "/style.css", "/app.js", "/chart.js", "/healthz", "/metrics", "/v1/status", "/v1/me"):
            with urllib.request.urlopen(self.local + path, timeout=10) as answer:
                self.assertEqual(answer.status, 200)
        with urllib.request.urlopen(self.local + "/metrics", timeout=10) as answer:
            self.assertIn(b'msfl_jobs{state="running"} 1', answer.read())
        a = self.hospitals[0]
        for name in (a, "ada", "hub"):
            for path in ("/v1/roster", "/v1/jobs", f"/v1/jobs/{job}", f"/v1/jobs/{job}/rounds/1",
                         f"/v1/jobs/{job}/models/0", "/v1/status", "/"):
                self.assertEqual(self.ask(name, "GET", path)[0], 200, path)
        version = int(self.ask(a, "GET", "/v1/jobs")[2]["X-Msfl-Version"])
        began = time.monotonic()
        self.assertEqual(self.ask(a, "GET", "/v1/jobs", headers={"X-Msfl-Seen": version, "X-Msfl-Wait": 1})[0], 200)
        self.assertGreater(time.monotonic() - began, 0.9)
        status, body, _ = self.ask(a, "GET", f"/v1/jobs/{job}/models/0", headers={"Range": "bytes=4-11"})
        self.assertEqual((status, len(body)), (206, 8))
        refused = ((404, a, "GET", "/v1/jobs/other-00000000", b"", {}), (404, a, "GET", f"/v1/jobs/{job}/rounds/9", b"", {}),
                   (404, a, "GET", f"/v1/jobs/{job}/models/1", b"", {}), (403, a, "POST", "/v1/jobs", b"{}", act),
                   (403, a, "GET", f"/v1/jobs/{job}/files", b"", {}), (403, "ada", "GET", f"/v1/jobs/{job}/inbox", b"", {}),
                   (403, "ada", "POST", f"/v1/jobs/{job}/abort", b'{"reason":"x"}', {}),
                   (403, "ada", "POST", "/v1/roster", b"x", {}), (400, "ada", "POST", "/v1/jobs", b"{}", act),
                   (413, "ada", "POST", "/v1/jobs", b" " * (1 << 20) + b"{}", act),
                   (400, a, "POST", f"/v1/jobs/{job}/report", b'{"state":"flying"}', {"Content-Type": "application/json"}),
                   (400, a, "POST", f"/v1/jobs/{job}/outbox", b"\0\0\0\0",
                    {"Content-Type": "application/vnd.medsecurefl.frames"}),
                   (400, a, "POST", f"/v1/jobs/{job}/outbox", struct.pack("<I", 60) + b"x" * 60,
                    {"Content-Type": "application/vnd.medsecurefl.frames"}),
                   (400, a, "POST", f"/v1/jobs/{job}/outbox", b"", {"Content-Type": "text/plain"}),
                   (403, a, "PUT", f"/v1/jobs/{job}/plain/r1", b"x", {"Content-Range": "bytes 0-0/1"}))
        for code, name, method, path, body, headers in refused:
            status, answer, _ = self.ask(name, method, path, body, headers)
            self.assertEqual(status, code, (name, method, path, answer))
            self.assertIn("status", json.loads(answer), (method, path))
        # a roster over the wire: the same again is fine, an older one is not
        with open(self.path("kits", "hub", "roster.yaml"), "rb") as f:
            old = f.read()
        self.assertEqual(self.ask("ada", "POST", "/v1/roster", old, act)[0], 200)
        self.ok("provision", "revoke", "--name", self.hospitals[2], "--ca", self.path("kits", "ca"), "--reason", "moved")
        with open(self.path("kits", "ca", "roster.yaml"), "rb") as f:
            new = f.read()
        self.assertEqual(self.ask("ada", "POST", "/v1/roster", new, act)[0], 200)
        self.assertGreaterEqual(self.ask("ada", "POST", "/v1/roster", old, act)[0], 400)
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.ask(self.hospitals[2], "GET", "/v1/jobs")
        self.wait(job, lambda j: "2 hospitals" in j["phase_text"])  # too few for this job now
        began = time.monotonic()
        waiting = threading.Thread(target=lambda: self.ask(a, "GET", "/v1/jobs", headers={
            "X-Msfl-Seen": self.ask(a, "GET", "/v1/jobs")[2]["X-Msfl-Version"], "X-Msfl-Wait": 25}))
        waiting.start()
        time.sleep(0.5)
        self.assertEqual(self.stop("hub"), 0)
        waiting.join()
        self.assertLess(time.monotonic() - began, 10)  # who waits does not hold up the stop

    def test_plain(self):
        self.start_hub()
        rng = np.random.default_rng(3)
        start = rng.normal(size=3000).astype("<f4")
        start.tofile(self.path("start.f32"))
        path = self.write(("plain.yaml",), "format: medsecurefl-job\nversion: 1\nname: open\nscheme: plain\nrounds: 2\n"
                          "tensors: [{name: w, shape: [30, 100]}]\nsamples_max: 100\ndeadline_s: 60\n")
        job = self.ok("job", "submit", path, "--kit", self.path("kits", "ada"), "--initial",
                      self.path("start.f32")).stdout.strip()
        weights, counts, kinds = start, [10, 37, 100], []
        while True:
            plan = self.plan(self.hospitals[0], job)
            if plan is None:
                break
            kinds.append(plan["kind"])
            url = f"/v1/jobs/{job}/plain/r{plan['number']}"
            sums, total = np.zeros(3000, np.int64), sum(counts)
            for i, name in enumerate(self.hospitals):
                self.assertEqual(self.plan(name, job), plan)
                if plan["kind"] == "update":
                    status, body, _ = self.ask(name, "GET", f"/v1/jobs/{job}/models/{plan['model']}")
                    self.assertEqual((status, body), (200, weights.tobytes()))
                    values = rng.normal(scale=0.1, size=3000).astype("<f4")
                    content = struct.pack("<IQQQQQ", 5, counts[i], 1, 2, 3, 0) + values.tobytes()
                    sums += np.rint(np.float64(counts[i] / 100) * values.astype(np.float64) * 2.0**36).astype(np.int64)
                else:
                    content = struct.pack("<I52Q", 52, 1, 10, 7, 1024, *([1] * 48))
                if i == 0:  # what is wrong is refused, and may be sent again
                    bad = content[:-4] + struct.pack("<f", float("nan")) if plan["kind"] == "update" else content[:-8]
                    self.assertGreaterEqual(self.put(name, url, bad)[0], 400)
                    self.assertEqual(self.put(name, url, content, hash_of=b"x")[0], 422)
                    self.assertEqual(self.ask(name, "PUT", f"/v1/jobs/{job}/plain/r99", content, {
                        "Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"})[0], 404)
                if i == 1:  # in two pieces, with the coordinator killed in between
                    half = len(content) // 2
                    status, _, _ = self.ask(name, "PUT", url, content[:half],
                                            {"Content-Range": f"bytes 0-{half - 1}/{len(content)}"})
                    self.assertEqual(status, 202)
                    self.stop("hub", signal.SIGKILL)
                    self.start_hub()
                    status, _, headers = self.ask(name, "GET", url)
                    self.assertEqual((status, int(headers["Upload-Offset"])), (200, half))
                    self.assertEqual(self.put(name, url, content, half)[0], 201, self.logs())
                else:
                    self.assertEqual(self.put(name, url, content)[0], 201, self.logs())
                if i + 1 < len(self.hospitals):
                    self.assertEqual(self.ask(name, "GET", f"/v1/jobs/{job}/inbox")[0], 204)
            if plan["kind"] == "update":
                mean = (sums.astype(np.float64) / 2.0**36 / (total / 100)).astype(np.float32)
                weights = (weights + mean).astype("<f4")
            self.wait(job, lambda j: j["state"] == "done" or j["number"] > plan["number"])
        self.assertEqual(kinds, ["update", "evaluate", "update", "evaluate", "test"])
        fetched = self.fetch(job)
        with open(os.path.join(fetched, "agg_model_last.f32"), "rb") as f:
            self.assertEqual(f.read(), weights.tobytes())
        found = self.job(job)
        self.assertFalse(found["encrypts"])
        self.assertIn("NOT ENCRYPTED", found["parameters"])
        self.assertEqual(found["test"]["n"], 30)
        self.assertIn("NOT ENCRYPTED", self.ok("job", "list", "--kit", self.path("kits", "ada")).stdout)
        with open(os.path.join(fetched, "result.json"), encoding="utf-8") as f:
            self.assertFalse(json.load(f)["encrypts"])


if __name__ == "__main__":
    if "  client " not in run("help").stdout:
        print("skipped: this program has no client")
        sys.exit(77)
    main()
