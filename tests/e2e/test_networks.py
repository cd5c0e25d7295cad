"""Segmentation, augmentation in words, and the options of training that came later, through the command line."""
import json
import os
import re
import subprocess
import time
import unittest

import h5py
import numpy as np

from common import CLI, CliTest, main, run

FEW = ("--clients", 3, "--threads", 2, "--compare", "none", "--bootstrap", 50, "--quiet")


def discs(path, n_patients=30, slices=4, empty=1, height=16, width=24, seed=1, masks="masks", **more):
    """Volumes of two bright structures: a disc that grows and shrinks from slice to slice, and a bar beside it."""
    rng = np.random.RandomState(seed)
    yy, xx = np.mgrid[:height, :width]
    images, labels, groups = [], [], []
    for patient in range(n_patients):
        cy, cx = rng.uniform(5, height - 5), rng.uniform(5, width - 9)
        for z in range(slices):
            mask = np.zeros((height, width), np.uint8)
            if empty <= z:
                mask[(yy - cy) ** 2 + (xx - cx) ** 2 < 14 - 3 * (z - 2) ** 2] = 1
                mask[(abs(yy - cy) < 4) & (xx - cx > 4) & (xx - cx < 8)] = 2
            image = 60 + 70.0 * (mask == 1) + 140.0 * (mask == 2) + 12 * rng.randn(height, width)
            images.append(image.clip(0, 255).astype(np.uint8))
            labels.append(mask)
            groups.append(patient)
    arrays = dict(images=np.array(images), group=np.array(groups), **more)
    if masks:
        arrays[masks] = np.array(labels)
    np.savez(path, **arrays)
    return arrays


