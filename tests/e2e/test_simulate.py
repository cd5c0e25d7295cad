"""A federation from images to report, its repeatability, and what happens when it is stopped or misused."""
import fcntl
import hashlib
import json
import os
import random
import resource
import signal
import stat
import subprocess
import time

import numpy

import common

SMALL = ("simulate", "--data", "phantom", "--phantom-images", 240, "--size", 32, "--rounds", 2, "--bootstrap", 50)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def text_of(*names):
    with open(os.path.join(*names), encoding="utf-8") as f:
        return f.read()


def bytes_of(path):
    with open(path, "rb") as f:
        return f.read()


def write_bytes(path, content):
    with open(path, "wb") as f:
        f.write(content)


class Simulate(common.CliTest):
    def test_whole_run(self):
        out = self.path("out")
        r = self.ok_json(*SMALL, "--clients", 3, "--partition", "dirichlet:0.5", "--out", out)
        for name in ("main_model.h5", "agg_model.h5", "agg_model_last.h5", "report.html", "result.json", "metrics.jsonl",
                     "config.json"):
            self.assertTrue(os.path.getsize(os.path.join(out, name)) > 0, name)
        self.assertIs(r["sum_exact"], True)
        self.assertTrue(r["complete"])
        self.assertEqual(r["scheme"], "packed")
        self.assertEqual(len(r["rounds"]), 2)
        for i, one in enumerate(r["rounds"]):
            self.assertEqual(one["round"], i + 1)
            self.assertIs(one["sum_exact"], True)
            self.assertEqual(one["cohort"], 3)
            self.assertEqual(one["clipped"], 0)
            self.assertLessEqual(one["max_error"], one["error_bound"])
            self.assertGreater(one["max_error"], 0)
        for key in ("encrypted", "plain", "central", "alone_mean"):
            self.assertTrue(0 <= r[key]["auc"] <= 1, key)
        low, high = r["encrypted"]["intervals"]["auc"]
        self.assertTrue(low <= r["encrypted"]["auc"] <= high)
        self.assertEqual(r["encrypted"]["n"], r["data"]["test"])
        self.assertEqual(sum(map(sum, r["encrypted"]["confusion"])), r["data"]["test"])
        self.assertEqual(r["data"]["train"] + r["data"]["validation"] + r["data"]["test"], r["data"]["images"])
        self.assertEqual(sum(h["train"] for h in r["data"]["hospitals"]), r["data"]["train"])
        self.assertEqual(r["bytes_float32"], 4 * r["model"]["values"])
        self.assertEqual(r["bytes_up_per_client_round"], r["bytes_ciphertext_per_client_round"]
                         + r["bytes_bundle_per_client_round"] + r["bytes_header_per_client_round"])
        self.assertEqual(json.loads(text_of(out, "result.json")), r)
        lines = [json.loads(line) for line in text_of(out, "metrics.jsonl").splitlines()]
        self.assertEqual(lines, r["rounds"])
        self.assertEqual(os.stat(out).st_mode & 0o077, 0)
        for name in os.listdir(os.path.join(out, "state")):
            self.assertEqual(os.stat(os.path.join(out, "state", name)).st_mode & 0o077, 0, name)
        page = text_of(out, "report.html")
        self.assertIn("<svg", page)
        for needle in ("http://", "https://"):
            self.assertNotIn("src=\"" + needle, page)
            self.assertNotIn("href=\"" + needle, page)
        # The same figures from the model file and the same part of the data.
        e = self.ok_json("evaluate", "--model", os.path.join(out, "agg_model.h5"), "--data", "phantom", "--part", "all",
                         "--bootstrap", 0)
        self.assertEqual(e["n"], sum(map(sum, e["confusion"])))

    def test_evaluate_repeats_the_report(self):
        out = self.path("out")
        r = self.ok_json(*SMALL, "--phantom-images", 1800, "--rounds", 1, "--compare", "none", "--out", out)
        e = self.ok_json("evaluate", "--model", os.path.join(out, "agg_model.h5"), "--data", "phantom", "--part", "test",
                         "--bootstrap", 50)
        for key in ("auc", "accuracy", "f1", "n", "confusion", "intervals"):
            self.assertEqual(e[key], r["encrypted"][key], key)

    def test_same_seed_same_bytes_for_any_number_of_threads(self):
        models = []
        for i, threads in enumerate((1, 2, 3)):
            out = self.path(str(i))
            self.ok(*SMALL, "--threads", threads, "--compare", "none", "--out", out)
            models.append([digest(os.path.join(out, name)) for name in ("main_model.h5", "agg_model.h5", "agg_model_last.h5")])
        self.assertEqual(models[0], models[1])
        self.assertEqual(models[0], models[2])
        out = self.path("other")
        self.ok(*SMALL, "--seed", 2, "--compare", "none", "--out", out)
        self.assertNotEqual(models[0][2], digest(os.path.join(out, "agg_model_last.h5")))

    def test_stopped_and_killed_runs_resume_to_the_same_result(self):
        args = SMALL + ("--rounds", 5, "--plateau-patience", 1, "--average-rounds", 3)
        straight = self.path("straight")
        self.ok(*args, "--out", straight)
        rng = random.Random(1)
        for number, name in ((signal.SIGINT, "int"), (signal.SIGKILL, "kill")):
            out = self.path(name)
            words = [common.CLI, *map(str, args), "--out", out]
            for attempt in range(200):
                p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.PIPE, text=True)
                try:
                    _, err = p.communicate(timeout=0.4 + rng.random() if attempt < 8 else 600)
                except subprocess.TimeoutExpired:
                    p.send_signal(number)
                    _, err = p.communicate(timeout=60)
                    if number == signal.SIGINT and p.returncode not in (0, -signal.SIGINT):
                        self.assertEqual(p.returncode, 130, err)
                        self.assertIn("resume" if os.path.exists(os.path.join(out, "config.json")) else "stopped", err)
                if p.returncode == 0:
                    break
                self.assertIn(p.returncode, (130, -signal.SIGKILL, -signal.SIGINT), err)
                if os.path.exists(os.path.join(out, "config.json")):
                    words = [common.CLI, "simulate", "--resume", "--out", out]
            self.assertEqual(p.returncode, 0, err)
            for file in ("main_model.h5", "agg_model.h5", "agg_model_last.h5"):
                self.assertEqual(digest(os.path.join(straight, file)), digest(os.path.join(out, file)), f"{name} {file}")
            a, b = (json.loads(text_of(d, "result.json")) for d in (straight, out))
            for key in ("encrypted", "plain", "central", "alone_mean"):
                self.assertEqual(a[key], b[key], f"{name} {key}")

    def test_mean_of_the_last_rounds(self):
        """Every training's last model is the mean of its last rounds' (a chain of runs, each cut one round later, has these),
        and is the one that is kept and judged; so is the last round's with --keep last."""
        import h5py

        def weights(out):
            found = []
            with h5py.File(os.path.join(out, "agg_model_last.h5"), "r") as f:
                f.visititems(lambda _, o: found.append(o[()].astype("f8").ravel()) if isinstance(o, h5py.Dataset) else None)
            return [v for w in found for v in w]

        fixed = SMALL + ("--plateau-patience", 0, "--compare", "central")
        rounds = [self.path(f"rounds-{n}") for n in (2, 3)]
        for n, out in zip((2, 3), rounds):
            self.ok(*fixed, "--rounds", n, "--keep", "last", "--out", out)
            self.assertEqual(digest(os.path.join(out, "agg_model.h5")), digest(os.path.join(out, "agg_model_last.h5")))
        mean = self.path("mean")
        self.ok(*fixed, "--rounds", 3, "--average-rounds", 2, "--out", mean)
        for got, a, b in zip(weights(mean), *map(weights, rounds)):
            self.assertAlmostEqual(got, (a + b) / 2, delta=1e-6)
        r = json.loads(text_of(mean, "result.json"))
        self.assertEqual(digest(os.path.join(mean, "agg_model.h5")), digest(os.path.join(mean, "agg_model_last.h5")))
        last = json.loads(text_of(rounds[1], "result.json"))
        for track in ("encrypted", "central"):
            self.assertEqual(r[track]["best_round"], 3)
            self.assertEqual(r[track]["auc"], r["rounds"][-1][track]["test_auc"])
            self.assertEqual(r["rounds"][1][track]["validation_loss"], last["rounds"][1][track]["validation_loss"])
            self.assertNotEqual(r["rounds"][2][track]["validation_loss"], last["rounds"][2][track]["validation_loss"])
        self.assertEqual(r["training"]["average_rounds"], 2)
        for words, wrong in ((("--average-rounds", 9), "average"), (("--average-rounds", 2, "--patience", 2), "patience"),
                             (("--average-rounds", 2, "--norms", "local"), "norms"), (("--keep", "first"), "keep")):
            self.fails(2, wrong, *fixed, *words, "--out", self.path("none"))

    def test_resume_refuses_other_options_and_damage(self):
        out = self.path("out")
        self.ok(*SMALL, "--compare", "none", "--out", out)
        self.fails(13, "'seed'", *SMALL, "--compare", "none", "--seed", 2, "--resume", "--out", out)
        self.ok("simulate", "--resume", "--out", out)
        state = os.path.join(out, "state", "encrypted.state")
        content = bytearray(bytes_of(state))
        for position in (0, 9, 60, len(content) // 2, len(content) - 1):
            damaged = bytearray(content)
            damaged[position] ^= 1
            write_bytes(state, damaged)
            self.fails(5, "encrypted.state", "simulate", "--resume", "--out", out)
        write_bytes(state, content[: len(content) // 2])
        self.fails(5, "encrypted.state", "simulate", "--resume", "--out", out)
        self.fails(14, "no run to resume", "simulate", "--resume", "--out", self.path("nothing"))

    def test_a_file_does_not_decide_how_updates_leave(self):
        out = self.path("plain")
        self.ok(*SMALL, "--scheme", "plain", "--compare", "none", "--out", out)
        self.fails(9, "--scheme plain", "simulate", "--resume", "--out", out)
        self.fails(9, "--scheme plain", "simulate", "--resume", "--scheme", "packed", "--out", out)
        self.ok("simulate", "--resume", "--scheme", "plain", "--out", out)
        out = self.path("packed")
        self.ok(*SMALL, "--compare", "none", "--out", out)
        config = json.loads(text_of(out, "config.json"))
        for scheme, code in (("plain", 9), ("rot13", 9), (None, 9), (77, 5)):
            config["scheme"] = scheme
            write_bytes(os.path.join(out, "config.json"), json.dumps(config).encode())
            self.fails(code, "scheme", "simulate", "--resume", "--out", out)
        config.update(scheme="packed", plateau_factor=-1)
        write_bytes(os.path.join(out, "config.json"), json.dumps(config).encode())
        self.fails(2, "plateau", "simulate", "--resume", "--out", out)
        self.fails(2, "--bits", "simulate", "--resume", "--bits", 16, "--out", out)

    def test_resume_notices_changed_images_and_another_process(self):
        data = self.path("images.npz")
        rng = numpy.random.default_rng(1)
        x = rng.integers(0, 255, (80, 16, 16), dtype=numpy.uint8)
        y = numpy.arange(80, dtype=numpy.uint8) % 2
        numpy.savez(data, x=x, y=y)
        out = self.path("out")
        self.ok("simulate", "--data", data, "--rounds", 1, "--compare", "none", "--bootstrap", 0, "--out", out)
        with open(os.path.join(out, "config.json"), "rb") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.fails(13, "another process", "simulate", "--resume", "--out", out)
        self.ok("simulate", "--resume", "--out", out, cwd="/")
        x[3, 3, 3] ^= 255
        numpy.savez(data, x=x, y=y)
        self.fails(7, "images or labels have changed", "simulate", "--resume", "--out", out)

    def test_too_few_validating_hospitals(self):
        r = self.ok_json("simulate", "--data", "phantom", "--phantom-images", 120, "--size", 16, "--rounds", 2,
                         "--validation-fraction", 0.03, "--partition", "dirichlet:0.5", "--compare", "none", "--bootstrap", 0,
                         "--out", self.path("out"))
        if sum(h["validation"] > 0 for h in r["data"]["hospitals"]) < 3:
            self.assertTrue(all(one["encrypted"]["validation_loss"] is None for one in r["rounds"]))
            self.assertEqual(r["best_round"], 2)
            self.assertTrue(any("validation" in w for w in r["warnings"]))

    def test_out_keeps_what_is_not_ours(self):
        out = self.path("out")
        os.makedirs(out)
        write_bytes(os.path.join(out, "thesis.partial-draft.txt"), b"x")
        self.fails(13, "not empty", *SMALL, "--out", out)
        self.assertEqual(os.listdir(out), ["thesis.partial-draft.txt"])
        # A place that cannot be is told before any data is read.
        file = os.path.join(out, "thesis.partial-draft.txt")
        for where in (file, os.path.join(file, "a", "b")):
            self.fails(13, "is a file", "simulate", "--data", self.path("nothing.npz"), "--scheme", "packed", "--out", where)

    def test_every_scheme_gives_the_same_model(self):
        models = {}
        for scheme in ("packed", "bfv", "ckks", "pairwise", "paillier"):
            out = self.path(scheme)
            r = self.ok_json("simulate", "--data", "phantom", "--phantom-images", 120, "--size", 16, "--rounds", 1, "--bits", 16,
                             "--bootstrap", 0, "--compare", "none", "--scheme", scheme, "--out", out)
            self.assertEqual(r["scheme"], scheme)
            self.assertTrue(r["sum_exact"])
            self.assertGreater(r["bytes_ciphertext_per_client_round"], 0)
            self.assertTrue(0 < r["crypto_share_of_round"] < 1)
            self.assertIn(scheme, text_of(out, "report.html"))
            models[scheme] = digest(os.path.join(out, "agg_model.h5"))
        self.assertEqual(len(set(models.values())), 1, models)

    def test_who_holds_the_keys_is_said_and_changes_nothing_else(self):
        models, trust = set(), {}
        for custody in ("committee", "authority", "coordinator"):
            out = self.path(custody)
            r = self.ok_json(*SMALL, "--compare", "none", "--custody", custody, "--out", out)
            self.assertEqual(r["custody"], custody)
            self.assertIs(r["sum_exact"], True)
            self.assertEqual(any("--custody coordinator" in w for w in r["warnings"]), custody == "coordinator")
            trust[custody] = r["trust"]
            models.add(digest(os.path.join(out, "agg_model.h5")))
        self.assertEqual(len(models), 1)
        self.assertIn("committee of all hospitals", trust["committee"])
        self.assertIn("INSECURE against a curious coordinator", trust["coordinator"])
        self.assertIn("INSECURE", text_of(self.path("coordinator"), "report.html"))
        # By default the committee; and a run goes on only under the custody that is named again.
        self.assertEqual(self.ok_json(*SMALL, "--compare", "none", "--out", self.path("default"))["custody"], "committee")
        self.fails(9, "--custody coordinator", "simulate", "--resume", "--out", self.path("coordinator"))
        self.fails(2, "custody is committee", *SMALL, "--custody", "nobody", "--out", self.path("x"))
        self.fails(2, "knows no custody", *SMALL, "--scheme", "bfv", "--custody", "authority", "--out", self.path("y"))
        self.fails(2, "2 to 16", *SMALL, "--clients", 20, "--custody", "committee", "--out", self.path("z"))

    def test_who_opens_the_sums_is_said_and_changes_nothing_else(self):
        models, trust = set(), {}
        for delivery in ("coordinator", "clients"):
            out = self.path(delivery)
            r = self.ok_json(*SMALL, "--compare", "none", "--custody", "committee", "--delivery", delivery, "--out", out)
            self.assertEqual((r["delivery"], r["custody"]), (delivery, "committee"))
            self.assertIs(r["sum_exact"], True)
            trust[delivery] = r["trust"]
            models.add(digest(os.path.join(out, "agg_model.h5")))
            # Who opens sums receives them, and what opens them, in place of the model.
            self.assertEqual(r["bytes_down_per_client_round"] > r["bytes_ciphertext_per_client_round"],
                             delivery == "clients" or r["bytes_float32"] > r["bytes_ciphertext_per_client_round"])
        self.assertEqual(len(models), 1)
        self.assertNotIn("hospitals alone", trust["coordinator"])
        self.assertIn("opened by the hospitals alone", trust["clients"])
        report = text_of(self.path("clients"), "report.html")
        self.assertIn("opened by the hospitals alone", report)
        self.assertIn("sums opened by the <b>hospitals</b>", report)
        # By default the coordinator; a run goes on only under the delivery that is named again.
        self.assertEqual(self.ok_json(*SMALL, "--compare", "none", "--out", self.path("d"))["delivery"], "coordinator")
        again = ("simulate", "--resume", "--custody", "committee", "--out", self.path("clients"))
        self.fails(9, "--delivery clients", *again)
        self.ok(*again, "--delivery", "clients")
        self.fails(9, "leave out --delivery", "simulate", "--resume", "--delivery", "clients", "--out", self.path("d"))
        self.fails(2, "or to the clients", *SMALL, "--delivery", "nobody", "--out", self.path("x"))
        self.fails(2, "knows no delivery", *SMALL, "--scheme", "bfv", "--delivery", "clients", "--out", self.path("y"))
        self.fails(2, "only a committee", *SMALL, "--custody", "authority", "--delivery", "clients", "--out", self.path("z"))

    def test_plain_is_named_everywhere(self):
        out = self.path("out")
        r = self.ok(*SMALL, "--scheme", "plain", "--compare", "none", "--out", out)
        self.assertIn("NOT", r.stdout)
        result = json.loads(text_of(out, "result.json"))
        self.assertEqual(result["scheme"], "plain")
        self.assertIsNone(result["encrypted"])
        self.assertIsNone(result["sum_exact"])
        self.assertIsNone(result["bytes_ciphertext_per_client_round"])
        self.assertGreaterEqual(result["bytes_up_per_client_round"], result["bytes_float32"])
        self.assertIn("NOT PROTECTED", result["trust"])
        self.assertIn("NOT PROTECTED", text_of(out, "report.html"))
        self.fails(2, "--scheme", *SMALL, "--scheme", "none", "--out", self.path("x"))

    def test_numbers_of_hospitals(self):
        self.fails(9, "--allow-two-sites", *SMALL, "--clients", 2, "--out", self.path("two"))
        self.assertFalse(os.path.exists(self.path("two")))
        self.fails(2, "at least 2", *SMALL, "--clients", 1, "--out", self.path("one"))
        for n in (2, 5, 7, 20):
            r = self.ok_json(*SMALL, "--phantom-images", 500, "--rounds", 1, "--compare", "none", "--clients", n, "--allow-two-sites",
                             "--out", self.path(str(n)))
            self.assertIs(r["sum_exact"], True)
            self.assertLessEqual(r["bytes_ciphertext_per_client_round"], 1.1 * r["bytes_float32"])
            if n == 2:
                self.assertTrue(any("Two hospitals" in w for w in r["warnings"]))

    def test_sixteen_bits_and_fewer(self):
        for bits, ratio in ((16, 0.75), (12, 0.75), (8, 0.5)):
            r = self.ok_json(*SMALL, "--phantom-images", 500, "--compare", "plain", "--clients", 20, "--bits", bits, "--out",
                             self.path(str(bits)))
            self.assertIs(r["sum_exact"], True)
            self.assertLessEqual(r["bytes_ciphertext_per_client_round"], ratio * r["bytes_float32"])
            for one in r["rounds"]:
                if one["clipped"] == 0:
                    self.assertLessEqual(one["max_error"], one["error_bound"])

    def test_refusals(self):
        out = self.path("out")
        os.makedirs(out)
        write_bytes(os.path.join(out, "thesis.txt"), b"")
        self.fails(13, "not empty", *SMALL, "--out", out)
        self.assertEqual(os.listdir(out), ["thesis.txt"])
        self.fails(2, "--out", *SMALL)
        self.fails(2, "did you mean --rounds", "simulate", "--data", "phantom", "--round", 3, "--out", self.path("a"))
        self.fails(2, "--data", "simulate", "--out", self.path("a"))
        self.fails(14, "nowhere", "simulate", "--data", self.path("nowhere"), "--out", self.path("a"))
        os.makedirs(self.path("empty"))
        self.fails(12, "empty", "simulate", "--data", self.path("empty"), "--out", self.path("a"))
        self.fails(12, "", *SMALL, "--clients", 200, "--partition", "quantity:0.1", "--out", self.path("a"))
        self.assertFalse(os.path.exists(self.path("a")))

    def test_unwritable_and_full(self):
        if os.geteuid() != 0:
            locked = self.path("locked")
            os.makedirs(locked)
            os.chmod(locked, stat.S_IRUSR | stat.S_IXUSR)
            self.fails(4, "locked", *SMALL, "--out", os.path.join(locked, "out"))
        out = self.path("full")

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))

        r = common.run(*SMALL, "--compare", "none", "--out", out, preexec_fn=small_files)
        self.assertEqual(r.returncode, 4, r.stderr)
        self.assertIn(out, r.stderr)
        for folder, _, files in os.walk(out):
            self.assertEqual([f for f in files if ".partial-" in f], [], folder)
        # With room again the same folder goes on.
        self.ok("simulate", "--resume", "--out", out)

    def test_divergence_is_reported_and_kept_out(self):
        # Without normalisation layers a huge step soon gives infinities in every hospital.
        model = self.path("plain.yaml")
        write_bytes(model, b"""name: plain
input: {height: 32, width: 32, channels: 1}
classes: 2
layers:
  - conv: {filters: 8, kernel: 3, activation: relu}
  - max_pool: {size: 2}
  - flatten
  - dense: {units: 32, activation: relu}
  - dense: {units: classes}
""")
        r = self.fails(9, "0 of 3 hospitals", *SMALL, "--model", model, "--optimizer", "sgd", "--lr", 100, "--momentum", 0.99,
                       "--compare", "none", "--local-epochs", 5, "--out", self.path("out"))
        for k in (1, 2, 3):
            self.assertIn(f"hospital {k} left round 1", r.stderr)

    def test_quiet_without_a_terminal(self):
        r = self.ok(*SMALL, "--compare", "none", "--quiet", "--out", self.path("out"))
        self.assertEqual(r.stderr, "")
        self.assertNotIn("\x1b", r.stdout)


class RealImages(common.CliTest):
    @common.unittest.skipIf(common.data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    @common.unittest.skipIf(common.SANITIZED != "", "too slow under a sanitizer")
    def test_pneumonia(self):
        data = os.path.join(common.data_folder(), "cxr_kermany", "dev", "cxr64.npz")
        # The README's first command with as many rounds as these bounds need, and without the training that none of them is of.
        r = self.ok_json("simulate", "--data", data, "--label", "y_pneumonia", "--clients", 3, "--partition", "dirichlet:0.5",
                         "--rounds", 4, "--compare", "plain,alone", "--out", self.path("out"), timeout=1100)
        self.assertGreaterEqual(r["encrypted"]["auc"], 0.95)
        self.assertGreater(r["encrypted"]["auc"], r["alone_mean"]["auc"])
        self.assertLess(abs(r["encrypted"]["auc"] - r["plain"]["auc"]), 0.01)
        self.assertIs(r["sum_exact"], True)
        self.assertLess(r["crypto_share_of_round"], 0.02)
        self.assertLessEqual(r["bytes_ciphertext_per_client_round"], 1.1 * r["bytes_float32"])
        self.assertIn("patient", r["data"]["split_rule"])


if __name__ == "__main__":
    common.main()
