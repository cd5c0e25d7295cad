"""`medsecurefl data import`: what is told of files and sets: check, cards, near copies, scanners; training on them."""
import csv
import json
import os
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

from common import SANITIZED, main, run
from import_case import PICTURES, THREADS, ImportCase, dicom, get, put


class ImportSets(ImportCase):
    def test_changed_sets_are_noticed(self):
        data = self.dicoms()
        self.imported(data)
        path = self.path("set", "pixels.bin")
        raw = get(path)
        put(path, raw[:100] + bytes([raw[100] ^ 1]) + raw[101:])
        self.fails(5, "not as it was imported", "data", "inspect", "--data", self.path("set"))
        put(path, raw)
        m = json.loads(get(self.path("set", "set.json")))
        for key, value in (("images", 13), ("width", 0), ("bits", 9), ("range", [1, 0]), ("classes", [""]),
                           ("version", 2), ("hashes", {}), ("format", "x")):
            put(self.path("set", "set.json"), json.dumps({**m, key: value}).encode())
            r = run("data", "inspect", "--data", self.path("set"))
            self.assertIn(r.returncode, (5, 16), (key, r.stderr))

    def test_near_copies_stay_together(self):
        """Recompressed, brighter and noisy copies under other patients' names: found, and never parted."""
        rng = np.random.default_rng(5)
        os.makedirs(self.path("in"))
        rows = []
        for i in range(60):
            base = np.kron(rng.normal(size=(8, 8)), np.ones((8, 8)))
            base = np.clip(128 + 50 * (base + np.roll(base, 3, 0) + np.roll(base, 4, 1)) / 2, 0, 255)
            kinds = [base] if i >= 10 else [base, np.clip(base * 1.15, 0, 255), base + rng.normal(0, 3, base.shape)]
            for k, p in enumerate(kinds):
                name = f"{i:03d}_{k}.dcm"
                with open(self.path("in", name), "wb") as f:
                    f.write(dicom(np.clip(p, 0, 255), 10 * i + k))
                rows.append((name, "b" if (i % 2 and not (i == 3 and k == 1)) else "a"))
        with open(self.path("in", "labels.csv"), "w") as f:
            csv.writer(f).writerows([("file", "class"), *rows])
        m = self.imported(self.path("in"))
        self.assertEqual(m["patients"], 80)
        self.assertEqual(m["near_copies"]["pairs_of_different_patients"], 30)
        self.assertEqual(m["near_copies"]["of_different_classes"], 2)
        self.assertTrue(any("near copies" in w for w in m["warnings"]))
        bunch = self.records()["bunch"]
        self.assertEqual(len(set(bunch)), 60)
        names = [r[0] for r in rows]
        for i in range(10):
            self.assertEqual(len({bunch[j] for j, n in enumerate(names) if n.startswith(f"{i:03d}")}), 1)

    def test_labels_that_follow_the_scanner(self):
        os.makedirs(self.path("in"))
        rng = np.random.default_rng(2)
        with open(self.path("in", "labels.csv"), "w") as table:
            table.write("file,class\n")
            for i in range(40):
                tags = {0x00080070: ("LO", f"MAKER{i % 2}"), 0x00081090: ("LO", "MODEL")}
                with open(self.path("in", f"{i}.dcm"), "wb") as f:
                    f.write(dicom(rng.integers(0, 255, (20, 20)), i, tags))
                table.write(f"{i}.dcm,{'ab'[i % 2]}\n")
        m = self.imported(self.path("in"))
        told = {t["trait"]: t["telling"] for t in m["traits"]}
        self.assertTrue(told["scanner"])
        self.assertFalse(told["image size"])
        self.assertIn("scanner", " ".join(m["warnings"]))
        self.assertNotIn("MAKER", json.dumps(m))

    def test_split_keeps_bunches_whole(self):
        data = self.dicoms(60, per_patient=4)
        self.imported(data)
        bunch = self.records()["bunch"]
        p = self.ok_json("data", "partition", "--data", self.path("set"), "--clients", "3")
        self.assertIn("near copies", json.dumps(p))
        self.assertEqual(len(set(bunch)), 15)

    def test_check_of_files(self):
        data = self.dicoms(10)
        rng = np.random.default_rng(6)
        extra = {"burned": {0x00280301: ("CS", "YES")}, "none": {0x00280301: ("CS", "NO"), 0x00080060: ("CS", "US")},
                 "us": {0x00080060: ("CS", "US"), 0x00186011: ("SQ", [{0x00186012: ("US", 1)}])},
                 "overlay": {0x60000010: ("US", 8), 0x60000011: ("US", 8), 0x60003000: ("OW", bytes(8))},
                 "nested": {0x00081140: ("SQ", [{0x00100020: ("LO", "ZZQNESTED"), 0x00111010: ("LO", "ZZQ")}])},
                 "ZZQID00099_front": {}, "face": {0x00280302: ("CS", "YES")}}
        for name, tags in extra.items():
            put(os.path.join(data, name + ".dcm"), dicom(rng.integers(0, 255, (20, 20)), 99, tags))
        put(os.path.join(data, "cut.dcm"), dicom(np.zeros((20, 20)), 3)[:300])
        text = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\5tEXtA\0bcdXXXX"
        put(os.path.join(data, "a.png"), text)
        r = run("data", "check", data, "--json", *THREADS)
        self.assertEqual(r.returncode, 12, r.stderr)
        c = json.loads(r.stdout)
        self.assertNotIn("ZZQ", r.stdout + r.stderr)
        self.assertEqual((c["files"], c["unreadable"], c["formats"]), (18, 1, {"DICOM": 17, "PNG": 1}))
        by_name = {a["name"]: a["files"] for a in c["attributes"]}
        self.assertEqual((by_name["PatientName"], by_name["PatientBirthDate"], by_name["InstitutionName"]), (17, 17, 17))
        self.assertNotIn("AccessionNumber", by_name)
        self.assertEqual(c["private"], 17)
        self.assertEqual(c["overlays"], 1)
        self.assertEqual(c["burned_in"], {"yes": 1, "no": 1, "not_said": 15})
        self.assertEqual((c["kinds_with_text"], c["ultrasound_regions"], c["recognisable"]), (1, 1, 1))
        self.assertEqual((c["file_names"], c["text_beside_pixels"]), (1, 1))
        self.assertEqual(c["problems"], 3)
        # What declares text in its pixels stays out, unless it is asked for.
        with open(os.path.join(data, "labels.csv"), "a") as f:
            f.write("burned.dcm,a\nnone.dcm,b\n")
        self.assertEqual(self.imported(data)["samples"], 11)
        self.assertEqual(self.imported(data, "all", "--allow-burned-in")["samples"], 12)

    def test_check_of_sets(self):
        data = self.dicoms(40)
        self.imported(data)
        c = self.ok_json("data", "check", self.path("set"), "--for-federation")
        self.assertEqual((c["kind"], c["problems"], c["images"]), ("set", 0, 40))
        self.assertEqual([k["patients"] for k in c["classes"]], [10, 10])
        put(self.path("set", "notes.txt"), b"x")
        self.assertEqual(run("data", "check", self.path("set")).returncode, 12)
        os.remove(self.path("set", "notes.txt"))
        os.chmod(self.path("set"), 0o755)
        self.assertIn("others on this machine", self.fails(12, "1 problem", "data", "check", self.path("set"),
                                                           "--for-federation").stdout)
        self.imported(self.dicoms(8, folder="few"), "small")
        out = self.fails(12, "problem", "data", "check", self.path("small"), "--for-federation").stdout
        self.assertIn("4 patients", out)
        self.fails(2, "no imported set", "data", "check", data, "--for-federation")

    def test_card(self):
        self.imported(self.dicoms(40))
        c = self.ok_json("data", "card", self.path("set"), "--html", self.path("card.html"), "--clients", "3", "--partition",
                         "quantity:1", "--shift", "mixed:0.5")
        self.assertEqual((c["images"], c["patients"], sum(c["intensity"]["histogram"])), (40, 20, 40 * 480))
        self.assertEqual(sum(h["images"] for h in c["hospitals"]), 40)
        self.assertEqual(len({json.dumps(h["shift"]) for h in c["hospitals"]}), 3)
        page = get(self.path("card.html")).decode()
        self.assertIn("must not leave the hospital", page)
        self.assertNotIn("<script", page)
        self.assertGreaterEqual(page.count("data:image/png;base64"), 24)
        self.fails(2, "--clients", "data", "card", self.path("set"), "--shift", "mixed:0.5")
        p = self.ok_json("data", "inspect", "phantom", "--phantom-images", "30", "--html", self.path("i.html"))
        self.assertEqual(p["images"], 30)
        self.assertIn("phantom", get(self.path("i.html")).decode())
        self.dicoms(30, folder="site/chest")
        self.ok("data", "card", self.path("site", "chest") + "/", "--html", self.path("n.html"))
        page = get(self.path("n.html")).decode()
        self.assertIn("<h1>site/chest</h1>", page)
        self.assertIn("highest bar", page)

    @unittest.skipIf(SANITIZED, "trains")
    def test_simulate_by_recipe(self):
        """The set is the same whether simulate imports it or it was there; its hash stands in the result; the census too."""
        data = self.dicoms(60, per_patient=2, side=24)
        common = ("--clients", "3", "--rounds", "1", "--compare", "none", "--bootstrap", "0", "--json", "--quiet")
        a = json.loads(self.ok("simulate", "--data", data, "--recipe", self.recipe, "--data-key", self.key, "--out",
                               self.path("a"), "--shift", "noise:0.5", *common).stdout)
        m = self.imported(data)
        b = json.loads(self.ok("simulate", "--data", self.path("set"), "--out", self.path("b"), "--shift", "noise:0.5",
                               *common).stdout)
        plain = json.loads(self.ok("simulate", "--data", self.path("set"), "--out", self.path("c"), *common).stdout)
        self.assertEqual(a["data"]["recipe"], m["recipe_hash"])
        self.assertEqual(a["encrypted"], b["encrypted"])
        self.assertNotEqual(plain["rounds"][0]["encrypted"], b["rounds"][0]["encrypted"])
        self.assertEqual((a["data"]["width"], a["data"]["height"]), (24, 20))
        census = a["data"]["census"]
        counts = np.sum([h["counts"] for h in a["data"]["hospitals"]], 0).tolist()
        self.assertEqual((census["encrypted"], census["exact"], census["classes"]), (True, True, counts))
        self.assertEqual(sum(census["brightness"]), census["images"])
        self.ok("evaluate", "--model", self.path("a", "agg_model.h5"), "--data", self.path("set"))
        one = self.ok_json("predict", "--model", self.path("a", "agg_model.h5"), "--recipe", self.recipe,
                           os.path.join(data, "00000.dcm"))
        self.assertEqual((one[0]["pictures"], len(one[0]["probabilities"])), (1, 2))
        put(self.path("other.yaml"), PICTURES.replace("24", "25").encode())
        self.fails(7, "takes 24 x 20 x 1", "predict", "--model", self.path("a", "agg_model.h5"), "--recipe",
                   self.path("other.yaml"), os.path.join(data, "00000.dcm"))
        self.fails(2, "--recipe", "simulate", "--data", data, "--labels", "x.csv", "--out", self.path("d"))
        self.model_names_its_recipe(m, data)
        self.flips_are_the_recipes(data, common)

    def model_names_its_recipe(self, manifest, data):
        """In every model file of a run; other pictures are refused, by name; encrypting and opening keeps it."""
        model, picture = self.path("a", "agg_model.h5"), os.path.join(data, "00000.dcm")
        for name in ("main_model.h5", "agg_model.h5", "agg_model_last.h5", "agg_model_calibrated.h5"):
            shown = self.ok_json("inspect", self.path("a", name))
            self.assertEqual((shown["recipe"], shown["recipe_name"]), (manifest["recipe_hash"], manifest["name"]))
        self.assertIn(manifest["recipe_hash"], self.ok("model", "info", model).stdout)
        self.assertIn(manifest["recipe_hash"], self.ok("inspect", model).stdout)
        put(self.path("near.yaml"), PICTURES.replace("input: picture", "input: picture\nlaterality: irrelevant").encode())
        near = ("--recipe", self.path("near.yaml"))
        self.fails(7, "made by another recipe", "predict", "--model", model, *near, picture)
        self.fails(7, "--any-recipe", "predict", "--model", model, picture)
        self.ok("predict", "--model", model, *near, "--any-recipe", picture)
        self.ok("predict", "--model", model, "--any-recipe", picture)
        self.ok("data", "import", data, *near, "--out", self.path("near"), "--key", self.key, *THREADS)
        self.fails(7, "made by another recipe", "evaluate", "--model", model, "--data", self.path("near"))
        self.fails(7, "was not made by one", "evaluate", "--model", model, "--data", "phantom", "--phantom-images", 40)
        self.ok("evaluate", "--model", model, "--data", self.path("near"), "--any-recipe", "--bootstrap", 0)
        # A model that names none takes any.
        self.ok("model", "init", "cnn-small", "--height", 20, "--width", 24, "--channels", 1, "--classes", 2, "--out",
                self.path("bare.h5"))
        self.assertIsNone(self.ok_json("inspect", self.path("bare.h5"))["recipe"])
        self.ok("predict", "--model", self.path("bare.h5"), *near, picture)

    def flips_are_the_recipes(self, data, common):
        flip = ("--augment", "default,flip-horizontal")
        self.assertEqual(json.loads(get(self.path("set", "set.json")))["laterality"], "matters")
        self.assertEqual(json.loads(get(self.path("near", "set.json")))["laterality"], "irrelevant")
        for words in (flip, ("--flip-horizontal",)):
            self.fails(9, "say 'laterality: irrelevant' in the recipe", "simulate", "--data", self.path("set"), "--out",
                       self.path("f"), *words, *common)
        self.fails(9, "laterality", "simulate", "--data", data, "--recipe", self.recipe, "--data-key", self.key, "--out",
                   self.path("f"), *flip, *common)
        self.assertFalse(os.path.exists(self.path("f")))
        sheet = ("--out", self.path("sheet.html"), "--images", 2, "--versions", 2, "--quiet")
        self.fails(9, "laterality", "data", "augment-preview", "--data", self.path("set"), *flip, *sheet)
        self.fails(9, "unoriented", "data", "augment-preview", "--data", self.path("near"), "--augment", "flip-vertical",
                   *sheet)
        self.ok("data", "augment-preview", "--data", self.path("near"), *flip, *sheet)
        # Where it is allowed it changes training; switched off it is nobody's business.
        runs = {}
        for name, source, words in (("n", "near", flip), ("o", "near", ()), ("p", "set", (*flip, "--no-augment"))):
            result = json.loads(self.ok("simulate", "--data", self.path(source), "--out", self.path(name), *words,
                                        *common).stdout)
            runs[name] = get(self.path(name, "agg_model_last.h5"))
            self.assertFalse([w for w in result["warnings"] if "mirrors" in w])
        self.assertNotEqual(runs["n"], runs["o"])


if __name__ == "__main__":
    main()