class Segmentation(CliTest):
    def simulate(self, out, *options):
        result = self.ok("simulate", "--data", self.path("discs.npz"), "--model", "unet2d", "--out", self.path(out),
                         "--rounds", 3, "--local-epochs", 2, "--lr", 0.01, "--batch", 8, "--validation-fraction", 0.3, *FEW,
                         "--json", *options)
        return json.loads(result.stdout)

    def bytes(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def test_learns_and_reports(self):
        discs(self.path("discs.npz"))
        r = self.simulate("a")
        self.assertEqual(r["task"], "segmentation")
        self.assertTrue(r["sum_exact"])
        figures = r["encrypted"]
        self.assertGreater(figures["dice"], 0.8)
        self.assertLess(figures["hausdorff95"], 4)
        self.assertEqual([s["class"] for s in figures["structures"]], [1, 2])
        low, high = figures["intervals"]["dice"]
        self.assertTrue(low <= figures["dice"] <= high)
        # Dice again, from masks that the model file makes: 'evaluate' sees the same test patients.
        again = self.ok_json("evaluate", "--model", self.path("a", "agg_model.h5"), "--data", self.path("discs.npz"),
                             "--part", "all", "--bootstrap", 0)
        self.assertEqual(again["patients"], 30)
        self.assertGreater(again["dice"], 0.8)
        self.assertEqual(r["rounds"][0]["encrypted"]["validation_dice"] is None, False)
        self.assertNotIn("validation_auc", r["rounds"][0]["encrypted"])
        page = self.bytes("a", "report.html").decode()
        self.assertIn("Hausdorff-95", page)
        self.assertIn("mean Dice", page)
        self.assertNotIn("id=\"confusion\"", page)
        self.assertGreaterEqual(page.count("data:image/png"), 6)
        self.assertFalse(os.path.exists(self.path("a", "agg_model_calibrated.h5")))
        # One thread or two, and in two parts: the same bytes.
        self.simulate("b", "--threads", 1)
        self.assertEqual(self.bytes("a", "agg_model.h5"), self.bytes("b", "agg_model.h5"))
        # A single picture has no class.
        self.fails(16, "'evaluate' judges masks", "predict", "--model", self.path("a", "agg_model.h5"), "x.png")

    def test_masks_that_are_none(self):
        def refuse(code, text, *options, **changes):
            discs(self.path("discs.npz"), n_patients=18, slices=1, empty=0, **changes)
            self.fails(code, text, "simulate", "--data", self.path("discs.npz"), "--model", "unet2d", "--out",
                       self.path("x"), *FEW, *options)

        n = 18
        y = np.arange(n) % 2
        refuse(12, "there are no masks", masks=None, y=y)
        # Of two things that are missing the masks are told first: a size would not help.
        refuse(12, "there are no masks", "--size", 20, masks=None, y=y)
        refuse(12, "all masks are empty", masks=None, mask=np.zeros((n, 16, 24), np.uint8), y=y)
        refuse(12, "which is not one mask for each image", masks=None, mask=np.zeros((n, 16, 20), np.uint8), y=y)
        refuse(12, "masks are whole numbers", masks=None, mask=np.full((n, 16, 24), 0.5), y=y)
        mixed = np.full((n, 16, 24), 255, np.uint8)
        mixed[3, 2, 1] = 2
        refuse(12, "or 0 and 255 alone", masks=None, mask=mixed, y=y)
        # One structure in white is structure 1.
        white = np.where(np.arange(24) % 5 == 0, 255, 0) * np.ones((n, 16, 1), int)
        np.savez(self.path("white.npz"), images=np.zeros((n, 16, 24), np.uint8), mask=white.astype(np.uint8))
        self.assertEqual(self.ok_json("data", "inspect", "--data", self.path("white.npz"))["mask_classes"], 2)
        refuse(12, "masks are whole numbers", masks=None, mask=np.full((n, 16, 24), -1, np.int16), y=y)
        refuse(12, "the masks have values up to 200", masks=None, mask=np.full((n, 16, 24), 200, np.uint8), y=y)
        refuse(2, "classes of images are balanced", "--balance")

    def test_other_sizes_and_layouts(self):
        a = discs(self.path("discs.npz"), n_patients=18, slices=1, empty=0)
        plain = self.ok_json("data", "inspect", "--data", self.path("discs.npz"), "--quiet")
        self.assertEqual(plain["images"] if "images" in plain else plain["n_images"], 18)
        # In Fortran order and as 64-bit integers it is the same set; resized it still trains.
        np.savez(self.path("turned.npz"), images=np.asfortranarray(a["images"]), group=a["group"],
                 masks=np.asfortranarray(a["masks"].astype(np.int64)))
        for name, out in (("discs", "p"), ("turned", "q")):
            self.ok("simulate", "--data", self.path(name + ".npz"), "--model", "unet2d", "--out", self.path(out),
                    "--rounds", 1, *FEW)
        self.assertEqual(self.bytes("p", "agg_model.h5"), self.bytes("q", "agg_model.h5"))
        self.ok("simulate", "--data", self.path("discs.npz"), "--model", "unet2d", "--size", 32, "--out", self.path("s"),
                "--rounds", 1, *FEW)
        self.fails(7, "their sides must divide by two as often; with --size 24 it works", "simulate", "--data",
                   self.path("discs.npz"), "--model", "unet2d", "--size", 20, "--out", self.path("t"), "--rounds", 1, *FEW)


class Options(CliTest):
    def simulate(self, out, *options):
        result = self.ok("simulate", "--data", "phantom", "--phantom-images", 200, "--rounds", 2, "--size", 32, "--out",
                         self.path(out), *FEW, "--json", *options)
        return json.loads(result.stdout)

    def model(self, out):
        with open(self.path(out, "agg_model_last.h5"), "rb") as file:
            return file.read()

    def test_each_changes_training_and_is_recorded(self):
        plain = self.simulate("plain")
        self.assertEqual(set(plain["config"]) & {"augmentation", "balance", "focal", "dice", "proximal", "norms"},
                         set())
        seen = {self.model("plain")}
        for words, key, value in ((("--focal", 2), "focal", 2), (("--proximal", 0.5), "proximal", 0.5),
                                  (("--balance",), "balance", True), (("--norms", "local"), "norms", "local"),
                                  (("--norms", "mean"), "norms", "mean"), (("--local-steps", 1), "local_steps", 1),
                                  (("--logit-adjust", 1), "logit_adjustment", 1), (("--average-rounds", 2), "average_rounds", 2),
                                  (("--schedule", "linear"), "schedule", "linear"),
                                  (("--augment", "strong,flip-horizontal"), "augmentation", "strong,flip-horizontal")):
            folder = "-".join(map(str, words)).replace(",", "-")
            r = self.simulate(folder, *words)
            self.assertEqual(r["config"][key], value)
            self.assertEqual(r["training"][key], value)
            self.assertTrue(r["sum_exact"])
            # In data that no recipe speaks for, a flip is taken at the user's word, and told.
            self.assertEqual(any("mirrors pictures" in w for w in r["warnings"]), "flip" in folder)
            seen.add(self.model(folder))
            # The run can be continued as it was, and not as another.
            self.simulate(folder, *words, "--resume")
            self.fails(13, key, "simulate", "--data", "phantom", "--phantom-images", 200, "--rounds", 2, "--size", 32,
                       "--out", self.path(folder), *FEW, "--resume")
        self.assertEqual(len(seen), 11)
        # At their neutral values they are not there.
        self.simulate("neutral", "--focal", 0, "--proximal", 0, "--augment", "default", "--dice", 3,
                      "--norms", "shared")
        self.assertEqual(self.model("neutral"), self.model("plain"))

    def weights(self, *names):
        """Normalisation layers and everything else, of a model file."""
        norms, rest = {}, {}
        with h5py.File(self.path(*names), "r") as file:
            def visit(name, item):
                if isinstance(item, h5py.Dataset):
                    kind = name.split("/")[-1].split(":")[0]
                    (rest if kind in ("kernel", "bias") else norms)[name] = item[()]
            file.visititems(visit)
        self.assertTrue(norms and rest)
        return norms, rest

    def assertSame(self, a, b, wanted=True):
        self.assertEqual(a.keys(), b.keys())
        self.assertEqual(all(np.array_equal(a[name], b[name]) for name in a), wanted)

    def test_norms_that_never_leave(self):
        options = ("--rounds", 2, "--shift", "mixed:1", "--lr", 0.02)
        shared = self.simulate("shared", *options)
        local = self.simulate("local", *options, "--norms", "local", "--compare", "plain")
        mean = self.simulate("mean", *options, "--norms", "mean")
        first, _ = self.weights("local", "main_model.h5")
        norms, rest = self.weights("local", "agg_model.h5")
        # The federated model has the layers that training began with; what is sent is shorter by their values.
        self.assertSame(norms, first)
        for name, values in first.items():
            self.assertTrue((values == ("gamma" in name)).all(), name)
        n_norms = sum(values.size for values in norms.values())
        self.assertEqual(shared["params"]["slots"] - local["params"]["slots"], n_norms)
        self.assertEqual(shared["bytes_float32"] - local["bytes_float32"], 4 * n_norms)
        self.assertEqual(mean["params"]["slots"], shared["params"]["slots"])
        self.assertTrue(local["sum_exact"] and mean["sum_exact"])
        self.assertLess(abs(local["encrypted"]["auc"] - local["plain"]["auc"]), 0.02)
        # Every hospital has its own, on common ground.
        own = [self.weights("local", "personal", f"hospital-{k}.h5") for k in (1, 2, 3)]
        for norms, others in own:
            self.assertSame(norms, first, False)
            self.assertSame(others, rest)
        self.assertSame(own[0][0], own[1][0], False)
        # Where their mean travels, it is in the federated model: by the numbers of images.
        kept = [self.weights("mean", "personal", f"hospital-{k}.h5")[0] for k in (1, 2, 3)]
        share = np.array([h["train"] for h in mean["data"]["hospitals"]], float)
        share /= share.sum()
        if mean["best_round"] == 2:
            for name, values in self.weights("mean", "agg_model.h5")[0].items():
                want = sum(w * k[name] for w, k in zip(share, kept))
                self.assertLess(np.abs(values - want).max(), 1e-4)
        # Every hospital's model on the common test images, their mean and spread.
        for r in (local, mean):
            personal = r["personal"]
            self.assertEqual([p["n"] for p in personal["per_hospital"]], [r["encrypted"]["n"]] * 3)
            aucs = [p["auc"] for p in personal["per_hospital"]]
            self.assertAlmostEqual(personal["auc"], np.mean(aucs), 9)
            self.assertAlmostEqual(personal["spread"]["auc"]["deviation"], np.std(aucs), 6)
            self.assertEqual((personal["spread"]["auc"]["least"], personal["spread"]["auc"]["most"]), (min(aucs), max(aucs)))
        # The shift is of hospitals' own images: test images are as they are, so 'evaluate' sees the same.
        again = self.ok_json("evaluate", "--model", self.path("local", "personal", "hospital-2.h5"), "--data", "phantom",
                             "--phantom-images", 200, "--part", "test", "--bootstrap", 0)
        self.assertAlmostEqual(again["auc"], local["personal"]["per_hospital"][1]["auc"], 9)
        self.assertNotIn("personal", shared)
        self.assertTrue(any("never left the hospitals" in w for w in local["warnings"]))
        with open(self.path("local", "report.html"), encoding="utf-8") as file:
            self.assertIn("own model (its own normalisation layers)", file.read())
        # Where the sum is not quantised, nothing but what is sent of the layers differs.
        for word in ("local", "mean"):
            self.simulate("plain-" + word, "--scheme", "plain", "--norms", word)
        for k in (1, 2, 3):
            pair = [self.weights("plain-" + word, "personal", f"hospital-{k}.h5") for word in ("local", "mean")]
            self.assertSame(pair[0][0], pair[1][0])
            self.assertSame(pair[0][1], pair[1][1])
        # The same bytes with one thread, and begun again.
        self.simulate("one", *options, "--norms", "local", "--threads", 1)
        for name in ("agg_model.h5", "personal/hospital-1.h5", "personal/hospital-3.h5"):
            with open(self.path("one", name), "rb") as a, open(self.path("local", name), "rb") as b:
                self.assertEqual(a.read(), b.read())

    def test_statistics_that_stay_are_warned_of(self):
        with open(self.path("bn.yaml"), "w") as file:
            file.write("name: bn\ninput: {height: 32, width: 32, channels: 1}\nclasses: 2\nlayers:\n"
                       "  - conv: {filters: 4, kernel: 3, stride: 2, bias: false}\n  - batch_norm: {activation: relu}\n"
                       "  - flatten\n  - dense: {units: classes}\n")
        for word, told in (("local", True), ("mean", False)):
            r = self.simulate(word, "--model", self.path("bn.yaml"), "--norms", word)
            self.assertEqual(any("is of no use as it is" in w for w in r["warnings"]), told)
            norms = self.weights(word, "agg_model.h5")[0]
            moved = any((v != 0).any() for name, v in norms.items() if "moving_mean" in name)
            self.assertEqual(moved, not told)

    def test_local_norms_survive_a_stop(self):
        whole = self.simulate("whole", "--norms", "local", "--rounds", 3)
        parts = ("--data", "phantom", "--phantom-images", 200, "--rounds", 3, "--size", 32, "--out", self.path("cut"), *FEW,
                 "--norms", "local")
        process = subprocess.Popen([CLI, "simulate", *map(str, parts)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.path("cut", "state", "encrypted.state")) and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.wait()
        cut = json.loads(self.ok("simulate", *parts, "--resume", "--json").stdout)
        self.assertEqual(cut["per_hospital"], whole["per_hospital"])
        self.assertEqual(cut["personal"], whole["personal"])
        for name in ("agg_model.h5", "agg_model_last.h5", "personal/hospital-2.h5"):
            with open(self.path("cut", name), "rb") as a, open(self.path("whole", name), "rb") as b:
                self.assertEqual(a.read(), b.read())
        self.simulate("parts", "--norms", "local", "--rounds", 3)
        state = self.path("parts", "state", "encrypted.state")
        with open(state, "rb") as file:
            kept = file.read()
        self.assertEqual(self.simulate("parts", "--norms", "local", "--rounds", 3, "--resume")["per_hospital"],
                         whole["per_hospital"])
        with open(state, "wb") as file:
            file.write(kept[:-40] + bytes(8) + kept[-32:])
        self.fails(5, "damaged", "simulate", "--data", "phantom", "--phantom-images", 200, "--rounds", 3, "--size", 32,
                   "--out", self.path("parts"), *FEW, "--norms", "local", "--resume")

    def test_temperature(self):
        r = self.simulate("t", "--rounds", 3)
        t = r["temperature"]
        self.assertLessEqual(t["loss_after"], t["loss_before"] + 0.05)
        before, after = (self.ok_json("evaluate", "--model", self.path("t", name), "--data", "phantom",
                                      "--phantom-images", 200, "--part", "test", "--bootstrap", 0)
                         for name in ("agg_model.h5", "agg_model_calibrated.h5"))
        self.assertAlmostEqual(before["calibration"], t["calibration_before"], 5)
        self.assertAlmostEqual(after["calibration"], t["calibration_after"], 3)
        self.assertAlmostEqual(after["loss"], t["loss_after"], 3)
        self.assertEqual(before["accuracy"], after["accuracy"])

    def test_views(self):
        one, r = self.simulate("one", "--compare", "plain"), self.simulate("views", "--compare", "plain", "--views", 5)
        # Training is the same, and so are the curves; the final figures are not.
        self.assertEqual(self.model("one"), self.model("views"))
        self.assertEqual(one["rounds"][-1]["encrypted"]["test_auc"], r["rounds"][-1]["encrypted"]["test_auc"])
        self.assertNotIn("views", one["training"])
        self.assertEqual((r["training"]["views"], r["config"]["views"]), (5, 5))
        for track in ("encrypted", "plain"):
            self.assertNotEqual(one[track]["loss"], r[track]["loss"])
        data = ("--data", "phantom", "--phantom-images", 200, "--part", "test", "--bootstrap", 0)
        model = ("evaluate", "--model", self.path("views", "agg_model.h5"))
        e = self.ok_json(*model, *data, "--views", 5)
        self.assertEqual(e["views"], 5)
        self.assertEqual(e["loss"], r["encrypted"]["loss"])
        self.assertEqual(self.ok_json(*model, *data, "--views", 5, "--threads", 1)["loss"], e["loss"])
        self.assertNotEqual(self.ok_json(*model, *data, "--views", 5, "--augment", "strong")["loss"], e["loss"])
        for words, warned in (("strong", False), ("strong,flip-horizontal", True)):
            said = self.ok(*model, *data, "--views", 2, "--augment", words).stderr
            self.assertEqual("views mirror pictures" in said, warned)
        self.assertEqual(self.ok_json(*model, *data)["loss"], one["encrypted"]["loss"])
        for words, text in ((("--views", 65), "views"), (("--views", 2, "--augment", "none"), "alike"),
                            (("--augment", "strong"), "--views")):
            self.fails(2, text, *model, *data, *words)
        for words, text in ((("--views", 2, "--no-augment"), "augmentation"), (("--views", 2, "--augment", "none"), "alike")):
            self.fails(2, text, "simulate", "--data", "phantom", "--phantom-images", 60, "--out", self.path("w"), *FEW, *words)

    def test_wrong_words(self):
        for words, text in ((("--augment", "sharpen=3"), "what is 'sharpen=3'"), (("--focal", 11), "focal"),
                            (("--focal", 1, "--label-smoothing", 0.1), "exclude each other"),
                            (("--norms", "own"), "not 'own'"),
                            (("--norms", "local", "--model", "medsecurefl-2022", "--size", 256, "--channels", 1),
                             "no normalisation layer")):
            self.fails(2, text, "simulate", "--data", "phantom", "--phantom-images", 60, "--out", self.path(words[0]), *FEW,
                       *words)

    def test_help_says_things_once(self):
        self.assertEqual(self.ok("data", "--help").stdout.lower().count("a contact sheet, one html page"), 1)

    def test_contact_sheet(self):
        discs(self.path("discs.npz"), n_patients=3, slices=4)
        sheets = []
        for _ in range(2):
            out = self.ok("data", "augment-preview", "--data", self.path("discs.npz"), "--augment", "strong", "--images", 3,
                          "--versions", 4, "--out", self.path("sheet.html"), "--quiet").stdout
            with open(self.path("sheet.html")) as file:
                sheets.append(file.read())
        self.assertIn("3 images in 4 versions", out)
        self.assertEqual(sheets[0], sheets[1])
        pictures = re.findall(r"data:image/png;base64,([^\"]+)", sheets[0])
        self.assertEqual(len(pictures), 15)
        self.assertEqual(len(set(pictures)), 15)
        self.fails(2, "--out SHEET.html", "data", "augment-preview", "--data", "phantom", "--quiet")

    def test_bench(self):
        r = self.ok_json("bench", "train", "--model", "resnet8", "--size", 32, "--batch", 8, "--seconds", 0.1,
                         "--threads", 1, "--quiet")
        self.assertEqual(r["values"], 77234)
        self.assertTrue(r["train_images_per_second"] > 0 and r["predict_images_per_second"] > 0)
        self.assertTrue(0 < r["trainer_bytes"] < r["peak_bytes"])


if __name__ == "__main__":
    main()
