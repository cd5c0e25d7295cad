"""Segmentation over the network: hospitals with sets of volumes and masks, plain or sealed, and the model they end with held bit by
bit against `simulate` of the same set, whoever is killed on the way. Sets that do not fit stay out and say why."""
import json
import os
import shutil
import signal
import sys
import unittest
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import numpy as np  # noqa: F401
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

from common import SANITIZED, SOURCE, data_folder, main  # noqa: E402
from test_federation import Federation  # noqa: E402
from test_volumes import RECIPE, volumes  # noqa: E402
from test_volumes_3d import RECIPE as WHOLE  # noqa: E402

JOB = """format: medsecurefl-job
version: 1
name: bones
model: {model}
input: {{height: {height}, width: {width}, channels: {channels}}}
classes: [{classes}]
recipe: {recipe}
rounds: {rounds}
samples_max: {samples_max}
validation_fraction: 0.2
batch: 8
learning_rate: 0.01
deadline_s: 120
seed: 5
{more}"""
SHARED = "data:\n  path: {path}\n  share: {{of: {of}, index: {index}, partition: iid, seed: 5}}\nthreads: 1\n"
OWN = "data:\n  path: {path}\nthreads: 1\n"


class Segmentation(Federation):
    def by_recipe(self, text, name="r.yaml"):
        return self.write((name,), text)

    def imported(self, out, data, recipe, *more):
        """A set of data/images with masks data/labels; the hash of its recipe."""
        self.ok("data", "import", os.path.join(data, "images"), "--recipe", recipe, "--masks", os.path.join(data, "labels"),
                "--out", self.path(out), *more)
        with open(self.path(out, "set.json"), encoding="utf-8") as f:
            return json.load(f)["recipe_hash"]

    def submit_masks(self, recipe, rounds=2, more="", height=24, width=16, classes="none, disc, bar", samples_max=32, channels=1, model="unet2d"):
        path = self.write(("job.yaml",), JOB.format(recipe=recipe, rounds=rounds, more=more, height=height, width=width,
                                                    classes=classes, samples_max=samples_max, channels=channels, model=model))
        return self.ok("job", "submit", path, "--kit", self.path("kits", "ada")).stdout.strip()

    def simulate_masks(self, rounds, *more, model="unet2d"):
        out = self.path("simulated")
        self.ok("simulate", "--data", self.path("set"), "--model", model, "--clients", len(self.hospitals), "--rounds",
                rounds, "--seed", 5, "--batch", 8, "--lr", 0.01, "--validation-fraction", 0.2, "--compare", "none",
                "--bootstrap", 1, "--quiet", "--out", out, *more)
        with open(os.path.join(out, "metrics.jsonl"), encoding="utf-8") as f:
            return out, [json.loads(line) for line in f]

    def share(self, path):
        for i, name in enumerate(self.hospitals):
            self.write(("kits", name, "site.yaml"), SHARED.format(path=path, of=len(self.hospitals), index=i))

    def result(self, *path):
        with open(self.path(*path, "result.json"), encoding="utf-8") as f:
            return json.load(f)


