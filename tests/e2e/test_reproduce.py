"""The tables of `reproduce` against results of its runs put together here; going on after a stop; what it refuses."""
import csv
import fcntl
import html.parser
import json
import os
import pty
import signal
import statistics
import struct
import subprocess
import termios
import time

import numpy

import common
import dicom_files
import picture_files

PHANTOM = ("reproduce", "eicc2022", "--data", "phantom", "--phantom-images", 160, "--size", 32, "--bootstrap", 40)
ROWS = ("central", "plain", "encrypted")
FIGURES = ("accuracy", "precision", "sensitivity", "f1", "auc")
MEANS = ("mean_precision", "mean_recall", "mean_f1")
# 97.5th percentiles of Student's distribution by degrees of freedom, from printed tables.
STUDENT = {1: 12.706205, 2: 4.302653, 3: 3.182446}
WRITTEN = ["runs.csv", "tables.csv", "tables.html", "tables.json", "tables.md", "tables.tex"]


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


def means_of(confusion):
    """The publication's precision, recall and F1: over all classes alike."""
    counts = numpy.array(confusion, dtype=float)
    right, predicted, occurs = numpy.diag(counts), counts.sum(0), counts.sum(1)
    there = occurs > 0
    precision = None if (predicted[there] == 0).any() else float(numpy.mean(right[there] / predicted[there]))
    return {"mean_precision": precision, "mean_recall": float(numpy.mean(right[there] / occurs[there])),
            "mean_f1": float(numpy.mean(2 * right[there] / (predicted + occurs)[there]))}


def without_times(tables):
    """What must be the same whenever a run is made: all but measured milliseconds."""
    copy = json.loads(json.dumps(tables))
    for costs in [run["costs"] for run in copy["runs"]] + copy["costs"]:
        for name in ("ms_encrypt", "ms_combine", "ms_round", "crypto_share"):
            del costs[name]
    return copy


class Page(html.parser.HTMLParser):
    """Whether tags close in order, and all that they refer to."""
    VOID = ("meta", "path", "circle", "rect", "line", "br", "img", "wbr")

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.words = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src")]

    def handle_endtag(self, tag):
        if tag not in self.VOID and (not self.open or self.open.pop() != tag):
            raise ValueError(f"</{tag}> does not close what is open")

    def handle_data(self, data):
        self.words += data


