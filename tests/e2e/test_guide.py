"""The commands of docs/guide/data.md for sets that this repository cannot hold, as they stand there, on look-alikes with
the very layout of those sets. Downloads are served from the look-alikes. Rounds, seeds and replicates are cut down, by
options set behind the guide's; MSFL_GUIDE_FULL=1 leaves them as they are."""
import gzip
import json
import os
import re
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import nifti_files as nf
import picture_files as pf
from common import CLI, SANITIZED, SOURCE, CliTest, main

GUIDE = os.path.join(SOURCE, "docs", "guide", "data.md")
SHORT = {"simulate": "--rounds 1 --bootstrap 20 --quiet --compare none", "reproduce": "--rounds 1 --bootstrap 20 --quiet --seeds 1 --clients 3"}


def commands(heading):
    """The indented blocks of a section, each as one script."""
    with open(GUIDE, encoding="utf-8") as f:
        text = f.read()
    section = re.search(rf"^### {re.escape(heading)}.*?$(.*?)(?=^##|\Z)", text, re.M | re.S)
    assert section, f"the guide has no section '{heading}'"
    blocks = re.findall(r"(?:^    .*\n)+(?:\n(?:^    .*\n)+)*", section.group(1), re.M)
    return [re.sub(r"^    ", "", b, flags=re.M) for b in blocks]