class TestThree(Segmentation):
    def test_same_as_simulate_after_kills(self):
        volumes(self.path("data", "images"), self.path("data", "labels"))
        recipe = self.imported("set", self.path("data"), self.by_recipe(RECIPE))
        self.share(self.path("set"))
        self.start_hub()
        job = self.submit_masks(recipe, 3, "local_epochs: 3\ndice: 2\naugmentation: rotate=4.5\nproximal: 0.001\nattempts: 50\n")
        for name in self.hospitals:
            self.start_hospital(name)
        # A hospital in the first round, the coordinator in the second, both in the third.
        victim = self.hospitals[1]
        self.wait(job, lambda j: any(h["state"] not in ("absent", "idle") for h in j["hospitals"] if h["name"] == victim))
        self.stop(victim, signal.SIGKILL)
        self.start_hospital(victim)
        self.wait(job, lambda j: j["round"] >= 2)
        self.stop("hub", signal.SIGKILL)
        self.start_hub()
        self.wait(job, lambda j: j["round"] >= 3 and j["phase"] == "collecting" or j["state"] == "done")
        self.stop(victim, signal.SIGKILL)
        self.stop("hub", signal.SIGKILL)
        self.start_hub()
        self.start_hospital(victim)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        out, rounds = self.simulate_masks(3, "--local-epochs", 3, "--dice", 2, "--augment", "rotate=4.5", "--proximal", 0.001)
        fetched = self.fetch(job)
        self.same_model(fetched, out)
        # The figures are those of simulate, too: sums of counts over all hospitals.
        self.assertEqual((found["judged_by"], found["classes"]), ("dice", ["none", "disc", "bar"]))
        self.assertEqual([h["cohort"] for h in found["history"]], [3, 3, 3])
        for h, r in zip(found["history"], rounds):
            for key in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_dice"):
                self.assertEqual(h[key], r["encrypted"][key], key)
            self.assertEqual(len(h["validation_structures"]), 2)
            self.assertAlmostEqual(sum(h["validation_structures"]) / 2, h["validation_dice"], places=12)
            self.assertNotIn("validation_auc", h)
        simulated, result = self.result("simulated"), self.result("fetched")
        self.assertEqual(result["best_round"], simulated["encrypted"]["best_round"])
        self.assertEqual((result["task"], simulated["task"]), ("segmentation", "segmentation"))
        test = result["encrypted"]
        self.assertEqual(test, dict(found["test"], best_round=result["best_round"]))
        self.assertEqual([(s["class"], s["name"]) for s in test["structures"]], [(1, "disc"), (2, "bar")])
        self.assertEqual(test["n"], simulated["encrypted"]["n"])
        self.assertNotIn("auc", test)
        self.assertIn("test dice", self.ok("job", "show", job, "--kit", self.path("kits", "ada")).stdout)
        # What came of it, judged once more on the same masks: there by patient, here over all pixels.
        again = self.ok_json("evaluate", "--model", os.path.join(fetched, "agg_model.h5"), "--data", self.path("set"), "--part",
                             "test", "--validation-fraction", 0.2, "--seed", 5, "--bootstrap", 20)
        self.assertAlmostEqual(again["dice"], simulated["encrypted"]["dice"], places=12)
        self.assertAlmostEqual(again["dice"], test["dice"], delta=0.1)
        self.assertGreater(test["dice"], 0.5)
        with zipfile.ZipFile(os.path.join(fetched, "audit.zip")) as z:
            z.extractall(self.path("audit"))
        self.ok("audit", "verify", self.path("audit"), "--kit", self.path("kits", victim))

    def test_delivered_to_the_hospitals(self):
        """The hospitals open the sums: they know the Dice, and the coordinator does not."""
        volumes(self.path("data", "images"), self.path("data", "labels"))
        recipe = self.imported("set", self.path("data"), self.by_recipe(RECIPE))
        self.share(self.path("set"))
        self.start_hub()
        job = self.submit_masks(recipe, 1, "delivery: clients\nnorms: local\nlocal_epochs: 2\n")
        for name in self.hospitals:
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        self.assertEqual((found["judged_by"], found["history"][0]["validation_dice"]), ("dice", None))
        self.assertEqual([s["dice"] for s in found["test"]["structures"]], [None, None])
        out, rounds = self.simulate_masks(1, "--norms", "local", "--local-epochs", 2)
        for name in self.hospitals:
            self.stop(name)
            folder = self.path("kits", name, "state", "jobs", job)
            self.same_model(folder, out)
            result = self.result(folder)["encrypted"]
            self.assertGreaterEqual(result["structures"][0]["dice"], 0)
            with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as f:
                self.assertEqual(json.loads(f.readline())["encrypted"]["validation_dice"],
                                 rounds[0]["encrypted"]["validation_dice"])

    def test_whole_volumes(self):
        """A network over three dimensions, on sets of whole volumes: as simulate, figures included."""
        volumes(self.path("data", "images"), self.path("data", "labels"))
        recipe = self.imported("set", self.path("data"), self.by_recipe(WHOLE))
        self.share(self.path("set"))
        self.start_hub()
        job = self.submit_masks(recipe, 2, "local_epochs: 3\n", channels="1, depth: 8", samples_max=8, model="unet3d")
        for name in self.hospitals:  # a volume is one image, and here are few
            self.write(("kits", name, "policy.yaml"), "images_min: 3\nfigures_min: 1\n")
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        out, rounds = self.simulate_masks(2, "--local-epochs", 3, model="unet3d")
        self.same_model(self.fetch(job), out)
        self.assertEqual(found["test"]["dice"], self.result("fetched")["encrypted"]["dice"])
        for h, r in zip(found["history"], rounds):
            self.assertEqual(h["cohort"], 3)
            for key in ("train_loss", "validation_loss", "validation_dice"):
                self.assertEqual(h[key], r["encrypted"][key], key)

    def test_images_by_no_recipe(self):
        """A job about classes of images that names a recipe: who has not imported by it says so and stays out."""
        self.start_hub()
        job = self.submit(rounds=1, more="recipe: " + "0123456789abcdef" * 4 + "\n")
        for name in self.hospitals:
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "failed")
        self.assertIn("every hospital refuses it: the images here were not imported by a recipe; the job asks for recipe 0123",
                      found["why"])


