"""`medsecurefl data import`: slices, frames and sequences that make up samples, and their masks."""
import glob
import json
import os
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import dicom_files as df
import nifti_files as nf
from common import SANITIZED, data_folder, main, run
from import_case import THREADS, ImportCase, dicom, get, put


class ImportVolumes(ImportCase):
    def test_slices_make_volumes(self):
        """Series of single slices, files in any order: one volume each, all slices of it in one bunch."""
        os.makedirs(self.path("in"))
        rng = np.random.default_rng(3)
        numbers = rng.permutation(40)
        with open(self.path("in", "labels.csv"), "w") as table:
            table.write("file,class\n")
            for i, number in enumerate(numbers):
                series, z = divmod(int(number), 10)
                pixels = np.full((16, 16), 10 * z + series)
                tags = {0x0020000e: ("UI", f"1.2.3.{series}"), 0x00200032: ("DS", [0, 0, 2 * z]),
                        0x00200037: ("DS", [1, 0, 0, 0, 1, 0]), 0x00280030: ("DS", [1, 1]),
                        0x00200013: ("IS", str(i))}
                with open(self.path("in", f"f{i}"), "wb") as f:
                    f.write(dicom(pixels, series, tags))
                table.write(f"f{i},{'ab'[series % 2]}\n")
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - window: {low: 0, high: 255}\n"
                    "  - slices: {axis: axial, count: 5}\n  - resize: {size: [16, 16]}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"))
        self.assertEqual((m["samples"], m["images"], m["patients"]), (4, 20, 4))
        pixels = np.fromfile(self.path("set", "pixels.bin"), np.uint8).reshape(20, -1)
        self.assertTrue((pixels == pixels[:, :1]).all())
        got = pixels[:, 0].reshape(4, 5)
        self.assertEqual(sorted(map(tuple, got.tolist())), [tuple(10 * z + s for z in (1, 3, 5, 7, 9)) for s in range(4)])
        bunch = self.records()["bunch"].reshape(4, 5)
        self.assertTrue((bunch == bunch[:, :1]).all())
        self.assertEqual(len(set(bunch[:, 0])), 4)
        # A series with a gap is left out, and told.
        os.remove(self.path("in", f"f{list(numbers).index(24)}"))
        r = run("data", "import", self.path("in"), "--recipe", self.recipe, "--out", self.path("gap"), "--key", self.key,
                "--json", *THREADS)
        self.assertEqual(json.loads(r.stdout)["samples"], 3)
        self.assertIn("slices are missing", r.stderr)

    def test_odd_series(self):
        """What is left out of a recipe of volumes, and what is told of those that are taken."""
        rng = np.random.default_rng(4)
        names = []

        def put(name, series, place=None, number=1, tags=None):
            names.append((name, series))
            tags = {0x0020000e: ("UI", f"1.2.3.{series}"), 0x00280030: ("DS", [1, 1]), 0x00200013: ("IS", str(number)),
                    **(tags or {})}
            if place is not None:
                tags.update({0x00200032: ("DS", place), 0x00200037: ("DS", [1, 0, 0, 0, 1, 0])})
            with open(self.path("in", name), "wb") as f:
                f.write(dicom(rng.integers(0, 256, (16, 16)), series, tags))
        os.makedirs(self.path("in"))
        for z in range(5):
            put(f"good{z}", 0, [0, 0, 2 * z])
            put(f"burned{z}", 1, [0, 0, 2 * z], tags={0x00280301: ("CS", "YES" if z == 3 else "NO")})
            put(f"beside{z}", 2, [90 * (z % 2), 0, 2 * z])
            put(f"nowhere{z}", 3)
            put(f"twice{z}", 4, [0, 0, 2 * z], 1)
            put(f"again{z}", 4, [0, 0, 2 * z], 2)
            put(f"uneven{z}", 5, [0, 0, 2 * z + 0.6 * (z > 2)])
        put("localiser", 6, [0, 0, 50])
        names.append(("film", 7))
        frames = rng.integers(0, 256, (3, 16, 16, 1)).astype("u1")
        groups = [{0x00209113: ("SQ", [{0x00200032: ("DS", [0, 0, z])}])} for z in (0, 1, 1)]
        shared = [{0x00209116: ("SQ", [{0x00200037: ("DS", [1, 0, 0, 0, 1, 0])}]),
                   0x00289110: ("SQ", [{0x00280030: ("DS", [1, 1])}])}]
        put_film = df.native(frames, x52009229=("SQ", shared), x52009230=("SQ", groups), x00100020=("LO", "ZZQ7"))
        with open(self.path("in", "film"), "wb") as f:
            f.write(put_film)
        with open(self.path("in", "labels.csv"), "w") as f:
            f.write("file,class\n" + "".join(f"{n},{'ab'[s % 2]}\n" for n, s in names))
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - window: {low: 0, high: 255}\n"
                    "  - fit: {size: [16, 16, 5]}\nstore: {bits: 8}\n")
        r = run("data", "import", self.path("in"), "--recipe", self.recipe, "--out", self.path("set"), "--key", self.key,
                "--json", *THREADS)
        self.assertEqual(r.returncode, 0, r.stderr)
        for text in ("BurnedInAnnotation", "beside the others", "neither places nor numbers", "its frames make up no volume"):
            self.assertIn(text, r.stderr)
        m = json.loads(r.stdout)
        self.assertEqual(m["samples"], 4)
        told = " ".join(m["warnings"])
        for text in ("1 volumes have several slices at one place", "1 volumes have slices at uneven distances",
                     "1 volumes are of a single slice, beside 4 of several"):
            self.assertIn(text, told)

    def test_a_patient_in_two_kinds_of_files(self):
        """One pseudonym, whether a header in Latin-1 or a table in UTF-8 names the patient."""
        os.makedirs(self.path("in", "a"))
        os.makedirs(self.path("in", "b"))
        rng = np.random.default_rng(5)
        with open(self.path("in", "labels.csv"), "w", encoding="utf-8") as table:
            table.write("file,patient\n")
            for i, (text, codes) in enumerate((("MÜLLER-7", "latin-1"), ("MÜLLER-8", "utf-8"), ("plain", "ascii"))):
                for name, named in (("a/header", False), ("b/table", True)):
                    tags = {0x00080005: ("CS", "ISO_IR 192" if codes == "utf-8" else "ISO_IR 100"),
                            0x00100020: ("LO", ("other" if named else text).encode(codes))}
                    put(self.path("in", f"{name}{i}.dcm"), dicom(rng.integers(0, 256, (20, 20)), i, tags))
                    if named:
                        table.write(f"{name}{i}.dcm,{text}\n")
        self.imported(self.path("in"))
        patients = self.records()["patient"]
        self.assertEqual(patients[:3], patients[3:])
        self.assertEqual(len(set(patients)), 3)

    def test_a_series_takes_one_mask(self):
        """All slices name one file: its mask, laid into place. A mask for each slice would be the first one's alone."""
        for folder in ("in", "masks"):
            os.makedirs(self.path(folder))
        # In NIfTI's directions, of which the first two run against DICOM's: the mask's slice z is z + 1 everywhere.
        mask = np.broadcast_to(np.arange(1, 7, dtype=np.uint8), (16, 16, 6))
        put(self.path("masks", "whole.nii"), nf.file(mask, sform=1, pixdim=(1, 1, 2),
                                                     srow=np.array([[-1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 2, 0]])))
        with open(self.path("labels.csv"), "w") as table:
            table.write("file,class,whole,own\n")
            for z in (3, 0, 5, 1, 4, 2):
                tags = {0x0020000e: ("UI", "1.2.3"), 0x00200032: ("DS", [0, 0, 2 * z]), 0x00200037: ("DS", [1, 0, 0, 0, 1, 0]),
                        0x00280030: ("DS", [1, 1])}
                put(self.path("in", f"f{z}"), dicom(np.full((16, 16), 30 * z + 20), 1, tags))
                put(self.path("masks", f"f{z}.nii"), nf.file(np.full((16, 16, 1), z, np.uint8)))
                table.write(f"f{z},a,masks/whole.nii,masks/f{z}.nii\n")
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - window: {low: 0, high: 255}\n"
                    "  - slices: {axis: axial}\n  - fit: {size: [16, 16]}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"), "set", "--masks", "whole")
        self.assertEqual((m["samples"], m["images"], m["masks"]), (1, 6, True))
        pixels = np.fromfile(self.path("set", "pixels.bin"), np.uint8).reshape(6, -1)
        masks = np.fromfile(self.path("set", "masks.bin"), np.uint8).reshape(6, -1)
        self.assertTrue((pixels == 30 * masks.astype(int) - 10).all(), (pixels[:, 0], masks[:, 0]))
        self.fails(12, "its slices have masks of their own", "data", "import", self.path("in"), "--recipe", self.recipe,
                   "--masks", "own", "--out", self.path("own"), "--key", self.key)

    def test_sequences_by_table(self):
        """T1 and T2 as two channels, one row a sample; a row without one of them is left out."""
        try:
            import nibabel
        except ImportError:
            self.skipTest("nibabel is not installed")
        os.makedirs(self.path("in"))
        rng = np.random.default_rng(8)
        rows = ["T1,T2,who,kind"]
        for i in range(6):
            v = rng.integers(1, 200, (24, 24, 6)).astype(np.int16)
            nibabel.Nifti1Image(v, np.eye(4)).to_filename(self.path("in", f"{i}_t1.nii.gz"))
            nibabel.Nifti1Image((250 - v).astype(np.int16), np.eye(4)).to_filename(self.path("in", f"{i}_t2.nii.gz"))
            rows.append(f"{i}_t1.nii.gz,{'' if i == 5 else f'{i}_t2.nii.gz'},p{i // 2},{'xy'[i % 2]}")
        put(self.path("in", "table.csv"), "\n".join(rows).encode())
        put(self.recipe, b"recipe: 1\ninput: volume\nsequences: [T1, T2]\nsteps:\n  - window: {low: 0, high: 255}\n"
                         b"  - fit: {size: [24, 24, 6]}\n  - slices: {axis: slices}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"), "set", "--labels", self.path("in", "table.csv"), "--label", "kind", "--patient",
                          "who")
        self.assertEqual((m["samples"], m["channels"], m["images"], m["patients"], m["source"]["incomplete"]),
                         (5, 2, 30, 3, 1))
        p = np.fromfile(self.path("set", "pixels.bin"), np.uint8).reshape(30, 24, 24, 2).astype(int)
        self.assertTrue((p.sum(3) == 250).all())
        self.ok("data", "card", self.path("set"), "--html", self.path("c.html"))
        if not SANITIZED:
            self.ok("simulate", "--data", self.path("set"), "--out", self.path("run"), "--clients", "2",
                    "--allow-two-sites", "--rounds", "1", "--compare", "none", "--bootstrap", "0", "--test-fraction", "0.34",
                    "--validation-fraction", "0", "--quiet")

    def test_sequences_by_names(self):
        """Without a table: the last word of a file is its sequence, what stands before it the sample."""
        rng = np.random.default_rng(9)
        names = ["HGG/B_1/B_1_t1", "HGG/B_1/B_1_t2", "HGG/B_1/B_1_flair", "HGG/B_2/B_2_T1n", "HGG/B_2/B_2_t2w",
                 "LGG/C-00003-000/C-00003-000-t1", "LGG/C-00003-000/C-00003-000-t2", "LGG/C-00003-001/C-00003-001-t1",
                 "LGG/C-00003-001/C-00003-001-t2", "LGG/C-00003-001/C-00003-001-seg", "LGG/D, \"four\"/D 4-t1",
                 "LGG/D, \"four\"/D 4-t2", "LGG/E/E_t1", "LGG/readme_first"]
        for name in names:
            os.makedirs(self.path("in", os.path.dirname(name)), exist_ok=True)
            put(self.path("in", name + ".nii"), nf.file(rng.integers(1, 200, (16, 16, 4)).astype(np.int16)))
        put(self.recipe, b"recipe: 1\ninput: volume\nsequences: [T1, T2]\nsteps:\n  - window: {low: 0, high: 255}\n"
                         b"  - fit: {size: [16, 16, 4]}\n  - slices: {axis: slices}\nstore: {bits: 8}\n")
        m = self.imported(self.path("in"))
        # E lacks T2; C-00003 was examined twice.
        self.assertEqual((m["samples"], m["patients"], m["source"]["incomplete"]), (5, 4, 1))
        self.assertEqual([c["name"] if isinstance(c, dict) else c for c in m["classes"]], ["HGG", "LGG"])
        m = self.imported(self.path("in"), "masks", "--masks", "seg")
        self.assertEqual((m["samples"], m["source"]["incomplete"]), (1, 5))
        put(self.path("in", "HGG", "B_2", "B_2_t1.nii"), get(self.path("in", "HGG", "B_2", "B_2_T1n.nii")))
        self.assertIn("both look like 'T1'", self.imported(self.path("in"), "twice", code=12))
        os.makedirs(self.path("none", "a"))
        put(self.path("none", "a", "scan.nii"), get(self.path("in", "LGG", "E", "E_t1.nii")))
        self.assertIn("...-T1.nii.gz", self.imported(self.path("none"), "none.set", code=12))

    @unittest.skipIf(data_folder() is None, "no folder of real images (MSFL_TEST_DATA)")
    def test_real_volumes_with_masks(self):
        base = os.path.join(data_folder(), "mri3d_hippocampus", "dev")
        os.makedirs(self.path("in"))
        for path in sorted(glob.glob(os.path.join(base, "images", "*.nii.gz")))[:24]:
            os.symlink(path, self.path("in", os.path.basename(path)))
        with open(self.recipe, "w") as f:
            f.write("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - percentiles: {low: 1, high: 99}\n"
                    "  - fit: {size: [48, 64, 48]}\n  - slices: {axis: coronal, share: 0.5, count: 4}\n")
        m = self.imported(self.path("in"), "set", "--labels", os.path.join(base, "labels.csv"), "--label", "large_volume",
                          "--masks", os.path.join(base, "labels"))
        self.assertEqual((m["samples"], m["images"], m["masks"]), (24, 96, True))
        masks = np.fromfile(self.path("set", "masks.bin"), np.uint8)
        self.assertEqual(set(np.unique(masks)), {0, 1, 2})
        self.assertEqual(len(masks), 96 * 48 * 48)


if __name__ == "__main__":
    main()