class Guide(CliTest):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("bin"))
        os.makedirs(self.path("published"))
        os.makedirs(self.path("work"))
        os.symlink(os.path.join(SOURCE, "examples"), self.path("work", "examples"))
        more = "" if os.environ.get("MSFL_GUIDE_FULL") else "".join(
            f"  {name}) set -- \"$@\" {options};;\n" for name, options in SHORT.items())
        self.script("medsecurefl", f"case $1 in\n{more}  *) ;;\nesac\nexec {CLI} \"$@\"\n")
        # Of curl only what the guide uses: -L -O ADDRESS, the file by its published name.
        self.script("curl", "for last; do :; done\n"
                            f"exec cp {self.path('published')}/\"${{last##*/}}\" .\n")

    def script(self, name, text):
        with open(self.path("bin", name), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(self.path("bin", name), 0o755)

    def run_block(self, block, *below):
        r = subprocess.run(["bash", "-e", "-u", "-o", "pipefail", "-c", block], cwd=self.path("work", *below),
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
                           env={**os.environ, "PATH": self.path("bin") + os.pathsep + os.environ["PATH"]})
        self.assertEqual(r.returncode, 0, f"{block}\n{r.stdout}\n{r.stderr}")
        return r.stdout + r.stderr

    def result(self, *names):
        with open(self.path("work", *names), encoding="utf-8") as f:
            return json.load(f)

    def picture(self, rng, is_ill, side):
        p = rng.integers(0, 120, (side, side))
        p[:, :side // 2] += 90 * is_ill
        return p.astype(np.uint8)

    def test_pneumonia_mnist(self):
        rng = np.random.default_rng(1)
        arrays = {}
        for part, n0, n1 in (("train", 26, 60), ("val", 6, 12), ("test", 14, 22)):
            y = rng.permutation(np.repeat([0, 1], [n0, n1]))
            arrays[f"{part}_images"] = np.stack([self.picture(rng, c, 64) for c in y])
            arrays[f"{part}_labels"] = y[:, None].astype(np.uint8)
        np.savez_compressed(self.path("published", "pneumoniamnist_64.npz"), **arrays)
        block, = commands("PneumoniaMNIST")
        said = self.run_block(block)
        self.assertIn("the source's own", said)
        self.assertIn("no patient key", said)
        r = self.result("out", "pneumonia", "result.json")
        # Its own three parts, as they are.
        self.assertEqual([r["data"][k] for k in ("train", "validation", "test")], [86, 18, 36])
        self.assertEqual(np.sum(r["encrypted"]["confusion"], axis=1).tolist(), [14, 22])
        t = self.result("out", "pneumonia-tables", "tables.json")
        self.assertTrue(t["complete"] and t["sums_exact"])
        self.assertEqual({run["test_images"] for run in t["runs"]}, {36})

    def test_covid_radiography(self):
        rng = np.random.default_rng(2)
        root = self.path("work", "COVID-19_Radiography_Dataset")
        for name, n in (("COVID", 20), ("Lung_Opacity", 4), ("Normal", 30), ("Viral Pneumonia", 4)):
            for kind, side in (("images", 299), ("masks", 256)):
                os.makedirs(os.path.join(root, name, kind))
                for i in range(1, n + 1):
                    p = self.picture(rng, name == "COVID", side)
                    if kind == "masks":
                        p = np.repeat(((p > 60) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
                    pf.write_png(os.path.join(root, name, kind, f"{name}-{i}.png"), p)
            with open(os.path.join(root, f"{name}.metadata.xlsx"), "wb") as f:
                f.write(b"PK\3\4 no picture")
        with open(os.path.join(root, "README.md.txt"), "w", encoding="utf-8") as f:
            f.write("read me\n")
        block, = commands("COVID-19 X-rays")
        if SANITIZED:  # the prototype's network at its own size takes minutes there
            block = "".join(line for line in block.splitlines(True) if "medsecurefl-2022" not in line)
        said = self.run_block(block)
        self.assertIn("0-normal", said)
        t = self.result("out", "covid-tables", "tables.json")
        self.assertTrue(t["complete"])
        r = self.result("out", "covid-tables", "clients-3-seed-1", "result.json")
        self.assertEqual((r["data"]["images"], r["data"]["classes"]), (50, ["0-normal", "1-covid"]))
        if not SANITIZED:
            t = self.result("out", "covid-tables-2022", "tables.json")
            self.assertEqual(t["costs"][0]["values"], t["prototype"]["values"])
        # Taken as it is unpacked, masks are no X-rays.
        p = self.ok("data", "inspect", "--data", root)
        self.assertEqual(p.stderr.count("masks beside images"), 4)
        self.assertIn("images      58,", p.stdout)

    def volumes(self, rng, k, third):
        """T1, T1 with contrast, T2, FLAIR and a mask with the values 1, 2 and `third`."""
        shape = (40, 40, 12)
        x, y, z = np.indices(shape)
        brain = (x - 20) ** 2 + (y - 20) ** 2 + (2.5 * (z - 6)) ** 2 < 17 ** 2
        far = (x - 14 - rng.integers(0, 12)) ** 2 + (y - 20) ** 2 + (2.5 * (z - 6)) ** 2
        mask = np.zeros(shape, np.uint8)
        for radius, value in ((9, 2), (6, third), (3, 1)):
            mask[(far < radius ** 2) & brain] = value
        out = []
        for j in range(4):
            v = 300 + 60 * j + rng.normal(0, 30, shape) + 20 * rng.normal(0, 1, shape).cumsum(rng.integers(0, 2))
            out.append(((np.abs(v) + 120 * (mask > 0) * (j + 1)) * brain).astype(np.int16))
        return out + [mask]

    def brats(self, folder, case_name, separator, words, third, n=12):
        rng = np.random.default_rng(3)
        for k in range(n):
            case = case_name(k)
            os.makedirs(self.path("work", folder, case))
            for word, v in zip(words, self.volumes(rng, k, third), strict=True):
                with open(self.path("work", folder, case, f"{case}{separator}{word}.nii.gz"), "wb") as f:
                    f.write(gzip.compress(nf.file(v), 1))

    def check_brats(self, structures):
        m = self.result("brats.set", "set.json")
        self.assertEqual((m["channels"], m["samples"]), (3, 12))
        r = self.result("out", "brats", "result.json")
        self.assertEqual((r["task"], r["sum_exact"]), ("segmentation", True))
        self.assertEqual(len(r["encrypted"]["structures"]), structures)
        return m

    def test_brats_of_2023(self):
        # Two examinations of every third patient.
        self.brats("brats", lambda k: f"BraTS-GLI-{k - (k % 3 == 1):05d}-{int(k % 3 == 1):03d}", "-",
                   ("t1n", "t1c", "t2w", "t2f", "seg"), 3)
        train, table = commands("BraTS")
        self.run_block(train)
        by_names = self.check_brats(3)
        self.assertEqual(by_names["patients"], 8)
        pixels = self.pixels()
        # The table says the same; its rows are sorted alike.
        self.run_block(table, "brats")
        self.run_block("rm -r brats.set brats.set.cache\n" + train.splitlines()[0])
        self.assertEqual((self.result("brats.set", "set.json")["patients"], self.pixels()), (8, pixels))

    def pixels(self):
        with open(self.path("work", "brats.set", "pixels.bin"), "rb") as f:
            return f.read()

    def test_brats_of_2021(self):
        self.brats("brats", lambda k: f"BraTS2021_{k:05d}", "_", ("t1", "t1ce", "t2", "flair", "seg"), 4)
        self.run_block(commands("BraTS")[0])
        m = self.check_brats(4)  # 3 never occurs
        self.assertEqual(m["patients"], 12)
        r = self.result("out", "brats", "result.json")
        dice = [s["dice"] for s in r["encrypted"]["structures"]]
        self.assertEqual([d is None for d in dice], [False, False, True, False])
        self.assertAlmostEqual(r["encrypted"]["dice"], np.mean([d for d in dice if d is not None]), delta=0.05)


if __name__ == "__main__":
    main()
