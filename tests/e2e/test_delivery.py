"""Delivery to the hospitals, with real processes: the coordinator adds ciphertexts and never has a sum or a model. Each hospital
ends with the bits that `simulate` ends with; processes are killed; nothing of the model is in anything that the coordinator keeps."""
import http.client
import json
import os
import signal
import ssl
import sys
import time
import unittest
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import main, run  # noqa: E402
from test_federation import JOB, PATIENCE, Federation, weights_of  # noqa: E402

# Every hospital has validation images: else there is nothing to decide the course by.
MORE = "delivery: clients\nvalidation_fraction: 0.3\n"
SAME = ("--validation-fraction", 0.3)


class Delivery(Federation):
    def made(self, name, job):
        return self.path("kits", name, "state", "jobs", job)

    def wait_for(self, found, what):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found():
                return
            time.sleep(0.05)
        self.fail(f"{what}\n{self.logs()}")

    def all_have(self, job, simulated, names=None):
        """Every hospital ends with the simulated models, whatever was killed meanwhile."""
        for name in names or self.hospitals:
            self.wait_for(lambda n=name: self.is_tested(n, job), f"{name} has no result")
            self.same_model(self.made(name, job), simulated)

    def is_tested(self, name, job):
        try:
            with open(os.path.join(self.made(name, job), "result.json"), encoding="utf-8") as f:
                return json.load(f)["encrypted"] is not None
        except FileNotFoundError:
            return False

    def ask(self, name, method, path, body=b"", headers=None):
        context = ssl.create_default_context(cafile=self.path("kits", name, "ca.pem"))
        context.load_cert_chain(self.path("kits", name, "tls.pem"), self.path("kits", name, "tls.key"))
        link = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=30)
        try:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def no_trace(self, models):
        """No four neighbouring weights of any model in any file of the coordinator's state, nor in its log."""
        needles = set()
        for path in models:
            for name, value in weights_of(path).items():
                flat = value.astype("<f4").ravel()
                if "gamma" in name or "beta" in name or "bias" in name or len(flat) < 64:
                    continue  # zeros and ones
                needles.update(flat[i:i + 4].tobytes() for i in range(0, len(flat) - 4, max(1, len(flat) // 64)))
        self.assertGreater(len(needles), 100)
        n_files = 0
        for where, _, files in os.walk(self.path("kits", "hub", "state")):
            for file in files:
                with open(os.path.join(where, file), "rb") as f:
                    content = f.read()
                n_files += 1
                if os.path.basename(file) == "000000.f32":
                    continue  # the initial weights follow from a public seed
                for needle in needles:
                    self.assertNotIn(needle, content, os.path.join(where, file))
        self.assertGreater(n_files, 3)
        self.assertFalse([f for w, _, fs in os.walk(self.path("kits", "hub", "state")) for f in fs
                          if f.startswith("agg_model") or (f.endswith(".f32") and f != "000000.f32")])


class TestDelivery(Delivery):
    def test_same_as_simulate(self):
        self.start_hub()
        job = self.submit(rounds=3, more=MORE)
        for name in self.hospitals:
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        self.assertEqual(found["delivery"], "clients")
        self.assertEqual(found["figures"], "known to the hospitals alone")
        shown = self.show(job)
        self.assertEqual([h["cohort"] for h in shown["history"]], [3, 3, 3])
        for h in shown["history"]:
            self.assertIsNone(h["train_loss"])
            self.assertIsNone(h["validation_loss"])
            self.assertIsNone(h["learning_rate"])
        simulated = self.simulate(3, *SAME)
        self.all_have(job, simulated)
        # Figures are those of the simulation, at the hospitals; result and record at the coordinator.
        for name in self.hospitals:
            with open(os.path.join(self.made(name, job), "metrics.jsonl"), encoding="utf-8") as f:
                rounds = [json.loads(line) for line in f]
            with open(os.path.join(simulated, "metrics.jsonl"), encoding="utf-8") as f:
                expected = [json.loads(line) for line in f]
            self.assertNotIn(None, [r["encrypted"]["validation_loss"] for r in rounds])
        self.assertEqual([r["encrypted"]["validation_loss"] for r in rounds],
                             [r["encrypted"]["validation_loss"] for r in expected])
        self.assertEqual(len(rounds), 3)
        texts = [self.log("hub"), json.dumps(shown), json.dumps(self.status())]
        for name in ("metrics.jsonl", "result.json"):
            with open(self.path("kits", "hub", "state", "jobs", job, name), encoding="utf-8") as f:
                texts.append(f.read())
        for r in rounds:
            for key in ("train_loss", "validation_loss", "validation_auc"):
                for text in texts:
                    self.assertNotIn(f"{r['encrypted'][key]:.6f}", text)
                    self.assertNotIn(repr(r["encrypted"][key])[:9], text)
        self.no_trace([os.path.join(self.made(self.hospitals[0], job), n) for n in ("agg_model.h5", "agg_model_last.h5")])
        fetched = self.fetch(job)
        with open(os.path.join(fetched, "result.json"), encoding="utf-8") as f:
            result = json.load(f)
        self.assertEqual((result["state"], result["rounds_done"]), ("done", 3))
        self.assertFalse(os.path.exists(os.path.join(fetched, "agg_model.h5")))
        with zipfile.ZipFile(os.path.join(fetched, "audit.zip")) as z:
            z.extractall(self.path("audit"))
        self.ok("audit", "verify", self.path("audit"), "--kit", self.path("kits", self.hospitals[0]))

    def test_delivered_to_simulated(self):
        """`simulate` with the same delivery, and early stopping, which hospitals decide and the coordinator is told."""
        self.start_hub()
        job = self.submit(rounds=4, more=MORE + "patience: 1\nplateau_patience: 1\nlearning_rate: 0.05\n")
        for name in self.hospitals:
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        simulated = self.simulate(4, *SAME, "--delivery", "clients", "--patience", 1, "--plateau-patience", 1,
                                  "--lr", 0.05)
        self.all_have(job, simulated)
        with open(os.path.join(simulated, "metrics.jsonl"), encoding="utf-8") as f:
            expected = [json.loads(line) for line in f]
        self.assertLess(len(expected), 4, "nothing stops early: the test is void")
        shown = self.show(job)
        self.assertEqual(len(shown["history"]), len(expected))
        self.assertIn("validation", shown["why"])
        best = min(range(len(expected)), key=lambda i: expected[i]["encrypted"]["validation_loss"]) + 1
        self.assertEqual(shown["best_round"], best)

    def test_adaptive_server(self):
        """fedadam and the mean of the last rounds where nobody is a server: every hospital carries the moments and the mean, and
        all agree in every bit."""
        self.start_hub()
        job = self.submit(rounds=3, more=MORE + "aggregate: fedadam\nschedule: linear\nlearning_rate: 0.02\naverage_rounds: 2\n")
        for name in self.hospitals:
            self.start_hospital(name)
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        self.all_have(job, self.simulate(3, *SAME, "--delivery", "clients", "--aggregate", "fedadam", "--schedule", "linear",
                                         "--lr", 0.02, "--average-rounds", 2))

    def test_norms_that_stay(self):
        """FedBN where the hospitals open the sums: each spreads what was sent among what was not, and keeps its own."""
        self.start_hub()
        job = self.submit(rounds=2, more=MORE + "norms: local\nlearning_rate: 0.02\n")
        for name in self.hospitals:
            self.start_hospital(name)
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        simulated = self.simulate(2, *SAME, "--delivery", "clients", "--norms", "local", "--lr", 0.02)
        self.all_have(job, simulated)
        for k, name in enumerate(self.hospitals):
            own = weights_of(os.path.join(self.made(name, job), "own_model.h5"))
            wanted = weights_of(os.path.join(simulated, "personal", f"hospital-{k + 1}.h5"))
            self.assertEqual({key: v.tobytes() for key, v in own.items()}, {key: v.tobytes() for key, v in wanted.items()})

    def test_disagreement(self):
        """Who says something else of the course than the others ends the job, and is named. Only hospitals are handed sums."""
        self.start_hub()
        job = self.submit(rounds=30, more=MORE)
        for name in self.hospitals:
            self.start_hospital(name)
        told, end = False, time.monotonic() + PATIENCE
        while not told and time.monotonic() < end:
            found = self.job(job)
            if found["kind"] != "evaluate" or found["phase"] == "idle" or found["state"] != "running":
                time.sleep(0.01)
                continue
            url = f"/v1/jobs/{job}/claim"
            typed = {"Content-Type": "application/json"}
            for bad in (b'{"number":0,"more":true}', b'{"more":true}', b"[]", b'{"number":1,"more":1}'):
                self.assertGreaterEqual(self.ask(self.hospitals[0], "POST", url, bad, typed)[0], 400)
            self.assertEqual(self.ask("ada", "POST", url, b'{"number":2,"more":true}', typed)[0], 403)
            status, _ = self.ask(self.hospitals[0], "POST", url,
                                 json.dumps({"number": found["number"], "more": False, "best": 1}).encode(), typed)
            told = status == 200
        self.assertTrue(told)
        found = self.wait(job)
        self.assertEqual(found["state"], "failed", self.logs())
        self.assertIn("something else of the course", found["why"])
        self.assertEqual(self.ask("ada", "GET", f"/v1/jobs/{job}/sums/1")[0], 403)
        self.assertEqual(self.ask("ada", "GET", f"/v1/jobs/{job}/deliveries/1")[0], 403)
        self.assertEqual(self.ask(self.hospitals[0], "GET", f"/v1/jobs/{job}/deliveries/1")[0], 404)
        self.assertEqual(self.ask(self.hospitals[0], "GET", f"/v1/jobs/{job}/models/1")[0], 404)

    def test_refused(self):
        self.start_hub()
        path = self.write(("bits.yaml",), "format: medsecurefl-job\nversion: 1\nname: tiny\nmodel: cnn-small\n"
                          "input: {height: 16, width: 16, channels: 1}\nclasses: [normal, opacity]\nrounds: 1\n"
                          "samples_max: 32\nbits: 12\ndelivery: clients\n")
        text = run("job", "submit", path, "--kit", self.path("kits", "ada"))
        self.assertNotEqual(text.returncode, 0)
        self.assertIn("clipping bounds", text.stderr)


class TestKilled(Delivery):
    def test_killed(self):
        """kill -9 of coordinator and hospitals, whenever the coordinator is found in another phase."""
        self.start_hub()
        job = self.submit(rounds=3, deadline=30, more=MORE + "attempts: 50\n")
        for name in self.hospitals:
            self.start_hospital(name)
        seen, deaths, end = set(), 0, time.monotonic() + 2 * PATIENCE
        while time.monotonic() < end:
            found = self.job(job)
            if found["state"] not in ("queued", "running"):
                break
            at = (found["round"], found["kind"], found["phase"])
            if at in seen or len(seen) >= 12:
                time.sleep(0.01)
                continue
            seen.add(at)
            if found["phase"] == "delivering" and deaths % 2 == 0:
                name = self.hospitals[deaths % 3]
                self.stop(name, signal.SIGKILL)
                self.start_hospital(name)
            else:
                self.stop("hub", signal.SIGKILL)
                self.start_hub()
            deaths += 1
        self.assertEqual(self.job(job)["state"], "done", self.logs())
        self.assertGreater(deaths, 4)
        if [h["cohort"] for h in self.show(job)["history"]] == [3, 3, 3]:
            self.all_have(job, self.simulate(3, *SAME))
        else:  # one was killed with its key in memory, and was out of that round
            first = self.made(self.hospitals[0], job)
            self.all_have(job, first)


class TestAway(Delivery):
    hospitals = ("hospital-a", "hospital-b", "hospital-c", "hospital-d")

    def test_away(self):
        """One of four is away for rounds, catches up, takes part; then is away at the end, and has the last model too."""
        self.start_hub()
        job = self.submit(rounds=3, deadline=20, more=MORE + "target_cohort: 3\n")
        for name in self.hospitals[:3]:
            self.start_hospital(name)
        self.wait(job, lambda j: j["round"] >= 2)
        late = self.hospitals[3]
        self.start_hospital(late)
        self.wait_for(lambda: "caught up" in self.log(late) or os.path.exists(
            os.path.join(self.made(late, job), "agg_model_last.h5")), "the late one does not catch up")
        self.stop(late, signal.SIGKILL)
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        self.start_hospital(late)
        self.all_have(job, self.made(self.hospitals[0], job), [*self.hospitals[1:]])

    def test_initial_weights_and_a_new_roster(self):
        """Weights that an operator brings; then a hospital is revoked while the second round is open, and the job goes on as
        another task, from what the hospitals have."""
        initial = self.path("initial.h5")
        self.ok("simulate", "--data", "phantom", "--phantom-images", 60, "--size", 16, "--clients", 3, "--rounds", 1, "--seed", 77,
                "--compare", "none", "--bootstrap", 1, "--quiet", "--out", self.path("other"))
        os.rename(self.path("other", "main_model.h5"), initial)
        self.start_hub()
        path = self.write(("job.yaml",), JOB.format(side=16, rounds=3, deadline=30, scheme="packed", classes="normal, opacity",
                                                    more=MORE + "attempts: 20\n"))
        job = self.ok("job", "submit", path, "--kit", self.path("kits", "ada"), "--initial", initial).stdout.strip()
        for name in self.hospitals:
            self.write(("kits", name, "policy.yaml"), "brought_weights: true\n")
            self.start_hospital(name)
        before = self.wait(job, lambda j: j["round"] >= 2 and j["phase"] != "idle")
        self.ok("provision", "revoke", "--name", self.hospitals[3], "--ca", self.path("kits", "ca"), "--reason", "moved")
        with open(self.path("kits", "ca", "roster.yaml"), "rb") as f:
            roster = f.read()
        with open(self.path("kits", "hub", "roster.yaml"), "wb") as f:
            f.write(roster)
        self.running["hub"].send_signal(signal.SIGHUP)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        self.assertNotEqual(found["task"], before["task"])
        self.assertEqual(self.show(job)["history"][-1]["cohort"], 3)
        self.all_have(job, self.made(self.hospitals[0], job), self.hospitals[1:3])


class TestAuthority(Delivery):
    more_of_plan = "authority: {name: notary}\ncommittee: {custody: authority}\n"

    def test_authority(self):
        """One key holder instead of a committee: it answers for all hospitals, and trains nothing."""
        self.start_hub()
        job = self.submit(rounds=2, more=MORE)
        self.start("notary", "authority", "--kit", self.path("kits", "notary"), "--quiet")
        for name in self.hospitals:
            self.start_hospital(name)
        self.assertEqual(self.wait(job)["state"], "done", self.logs())
        self.all_have(job, self.simulate(2, *SAME))


if __name__ == "__main__":
    if "  client " not in run("help").stdout:
        print("skipped: this program has no client")
        sys.exit(77)
    unittest.TestCase.maxDiff = None
    main()
