"""The tables of `reproduce` against results of its runs put together here; going on after a stop; what it refuses."""
import json
import os
import signal
import statistics
import subprocess
import time

import numpy

import common

PHANTOM = ("reproduce", "eicc2022", "--data", "phantom", "--phantom-images", 160, "--size", 32, "--bootstrap", 40)
ROWS = ("central", "plain", "encrypted")
FIGURES = ("accuracy", "precision", "sensitivity", "f1", "auc")


def read(*names):
    with open(os.path.join(*names), encoding="utf-8") as f:
        return json.load(f)


def precision_of(confusion):
    """As the page defines it; None where undefined."""
    counts = numpy.array(confusion)
    classes = [1] if len(counts) == 2 else [c for c in range(len(counts)) if counts[c].sum() > 0]
    if any(counts[:, c].sum() == 0 for c in classes):
        return None
    return float(numpy.mean([counts[c, c] / counts[:, c].sum() for c in classes]))


class Reproduce(common.CliTest):
    def check_tables(self, out, tables, clients, n_seeds):
        self.assertEqual(tables["clients"], clients)
        self.assertTrue(tables["complete"])
        self.assertIs(tables["sums_exact"], True)
        self.assertEqual(len(tables["runs"]), len(clients) * n_seeds)
        self.assertEqual(read(out, "tables.json"), tables)
        results = {(n, s): read(out, f"clients-{n}-seed-{s}", "result.json")
                   for n in clients for s in range(1, n_seeds + 1)}
        differences, weights = [], []
        for (n, s), r in results.items():
            self.assertEqual((len(r["data"]["hospitals"]), r["seed"]), (n, s))
            for row in ROWS:
                r[row]["precision"] = precision_of(r[row]["confusion"])
            differences += [abs(r["encrypted"][f] - r["plain"][f]) for f in FIGURES
                            if r["encrypted"][f] is not None and r["plain"][f] is not None]
            weights += [one["max_error"] for one in r["rounds"]]
        self.assertAlmostEqual(tables["largest_difference"]["figure"], max(differences), 12)
        self.assertAlmostEqual(tables["largest_difference"]["weight_of_one_round"], max(weights), 12)
        self.assertIs(tables["largest_difference"]["within_bound"], True)
        for figure in FIGURES:
            for row in ROWS:
                for n, cell in zip(clients, tables["tables"][figure][row], strict=True):
                    all_values = [results[n, s][row][figure] for s in range(1, n_seeds + 1)]
                    values = [v for v in all_values if v is not None]
                    self.assertEqual((cell["clients"], cell["seeds"], cell["undefined"]),
                                     (n, len(values), len(all_values) - len(values)))
                    if not values:
                        self.assertEqual((cell["mean"], cell["smallest"], cell["largest"]), (None, None, None))
                        continue
                    self.assertAlmostEqual(cell["mean"], statistics.mean(values), 12)
                    self.assertAlmostEqual(cell["smallest"], min(values), 12)
                    self.assertAlmostEqual(cell["largest"], max(values), 12)
                    if len(values) < 2:
                        self.assertIsNone(cell["deviation"])
                    else:
                        self.assertAlmostEqual(cell["deviation"], statistics.stdev(values), 12)

    def test_tables_and_growing(self):
        out = self.path("out")
        args = (*PHANTOM, "--rounds", 1, "--out", out)
        first = self.ok(*args, "--clients", "2,3", "--seeds", 1, "--json")
        self.assertIn("warning: two hospitals", first.stderr)
        self.check_tables(out, json.loads(first.stdout), [2, 3], 1)
        self.assertTrue(any("Two hospitals" in w for w in json.loads(first.stdout)["warnings"]))
        kept = os.path.join(out, "clients-3-seed-1", "result.json")
        before = os.stat(kept)
        # Another seed and another order: what is complete is not touched.
        grown = self.ok(*args, "--clients", "3,2", "--seeds", 2)
        self.assertEqual((os.stat(kept).st_mtime_ns, os.stat(kept).st_ino), (before.st_mtime_ns, before.st_ino))
        self.assertEqual(grown.stderr.count("(is there)"), 2)
        tables = read(out, "tables.json")
        self.check_tables(out, tables, [3, 2], 2)
        for text in ("3 hospitals", "2 hospitals", "plain federated (NOT encrypted)", "sensitivity (recall)", "of 2",
                     "yes, in every round of every run", "warning: Two hospitals", "held in every round"):
            self.assertIn(text, grown.stdout)
        cell = tables["tables"]["auc"]["encrypted"][0]
        self.assertIn(f"{cell['mean']:.4f} +- {cell['deviation']:.4f} [{cell['smallest']:.4f}, {cell['largest']:.4f}] of 2",
                      grown.stdout)
        # The central row of one seed is the same training in every column.
        self.assertEqual([c["mean"] for c in tables["tables"]["auc"]["central"]],
                         [tables["tables"]["auc"]["central"][0]["mean"]] * 2)
        for other in (("--rounds", 2), ("--size", 40), ("--model", "medsecurefl-2022"), ("--bootstrap", 41)):
            self.fails(13, f"another '{other[0][2:]}'", *args, "--clients", 3, "--seeds", 1, *other)
        self.fails(13, "another 'data'", *args, "--clients", 3, "--data", "elsewhere")

    def test_several_classes_from_an_array(self):
        rng = numpy.random.default_rng(3)
        y = numpy.repeat(numpy.arange(3), 40)
        x = (rng.integers(0, 90, (120, 16, 16)) + 70 * y[:, None, None] *
             (numpy.arange(16) < 8)[None, None, :]).astype(numpy.uint8)
        numpy.savez(self.path("set.npz"), x=x, y=y)
        out = self.path("out")
        tables = self.ok_json("reproduce", "eicc2022", "--data", self.path("set.npz"), "--clients", 3, "--seeds", 2,
                              "--rounds", 3, "--size", 32, "--bootstrap", 0, "--quiet", "--out", out)
        self.check_tables(out, tables, [3], 2)
        self.assertEqual(len(tables["warnings"]), len(set(tables["warnings"])))

    def test_stopped_and_continued(self):
        whole, cut = self.path("whole"), self.path("cut")
        args = [str(a) for a in (*PHANTOM, "--rounds", 6, "--clients", 3, "--seeds", 1)]
        expected = self.ok_json(*args, "--quiet", "--out", whole)
        process = subprocess.Popen([common.CLI, *args, "--out", cut], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        state = os.path.join(cut, "clients-3-seed-1", "state")
        deadline = time.monotonic() + 120
        while not (os.path.isdir(state) and os.listdir(state)) and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=120)[1]
        if process.returncode != 0:  # a fast machine may be done before the signal
            self.assertEqual(process.returncode, 130, stderr)
            self.assertIn("the same command goes on", stderr)
            self.assertFalse(os.path.exists(os.path.join(cut, "tables.json")))
            self.fails(13, "another 'rounds'", *args, "--rounds", 7, "--out", cut)
        again = self.ok(*args, "--json", "--out", cut)
        self.assertEqual(json.loads(again.stdout), expected)

    def test_refused(self):
        out = ("--out", self.path("out"))
        data = ("--data", "phantom")
        self.fails(2, "name what to reproduce", "reproduce", *data, *out)
        self.fails(2, "name what to reproduce", "reproduce", "eicc2023", *data, *out)
        self.fails(2, "--data DIR", "reproduce", "eicc2022", *out)
        self.fails(2, "--out DIR", "reproduce", "eicc2022", *data)
        self.fails(2, "--model is", "reproduce", "eicc2022", *data, *out, "--model", "resnet8")
        for clients in ("", "1", "2,", ",2", "2,,3", "2;3", "1001", "99999999999999999999", "2 ", "-3", "0x5"):
            self.fails(2, "list of numbers", "reproduce", "eicc2022", *data, *out, "--clients=" + clients)
        self.fails(2, "twice", "reproduce", "eicc2022", *data, *out, "--clients", "3,2,3")
        self.fails(2, "at most 16", "reproduce", "eicc2022", *data, *out, "--clients",
                   ",".join(str(n) for n in range(2, 19)))
        self.assertFalse(os.path.exists(self.path("out")))
        # A folder that is not of this command, and a result that does not say what a table needs.
        os.makedirs(self.path("out", "clients-3-seed-1"))
        with open(self.path("out", "clients-3-seed-1", "notes.txt"), "w", encoding="utf-8") as f:
            f.write("mine")
        self.fails(13, "is not empty", *PHANTOM, "--clients", 3, *out)


if __name__ == "__main__":
    common.main()