class Reproduce(common.CliTest):
    def check_written(self, out, tables):
        """The page and the files for papers say what tables.json says."""
        self.assertEqual(sorted(n for n in os.listdir(out) if n.startswith(("tables", "runs"))), WRITTEN)
        with open(os.path.join(out, "tables.html"), encoding="utf-8") as f:
            page = Page(f.read())
        self.assertEqual(page.open, [])
        for link in page.links:
            self.assertTrue(link.startswith("#") or os.path.exists(os.path.join(out, link)), link)
        self.assertIn("3.65", page.words)
        self.assertIn("10.1145/3528580.3532845", page.words)
        cells = {}
        with open(os.path.join(out, "tables.csv"), encoding="utf-8") as f:
            for row in csv.DictReader(f):
                cells[row["figure"], row["training"], int(row["hospitals"])] = row
        for figure, of in tables["tables"].items():
            for row, list_ in of.items():
                for c in list_:
                    there = cells[figure, row, c["clients"]]
                    for name, key in (("mean", "mean"), ("low95_over_seeds", "low"), ("largest", "largest")):
                        self.assertEqual(there[name] == "", c[key] is None)
                        self.assertAlmostEqual(float(there[name] or 0), c[key] or 0, 9)
                    if c["mean"] is not None and figure in ("accuracy", "mean_f1"):
                        self.assertIn(f"{c['mean']:.3f}", page.words)
        with open(os.path.join(out, "runs.csv"), encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual(len(rows), len(tables["runs"]) * 3 * 8)
        first = next(r for r in rows if r["figure"] == "auc" and r["training"] == "encrypted")
        run = tables["runs"][0]
        self.assertAlmostEqual(float(first["value"]), run["encrypted"]["auc"], 9)
        if "auc" in run["encrypted"]["intervals"] and run["encrypted"]["intervals"]["auc"][0] is not None:
            self.assertAlmostEqual(float(first["low95_bootstrap"]), run["encrypted"]["intervals"]["auc"][0], 9)
        with open(os.path.join(out, "tables.tex"), encoding="utf-8") as f:
            tex = f.read()
        self.assertEqual(tex.count("\\begin{tabular}"), tex.count("\\end{tabular}"))
        self.assertEqual({line.count("&") for line in tex.splitlines() if line.endswith("\\\\")},
                         {len(tables["clients"]) + 1})

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
                r[row].update(means_of(r[row]["confusion"]))
            differences += [abs(r["encrypted"][f] - r["plain"][f]) for f in FIGURES
                            if r["encrypted"][f] is not None and r["plain"][f] is not None]
            weights += [one["max_error"] for one in r["rounds"]]
        self.assertAlmostEqual(tables["largest_difference"]["figure"], max(differences), 12)
        self.assertAlmostEqual(tables["largest_difference"]["weight_of_one_round"], max(weights), 12)
        self.assertIs(tables["largest_difference"]["within_bound"], True)
        for n, costs in zip(clients, tables["costs"], strict=True):
            mine = [results[n, s] for s in range(1, n_seeds + 1)]
            self.assertAlmostEqual(costs["bytes_up"], statistics.mean(r["bytes_up_per_client_round"] for r in mine), 6)
            self.assertAlmostEqual(costs["ms_encrypt"], statistics.mean(
                sum(q["ms"]["quantise"] + q["ms"]["encrypt"] for q in r["rounds"]) / sum(q["cohort"] for q in r["rounds"])
                for r in mine), 6)
        self.check_written(out, tables)
        for figure in FIGURES + MEANS:
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
                        self.assertIsNone(cell["low"])
                    else:
                        half = STUDENT[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
                        self.assertAlmostEqual(cell["low"], max(0, statistics.mean(values) - half), 6)
                        self.assertAlmostEqual(cell["high"], min(1, statistics.mean(values) + half), 6)
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
        # The central training was made once, and is the one that a run of its own makes.
        self.assertEqual(first.stderr.count("central round 1/1"), 1)
        self.assertEqual(os.listdir(os.path.join(out, "central-seed-1", "state")), ["central.state"])
        alone = self.path("alone")
        self.ok("simulate", *PHANTOM[2:], "--rounds", 1, "--clients", 3, "--compare", "central", "--quiet", "--out", alone)
        self.assertEqual(read(alone, "result.json")["central"], read(out, "clients-3-seed-1", "result.json")["central"])
        # Another seed and another order: what is complete is not touched.
        grown = self.ok(*args, "--clients", "3,2", "--seeds", 2)
        self.assertEqual((os.stat(kept).st_mtime_ns, os.stat(kept).st_ino), (before.st_mtime_ns, before.st_ino))
        self.assertEqual(grown.stderr.count("(is there)"), 2)
        self.assertEqual(grown.stderr.count("central round 1/1"), 1)  # of the second seed
        self.assertRegex(grown.stderr, r"run 3 of 4 is done: \d+:\d\d spent, about \d+:\d\d left")
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
        """Stopped, then killed at another place: what comes out is what an undisturbed run gives."""
        whole, cut = self.path("whole"), self.path("cut")
        args = [str(a) for a in (*PHANTOM, "--rounds", 3, "--clients", "3,4", "--seeds", 1)]
        expected = self.ok_json(*args, "--quiet", "--out", whole)
        self.cut(args, cut, "clients-3-seed-1", signal.SIGINT)
        self.fails(13, "another 'rounds'", *args, "--rounds", 4, "--out", cut)
        self.cut(args, cut, "clients-4-seed-1", signal.SIGKILL)
        again = self.ok(*args, "--json", "--out", cut)
        self.assertEqual(without_times(json.loads(again.stdout)), without_times(expected))
        self.assertNotIn("central round", again.stderr)
        for name in ("tables.csv", "runs.csv", "tables.md", "tables.tex"):
            with open(os.path.join(whole, name), "rb") as a, open(os.path.join(cut, name), "rb") as b:
                self.assertEqual(a.read(), b.read(), name)

    def cut(self, args, out, run, sign):
        """End the command once that run has a round done."""
        process = subprocess.Popen([common.CLI, *args, "--out", out], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        state = os.path.join(out, run, "state")
        deadline = time.monotonic() + 240
        while not (os.path.isdir(state) and os.listdir(state)) and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(sign)
        stderr = process.communicate(timeout=240)[1]
        if process.returncode != 0:  # a fast machine may be done before the signal
            self.assertEqual(process.returncode, 130 if sign == signal.SIGINT else -sign, stderr)
            if sign == signal.SIGINT:
                self.assertIn("the same command goes on", stderr)

    def check_quick(self, *args):
        out = self.path("out")
        result = self.ok("reproduce", "eicc2022", "--quick", "--seeds", 1, "--clients", "3,7", "--bootstrap", 0, "--quiet",
                         "--out", out, *args)
        t = read(out, "tables.json")
        self.assertEqual((t["complete"], t["sums_exact"], t["clients"], t["config"]["quick"]), (True, True, [3, 7], True))
        self.assertEqual(t["config"]["rounds"], 1)
        self.check_written(out, t)
        with open(os.path.join(out, "tables.html"), encoding="utf-8") as f:
            self.assertIn("A smoke run", f.read())
        return t, result

    def pictures(self, n, side=40, seed=4):
        rng = numpy.random.default_rng(seed)
        y = numpy.arange(n) % 2
        x = rng.integers(0, 100, (n, side, side))
        x[y == 1, :, :side // 2] += 90
        return x.astype(numpy.uint8), y

    def test_class_folders(self):
        for i, (p, c) in enumerate(zip(*self.pictures(60), strict=True)):
            os.makedirs(self.path("set", "ab"[c]), exist_ok=True)
            picture_files.write_png(self.path("set", "ab"[c], f"{i}.png"), p)
        try:
            from PIL import Image
        except ImportError:
            pass
        else:
            for c in "ab":
                name = os.listdir(self.path("set", c))[0]
                Image.open(self.path("set", c, name)).save(self.path("set", c, name[:-4] + "-again.jpg"))
        t, _ = self.check_quick("--data", self.path("set"))
        self.assertTrue(any(w.startswith("Only ") for w in t["warnings"]), t["warnings"])

    def test_dicom_with_a_table(self):
        os.makedirs(self.path("set"))
        rows = ["file,patient_id,class"]
        for i, (p, c) in enumerate(zip(*self.pictures(60, 24), strict=True)):
            with open(self.path("set", f"{i}.dcm"), "wb") as f:
                f.write(dicom_files.native(p[None, :, :, None]))
            rows.append(f"{i}.dcm,p{i // 2},{'ill' if c else 'well'}")
        with open(self.path("set", "labels.csv"), "w", encoding="utf-8") as f:
            f.write("\n".join(rows))
        self.check_quick("--data", self.path("set"))
        data = read(self.path("out"), "clients-7-seed-1", "result.json")["data"]
        self.assertEqual((data["groups"], data["group_key"]), (30, "patient_id in labels.csv"))

    def test_phantom(self):
        t, _ = self.check_quick("--data", "phantom")
        self.assertTrue(t["config"]["synthetic"])

    def test_on_a_terminal(self):
        """What is left of all runs stands behind the progress of each training."""
        args = [str(a) for a in (*PHANTOM, "--rounds", 2, "--clients", 3, "--seeds", 1, "--out", self.path("out"))]
        child, fd = pty.fork()
        if child == 0:
            os.execve(common.CLI, [common.CLI, *args], {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8"})
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        data = b""
        while True:
            try:
                part = os.read(fd, 65536)
            except OSError:
                break
            if not part:
                break
            data += part
        os.close(fd)
        self.assertEqual(os.waitpid(child, 0)[1], 0, data)
        self.assertRegex(data.decode(), r"plain.* · all runs about \d+:\d\d")
        self.assertIn("run 1 of 1 is done", data.decode())

    def test_what_cannot_work(self):
        """Said before anything is trained or written."""
        x, y = self.pictures(60)
        numpy.savez(self.path("few.npz"), x=x[:12], y=y[:12])
        numpy.savez(self.path("one.npz"), x=x, y=0 * y)
        os.makedirs(self.path("empty", "a"))
        out = ("--quiet", "--out", self.path("out"))
        self.fails(12, "of one class", "reproduce", "eicc2022", "--data", self.path("one.npz"), *out)
        self.fails(12, "no PNG, JPEG, DICOM or NIfTI", "reproduce", "eicc2022", "--data", self.path("empty"), *out)
        self.fails(14, "no such folder or file", "reproduce", "eicc2022", "--data", self.path("nowhere"), *out)
        # Two hospitals could work; seven cannot, and that is found out first.
        r = self.fails(12, "a federation of 7 hospitals, seed 1", "reproduce", "eicc2022", "--data", self.path("few.npz"),
                       "--clients", "2,7", *out)
        self.assertIn("more images or fewer hospitals", r.stderr)
        self.assertFalse(os.path.exists(self.path("out")))

    def test_real_images(self):
        folder = common.data_folder()
        data = folder and os.path.join(folder, "cxr_kermany", "dev", "png128")
        if not data or not os.path.isdir(data):
            self.skipTest("no chest X-rays here")
        t, _ = self.check_quick("--data", data)
        self.assertEqual([round(c["values"]) for c in t["costs"]], [round(t["costs"][0]["values"])] * 2)

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
