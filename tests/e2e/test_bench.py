"""`medsecurefl bench`: what it prints and writes, on tiny sizes. No figure is compared with a clock: what is checked is that
every scheme is there, that names and units hold, and that bytes and errors are what can be worked out here."""
import csv
import json
import math
import os
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree as ET

from common import CLI, CliTest, is_caught, main, run

SCHEMES = ["packed", "bfv", "paillier", "pairwise", "plain"]  # and whatever a build has beside these
RATES = ["encrypt_mvps", "fold_mvps", "open_mvps", "check_mvps", "quantise_mvps", "decode_mvps"]
RATIOS = [f"{a}_vs_{b}" for a in ("encrypt", "fold", "open") for b in ("memcpy", "aes")]


def positive(value):
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0


class He(CliTest):
    def row_holds(self, row, root):
        for name in RATES + RATIOS + ["bytes_per_value", "error_bound"]:
            self.assertTrue(positive(row[name]), (row["scheme"], name, row[name]))
        for name in ("bits", "clients", "values", "threads", "clients_measured", "accumulator_bytes"):
            self.assertIsInstance(row[name], int, name)
        self.assertGreaterEqual(row["extra_memory_bytes"], 0)
        self.assertGreaterEqual(row["max_error"], 0)
        self.assertLessEqual(row["max_error"], row["error_bound"])
        self.assertAlmostEqual(row["bytes_per_value"], row["accumulator_bytes"] / row["values"], places=9)
        wanted = row["encrypt_mvps"] * row["bytes_per_value"] / 1e3 / root["memcpy_gbps"]
        self.assertAlmostEqual(row["encrypt_vs_memcpy"] / wanted, 1.0, places=6)

    def test_every_scheme_has_a_row(self):
        root = self.ok_json("bench", "he", "--quiet", "--clients", 3, "--bits", 12, "--values", 600, "--seconds", 0.01)
        for name in ("memcpy_gbps", "aes_ctr_gbps"):
            self.assertTrue(positive(root[name]), name)
        self.assertIn(root["kernel"], ("generic", "avx2", "avx512"))
        self.assertEqual(root["threads"], 1)
        names = [row["scheme"] for row in root["results"]]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual(set(SCHEMES), set(names))
        for row in root["results"]:
            self.row_holds(row, root)
            self.assertEqual((row["bits"], row["clients"], row["values"], row["threads"]), (12, 3, 600, 1))
            if row["scheme"] != "pairwise":
                self.assertEqual(row["extra_memory_per_client"], 0)
                self.assertTrue(positive(row["hash_mvps"]))
        bfv = next(row for row in root["results"] if row["scheme"] == "bfv")
        self.assertTrue(positive(bfv["seeded_encrypt_mvps"]) and positive(bfv["seeded_fold_mvps"]))
        self.assertLess(bfv["seeded_bytes_per_value"], bfv["bytes_per_value"])
        packed = next(row for row in root["results"] if row["scheme"] == "packed")
        self.assertIsNone(packed["seeded_encrypt_mvps"])
        self.assertEqual(packed["ring_degree"], 8192)
        self.assertTrue(positive(packed["key_ms"]) and packed["primes"] >= 1 and packed["log2_q"] < 216)
        plain = next(row for row in root["results"] if row["scheme"] == "plain")
        self.assertIsNone(plain["key_ms"])
        self.assertEqual(plain["security_bits"], 0)

    def test_memory_does_not_grow_with_clients(self):
        root = self.ok_json("bench", "he", "--quiet", "--scheme", "packed", "--clients", 20, "--bits", 16, "--values", 2000,
                            "--seconds", 0.2, "--ring", 4096)
        row = root["results"][0]
        self.assertGreater(row["clients_measured"], 2)
        self.assertEqual(row["extra_memory_per_client"], 0)
        self.assertLess(row["extra_memory_bytes"], 4 << 20)

    def test_both_widths_and_all_cores(self):
        root = self.ok_json("bench", "he", "--quiet", "--scheme", "packed", "--clients", 2, "--values", 1000, "--seconds",
                            0.01, "--threads", 0, env={**os.environ, "MSFL_KERNEL": "generic"})
        self.assertEqual(root["kernel"], "generic")
        cores = root["machine"]["cores"]
        rows = [(row["bits"], row["threads"]) for row in root["results"]]
        self.assertEqual(rows, [(16, 1), (24, 1)] + ([(16, cores), (24, cores)] if cores > 1 else []))

    def test_the_table_is_for_people(self):
        result = self.ok("bench", "he", "--scheme", "plain", "--clients", 2, "--bits", 8, "--values", 100, "--seconds", 0.01)
        self.assertIn("plain", result.stdout)
        self.assertIn("one thread copies", result.stdout)
        self.assertIn("he: plain, 8 bits, 100 values", result.stderr)


