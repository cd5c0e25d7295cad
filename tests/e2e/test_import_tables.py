"""`medsecurefl data import`: which class and which patient a file has, by tables, folders and arrays; refusals."""
import json
import os
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

from common import main, run
from import_case import ImportCase, get, put


class ImportTables(ImportCase):
    def test_arrays_and_folders(self):
        rng = np.random.default_rng(4)
        x = rng.integers(0, 256, (30, 20, 24), dtype=np.uint8)
        np.savez(self.path("a.npz"), x=x, y=np.arange(30) % 2, group=np.arange(30) // 3)
        m = self.imported(self.path("a.npz"))
        self.assertEqual((m["images"], m["patients"]), (30, 10))
        self.assertEqual(get(self.path("set", "pixels.bin")), x.tobytes())
        m = self.imported("phantom", "ph")
        self.assertEqual(m["classes"], ["normal", "opacity"])

    def archive(self):
        """Twelve films as an archive writes them: folders that are no classes, one file beside them, odd names."""
        self.dicoms()
        at = self.path("in", "Export Müller")
        paths = []
        for i in range(12):
            folder = os.path.join("DICOM", f"PA{i % 3:06d}", "ST 1") if i else ""
            paths.append(os.path.join(folder, f"Röntgen {i}.dcm"))
            os.makedirs(os.path.join(at, folder), exist_ok=True)
            os.rename(self.path("in", f"{i:05d}{'' if i % 2 else '.dcm'}"), os.path.join(at, paths[-1]))
        put(os.path.join(at, "DICOMDIR"), b"no picture")
        os.remove(self.path("in", "labels.csv"))
        return at, paths

    def test_a_table_goes_before_an_archives_folders(self):
        at, paths = self.archive()

        def table(name, rows, separator=",", encoding="utf-8", heading=("file", "class", "patient_id")):
            text = "".join(separator.join(row) + "\n" for row in (heading, *rows))
            put(self.path("in", name), text.encode(encoding))
            return self.path("in", name)

        rows = [(p, "ab"[i % 2], f"p{i // 2}") for i, p in enumerate(paths)]
        foreign = [("DICOM/not there.dcm", "a", "p99")]
        # Two films have no row, one row no film; separators and line ends as they come.
        r = run("data", "import", at, "--recipe", self.recipe, "--out", self.path("a"), "--key", self.key, "--json",
                "--labels", table("t.csv", rows[:10] + foreign, ";"))
        self.assertEqual(r.returncode, 0, r.stderr)
        m = json.loads(r.stdout)
        self.assertEqual((m["images"], m["label_key"], m["patient_key"]), (10, "class in the table", "patient_id in the table"))
        self.assertEqual(m["source"]["unlabelled"], 2)
        self.assertIn("classes are those of the table", r.stderr)
        self.assertIn("1 rows of", r.stderr)
        self.assertIn("the first is line 12", r.stderr)
        self.assertNotIn("UTF-8", r.stderr)
        # Folders as Windows writes them.
        m = self.imported(at, "b", "--labels", table("w.csv", [(p.replace("/", "\\"), c, x) for p, c, x in rows]))
        self.assertEqual((m["images"], m["patients"]), (12, 6))
        # Umlauts as old programs write them name nothing; what to do is said.
        r = run("data", "import", at, "--recipe", self.recipe, "--out", self.path("c"), "--key", self.key, "--labels",
                table("l.csv", rows, encoding="latin-1"))
        self.assertEqual(r.returncode, 12)
        self.assertIn("no column of it names files", r.stderr)
        self.assertIn("CSV UTF-8", r.stderr)
        # A table with other words says nothing, and that is said.
        r = run("data", "import", at, "--recipe", self.recipe, "--out", self.path("d"), "--key", self.key, "--labels",
                table("g.csv", rows, heading=("Bild", "Klasse", "Nummer")))
        self.assertIn("nothing is taken from", r.stderr)
        m = self.imported(at, "e", "--labels", self.path("in", "g.csv"), "--label", "Klasse", "--patient", "Nummer")
        self.assertEqual((m["images"], m["patients"], m["label_key"]), (12, 6, "Klasse in the table"))
        # One that lies there and was not named: where folders tell one class, which is none.
        table("labels.csv", [("Export Müller/" + p, c, x) for p, c, x in rows])
        r = self.ok_json("data", "inspect", "--data", at)
        self.assertEqual((r["images"], r["label_key"]), (11, "class in labels.csv"))

    def test_refusals(self):
        data = self.dicoms()
        self.assertIn("no column 'nope'", self.imported(data, "a", "--patient", "nope", code=12))
        self.assertIn("no label 'nope'", self.imported(data, "a", "--label", "nope", code=12))
        self.assertIn("too many", run("data", "import", data, data, "--recipe", self.recipe, "--out", "x").stderr)
        self.assertFalse(os.path.exists(self.path("a", "set.json")))
        os.makedirs(self.path("mine"))
        put(self.path("mine", "thesis.txt"), b"x")
        self.assertIn("a folder of its own", self.imported(data, "mine", code=13))
        self.assertEqual(os.listdir(self.path("mine")), ["thesis.txt"])
        self.assertIn("looks like a measurement", self.many_labels())
        self.imported(data, "b")
        self.fails(2, "--label chooses no others", "data", "inspect", "--data", self.path("b"), "--label", "z")

    def many_labels(self):
        data = self.dicoms(30, folder="many")
        with open(os.path.join(data, "labels.csv"), "w") as f:
            f.write("file,class\n")
            for i in range(30):
                f.write(f"{i:05d}{'' if i % 2 else '.dcm'},l{i}\n")
        return self.imported(data, "m", code=12)


if __name__ == "__main__":
    main()
