"""What `./run federation` shows, in a short form: processes, kills, a model, a verified record; and bit for bit what `simulate` makes."""
import json
import os
import subprocess
import sys
import unittest

from common import CLI, SANITIZED, SOURCE, CliTest, main

FAULT = os.path.join(SOURCE, "tests", "fault")


class Show(CliTest):
    def test_show(self):
        out = self.path("out")
        r = subprocess.run([sys.executable, "-B", os.path.join(FAULT, "show.py"), "--hospitals", "4", "--rounds", "4", "--size", "16",
                            "--images", "400", "--out", out], capture_output=True, text=True, timeout=900, env=os.environ)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        for words in ("kill -9 hospital-c", "kill -9 coordinator", "the coordinator is back", "http://127.0.0.1:", "agg_model.h5"):
            self.assertIn(words, r.stdout)
        self.assertEqual(r.stdout.count("verified"), 5, r.stdout)
        self.assertNotIn("NOT verified", r.stdout)
        self.assertTrue(os.path.exists(os.path.join(out, "result", "agg_model.h5")))
        with open(os.path.join(out, "result", "result.json")) as f:
            self.assertEqual(json.load(f)["state"], "done")

    def test_masks(self):
        try:
            from test_volumes import RECIPE, volumes
        except SystemExit:
            self.skipTest("numpy is not installed")
        volumes(self.path("images"), self.path("labels"))
        with open(self.path("r.yaml"), "w", encoding="utf-8") as f:
            f.write(RECIPE)
        r = subprocess.run([sys.executable, "-B", os.path.join(FAULT, "show.py"), self.path("images"), "--masks", self.path("labels"),
                            "--recipe", self.path("r.yaml"), "--hospitals", "3", "--rounds", "1", "--no-kill", "--out",
                            self.path("out")], capture_output=True, text=True, timeout=900, env=os.environ)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        for words in ("96 images (none, structure 1, structure 2)", "Dice 0.", "(structure 1 0.", "agg_model.h5"):
            self.assertIn(words, r.stdout)

    def test_same_as_simulate(self):
        if SANITIZED:
            self.skipTest("the same twice: once without sanitizers is enough")
        bench = os.path.join(SOURCE, "bench", "federation.py")
        r = subprocess.run([sys.executable, "-B", bench, "same", "phantom", "--hospitals", "3", "--rounds", "2", "--size", "16",
                            "--json"], capture_output=True, text=True, timeout=900, env=os.environ)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertEqual(json.loads(r.stdout)["same"], {"agg_model_last.h5": True, "agg_model.h5": True}, r.stdout)


if __name__ == "__main__":
    main()