class Compare(CliTest):
    def test_all_on_one_model(self):
        out = self.path("out")
        result = self.ok("bench", "compare", "--values", 700, "--clients", 3, "--bits", 16, "--out", out, "--json", "--quiet")
        root = json.loads(result.stdout)
        with open(os.path.join(out, "compare.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), root)
        rows = {row["scheme"]: row for row in root["schemes"]}
        self.assertLessEqual(set(SCHEMES), set(rows))
        errors = set()
        for name, row in rows.items():
            self.assertEqual(row["left_out"], "", name)
            for key in ("keys_ms", "session_ms", "encrypt_ms", "add_ms", "open_ms", "upload_bytes", "memory_bytes"):
                self.assertTrue(positive(row[key]), (name, key))
            self.assertLessEqual(row["max_error"], row["error_bound"])
            sent = row["upload_bytes"] + row["trailer_bytes"]
            self.assertAlmostEqual(row["ratio_to_float32"], sent / 2800, places=9)
            self.assertEqual(row["encrypts"], name != "plain")
            errors.add(row["error_bound"])
        self.assertEqual(len(errors), 1)  # the same encoding for all
        # 703 slots (700 values and the count's three digits) of ceil(log2(3 (2^16 - 1) + 1)) = 18 bits, and a header
        self.assertLess(abs(rows["plain"]["upload_bytes"] - math.ceil(703 * 18 / 8)), 128)
        with open(os.path.join(out, "compare.csv"), encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual([row["scheme"] for row in table], [row["scheme"] for row in root["schemes"]])
        for row in table:
            self.assertEqual(int(row["upload_bytes"]), rows[row["scheme"]]["upload_bytes"])
        tree = ET.parse(os.path.join(out, "compare.svg"))
        texts = ["".join(t.itertext()) for t in tree.iter("{http://www.w3.org/2000/svg}text")]
        for name in SCHEMES:
            self.assertEqual(texts.count(name), 6, name)
        self.fails(13, "holds something", "bench", "compare", "--values", 10, "--out", out)

    def test_what_takes_too_long_is_left_out(self):
        root = self.ok_json("bench", "compare", "--values", 3000, "--clients", 2, "--bits", 24, "--seconds", 0.05, "--quiet")
        paillier = next(row for row in root["schemes"] if row["scheme"] == "paillier")
        self.assertIn("it would take about", paillier["left_out"])
        self.assertIsNone(paillier["encrypt_ms"])
        self.assertIsNone(paillier["upload_bytes"])

    def test_a_model_file_is_compared(self):
        model = self.path("m.h5")
        self.ok("model", "init", "cnn-small", "--out", model)
        root = self.ok_json("bench", "compare", "--model", model, "--scheme", "packed", "--clients", 2, "--bits", 16, "--quiet")
        self.assertEqual(root["values"], 24434)
        self.assertEqual([row["scheme"] for row in root["schemes"]], ["packed"])


class Layers(CliTest):
    def test_one_vector_is_smaller(self):
        root = self.ok_json("bench", "layers", "--bits", 16, "--quiet")
        info = self.ok_json("model", "info", "cnn-small")
        self.assertEqual([t["tensor"] for t in root["tensors"]], [f"{t['layer']}/{t['name']}" for t in info["tensors"]])
        self.assertEqual([t["values"] for t in root["tensors"]], [math.prod(t["shape"]) for t in info["tensors"]])
        for key in ("values", "chunks", "upload_bytes", "trailer_bytes"):
            self.assertEqual(root["apart"][key], sum(t[key] for t in root["tensors"]))
        self.assertEqual(root["whole"]["values"], info["n_values"])
        apart, whole = (root[k]["upload_bytes"] + root[k]["trailer_bytes"] for k in ("apart", "whole"))
        self.assertGreater(apart, whole)


class Round(CliTest):
    GRID = ["--clients", "2,3", "--values", "300,4000,20000", "--bits", 12, "--seconds", 0.01, "--quiet"]

    def test_a_grid_a_fit_and_a_prediction(self):
        out = self.path("out")
        root = json.loads(self.ok("bench", "round", *self.GRID, "--out", out, "--json").stdout)
        self.assertEqual([(r["values"], r["clients"]) for r in root["rounds"]],
                         [(v, n) for v in (300, 4000, 20000) for n in (2, 3)])
        for row in root["rounds"]:
            for key in ("client_s", "coordinator_s", "key_holder_s", "add_ms", "open_ms", "hash_ms"):
                self.assertTrue(positive(row[key]), key)
            self.assertEqual(row["download_bytes"], 4 * row["values"])
            self.assertLessEqual(row["max_error"], row["error_bound"])
            self.assertAlmostEqual(row["client_s"] * 1e3, row["check_quantise_ms"] + row["encrypt_ms"] + row["seal_ms"], places=9)
            total = sum(t["seconds"] * row["clients"] ** t["clients_power"] * row["values"] ** t["values_power"]
                        for t in root["costs"]["parties"]["coordinator"]["terms"])
            self.assertAlmostEqual(row["coordinator_fitted_s"] / total, 1.0, places=9)
        for party in root["costs"]["parties"].values():
            self.assertTrue(all(t["seconds"] >= 0 for t in party["terms"]))
            self.assertLessEqual(party["r_squared"], 1.0)
        ET.parse(os.path.join(out, "round.svg"))
        with open(os.path.join(out, "round.csv"), encoding="utf-8", newline="") as file:
            self.assertEqual(len(list(csv.DictReader(file))), 6)

        costs = os.path.join(out, "round.json")
        plan = self.ok_json("bench", "round", "--predict", "--clients", 7, "--values", 123456, "--link-mbps", 50, "--costs", costs)
        p = plan["prediction"]
        terms = plan["costs"]["parties"]["client"]["terms"]
        seconds = sum(t["seconds"] * 7 ** t["clients_power"] * 123456 ** t["values_power"] for t in terms)
        self.assertAlmostEqual(p["client_s"], seconds, places=12)
        self.assertAlmostEqual(p["client_upload_s"], p["upload_bytes"] * 8 / 50e6, places=9)
        self.assertEqual(p["coordinator_in_bytes"], 7 * p["upload_bytes"])
        slots = 123456 + 4  # and the digits of a count of 48 bits
        planned = self.ok_json("params", "--clients", 7, "--bits", 12, "--values", slots)
        self.assertGreater(p["upload_bytes"], planned["ciphertext_bytes"])
        self.assertLess(p["upload_bytes"], planned["ciphertext_bytes"] + 200000)
        self.assertIn("nothing taken to overlap", self.ok(
            "bench", "round", "--predict", "--clients", 7, "--model", "resnet50", "--costs", costs).stdout)
        with open(self.path("bad.json"), "w", encoding="utf-8") as file:
            file.write('{"costs": {"scheme": "packed", "bits": 12}}')
        self.fails(5, "cost model", "bench", "round", "--predict", "--clients", 7, "--values", 10, "--costs", self.path("bad.json"))

    def test_one_point_has_no_cost_model(self):
        out = self.path("out")
        result = self.ok("bench", "round", "--clients", "40", "--values", "50", "--bits", 8, "--seconds", 0.01, "--out", out)
        self.assertIn("no cost model", result.stdout)
        self.assertIn("* 32 clients were run", result.stdout)
        with open(os.path.join(out, "round.json"), encoding="utf-8") as file:
            root = json.load(file)
        self.assertIsNone(root["costs"])
        self.assertIsNone(root["rounds"][0]["client_fitted_s"])
        self.assertEqual((root["rounds"][0]["clients"], root["rounds"][0]["clients_run"]), (40, 32))
        self.assertFalse(os.path.exists(os.path.join(out, "round.svg")))

    def test_other_schemes_have_rounds_too(self):
        for scheme in ("bfv", "pairwise"):
            root = self.ok_json("bench", "round", "--scheme", scheme, *self.GRID)
            self.assertEqual(root["scheme"], scheme)
            self.assertEqual(len(root["rounds"]), 6)


class Refusals(CliTest):
    def test_wrong_use(self):
        self.fails(2, "he, compare, layers, round and train", "bench")
        self.fails(2, "he, compare, layers, round and train", "bench", "hex")
        self.fails(2, "did you mean --seconds", "bench", "he", "--second", 1)
        self.fails(2, "--clients takes 2 to", "bench", "he", "--clients", 1)
        self.fails(2, "rot13", "bench", "he", "--scheme", "rot13")
        self.fails(2, "rot13", "bench", "compare", "--scheme", "rot13")
        self.fails(2, "not both", "bench", "compare", "--model", "cnn-small", "--values", 5)
        self.fails(14, "resnet50", "bench", "compare", "--model", "no-such")
        self.fails(2, "commas", "bench", "round", "--clients", "3,x")
        self.fails(2, "commas", "bench", "round", "--clients", "3,,4")
        self.fails(2, "commas", "bench", "round", "--values", "0")
        self.fails(2, "--predict takes", "bench", "round", "--predict", "--clients", 3)
        self.fails(2, "goes with --predict", "bench", "round", "--costs", "x")
        self.fails(2, "clients", "bench", "round", "--predict", "--clients", "3,4", "--values", 5)
        self.fails(14, "x.json", "bench", "round", "--predict", "--clients", 3, "--values", 5, "--costs", self.path("x.json"))
        self.fails(8, "", "bench", "he", "--scheme", "packed", "--clients", 10000, "--bits", 32, "--ring", 1024)

    def test_help_is_there(self):
        for args in (("bench", "--help"), ("bench", "he", "--help")):
            self.assertIn("# medsecurefl bench", self.ok(*args).stdout)

    def test_a_stop_is_a_stop(self):
        process = subprocess.Popen([CLI, "bench", "round", "--clients", "32", "--values", "2000000", "--seconds", "100"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not is_caught(process, signal.SIGINT):  # before, it is the loader's to end it
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(out, "")


if __name__ == "__main__":
    main()