class TestOwnSets(Segmentation):
    hospitals = ("hospital-a", "hospital-b", "hospital-c", "hospital-d", "hospital-e")

    def test_sets_of_their_own(self):
        """A plain set, a sealed one, one in which a structure never occurs; another recipe, and a set without masks, stay out."""
        by, other = self.by_recipe(RECIPE), self.by_recipe(RECIPE.replace("count: 4", "count: 3"), "other.yaml")
        for i, name in enumerate(self.hospitals):
            data, out = self.path("data-" + name), "set-" + name
            volumes(os.path.join(data, "images"), os.path.join(data, "labels"), n=10, seed=10 + i)
            site, more = OWN.format(path=self.path(out)), ()
            if i == 1:
                self.ok("data", "key", self.path("key"))
                more = ("--seal", "--key", self.path("key"))
                site = site.replace("threads", f"  key: {self.path('key')}\nthreads", 1)
            if i == 4:  # the images alone, as two classes
                for k, v in enumerate(sorted(os.listdir(os.path.join(data, "images")))):
                    os.makedirs(os.path.join(data, "classes", "ab"[k % 2]), exist_ok=True)
                    os.rename(os.path.join(data, "images", v), os.path.join(data, "classes", "ab"[k % 2], v))
                self.ok("data", "import", os.path.join(data, "classes"), "--recipe", by, "--out", self.path(out))
            elif i == 3:
                self.imported(out, data, other, *more)
            else:
                recipe = self.imported(out, data, by, *more)
            self.write(("kits", name, "site.yaml"), site)
        self.start_hub()
        job = self.submit_masks(recipe, 2, "target_cohort: 3\n", classes="none, disc, bar, cyst")
        # What a dry run of the same description says, without a network.
        for name in ("hospital-b", "hospital-d"):
            dry = ("client", "--kit", self.path("kits", name), "--job", self.path("job.yaml"), "--dry-run", self.path("dry"))
            if name == "hospital-d":
                self.fails(9, "imported by another recipe", *dry)
            else:
                self.ok(*dry)
                shutil.rmtree(self.path("dry"))
        for name in self.hospitals[3:]:
            self.start_hospital(name)
        found = self.wait(job, lambda j: {h["state"] for h in j["hospitals"][3:]} == {"refused", "failed"})
        by_name = {h["name"]: h for h in found["hospitals"]}
        self.assertEqual((by_name["hospital-d"]["state"], by_name["hospital-e"]["state"]), ("refused", "failed"))
        self.assertIn("imported by another recipe; the job asks for recipe " + recipe, by_name["hospital-d"]["text"])
        self.assertNotIn(self.path(), by_name["hospital-d"]["text"] + by_name["hospital-e"]["text"])
        self.assertIn("no masks of 24 x 16 pixels", self.log("hospital-e"))
        for name in self.hospitals[:3]:
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        self.assertEqual([h["cohort"] for h in found["history"]], [3, 3])
        dice = [s["dice"] for s in found["test"]["structures"]]
        self.assertIsNone(dice[2])  # nobody has a cyst, and nobody found one
        self.assertAlmostEqual(found["test"]["dice"], sum(dice[:2]) / 2, places=12)
        fetched = self.fetch(job)
        told = self.ok_json("evaluate", "--model", os.path.join(fetched, "agg_model.h5"), "--data", self.path("set-hospital-b"),
                            "--data-key", self.path("key"), "--bootstrap", 20)
        self.assertEqual(told["n"], 40)
        self.assertEqual(len(told["structures"]), 3)


class TestHippocampus(Segmentation):
    def test_real_volumes(self):
        """T1 crops with masks by the recipe of examples/, bit by bit as simulate."""
        real = data_folder() and os.path.join(data_folder(), "mri3d_hippocampus", "dev")
        if not real or not os.path.isdir(real):
            self.skipTest("the real images are not here")
        if SANITIZED:
            self.skipTest("synthetic volumes are enough")
        names = sorted(os.listdir(os.path.join(real, "images")))[:24]
        for folder in ("images", "labels"):
            os.makedirs(self.path("data", folder))
            for name in names:
                os.symlink(os.path.join(real, folder, name), self.path("data", folder, name))
        recipe = self.imported("set", self.path("data"), os.path.join(SOURCE, "examples", "recipes", "hippocampus.yaml"))
        self.share(self.path("set"))
        self.start_hub()
        job = self.submit_masks(recipe, 1, height=64, width=48, channels=3, classes="none, anterior, posterior",
                                samples_max=256)
        for name in self.hospitals:
            self.start_hospital(name)
        found = self.wait(job)
        self.assertEqual(found["state"], "done", self.logs())
        self.assertTrue(all(s["dice"] is not None for s in found["test"]["structures"]))
        out, rounds = self.simulate_masks(1)
        self.same_model(self.fetch(job), out)
        self.assertEqual(found["history"][0]["validation_dice"], rounds[0]["encrypted"]["validation_dice"])


if __name__ == "__main__":
    main()
