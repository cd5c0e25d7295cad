"""Splits without leakage, over many seeds, fractions, partitions and numbers of hospitals: what belongs together, by how the data was
made and not by what the program thinks of it, never stands on two sides or in two hospitals. Sets of films whose patients come from a
table, from headers, from both; near copies under other names; volumes with their slices; sets, folders and archives.

Longer: test_leakage.py --long"""
import gzip
import os
import random
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import dicom_files as df
import nifti_files as nf
from common import CliTest, SANITIZED, main
from test_data import png

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "split_probe")
THREADS = ("--threads", "1") if SANITIZED else ()
SPECS = ("iid", "dirichlet:0.3", "dirichlet:5", "quantity:0.7", "by-group")
SEEDS, ROUNDS = 40, 6
FILM = "recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [24, 24]}\n"
VOLUME = ("recipe: 1\ninput: volume\nsteps:\n  - orient: RAS\n  - window: {low: 0, high: 1000}\n"
          "  - slices: {axis: axial, count: 5}\n  - resize: {size: [24, 24]}\nstore: {bits: 8}\n")


class Bonds:
    """What belongs together, as sets that grow into one another."""

    def __init__(self, n):
        self.parent = list(range(n))

    def root(self, i):
        while self.parent[i] != i:
            i = self.parent[i]
        return i

    def tie(self, images):
        for i in images[1:]:
            self.parent[self.root(i)] = self.root(images[0])

    def tie_by(self, keys):
        for key in set(keys) - {None}:
            self.tie([i for i, k in enumerate(keys) if k == key])

    def groups(self):
        return np.array([self.root(i) for i in range(len(self.parent))])


def texture(rng, side=24, coarse=6):
    """A picture that is no near copy of another one."""
    return np.clip(rng.normal(size=(coarse, coarse)).repeat(side // coarse, 0).repeat(side // coarse, 1) * 50 + 128, 0, 255)


def film(pixels, patient):
    e = df.image(np.clip(pixels, 0, 255).astype("u1")[None, :, :, None])
    e[0x00100020] = ("LO", patient)
    e[0x7FE00010] = ("OB", np.clip(pixels, 0, 255).astype("u1").tobytes())
    return df.file(e)


class Leakage(CliTest):
    def put(self, *names):
        os.makedirs(os.path.dirname(self.path(*names)), exist_ok=True)
        return open(self.path(*names), "wb")

    def table(self, folder, rows):
        with open(self.path(folder, "labels.csv"), "w") as f:
            f.write("\n".join(",".join(map(str, r)) for r in rows) + "\n")

    def imported(self, folder, recipe, *args):
        with open(self.path("r.yaml"), "w") as f:
            f.write(recipe)
        return self.ok_json("data", "import", self.path(folder), "--recipe", self.path("r.yaml"), "--out", self.path(folder + ".set"),
                            *THREADS, *args)

    def holds(self, data, groups, parts=None, key=()):
        """`groups`: number of each image's bond. `parts`: of the source's own test part, by image; a bond with one is all in it."""
        rng = random.Random(len(groups))
        groups, n_good, refused = np.asarray(groups), 0, []
        _, first, dense = np.unique(groups, return_index=True, return_inverse=True)
        for _ in range(ROUNDS):
            test, validation = rng.choice([(0.2, 0.1), (0.34, 0.2), (0.1, 0.0), (0.5, 0.3)])
            spec, n = rng.choice(SPECS), rng.choice([1, 2, 3, 5])
            begin = rng.randrange(1 << 40)
            r = subprocess.run([PROBE, data, str(begin), str(SEEDS), str(test), str(validation), spec, str(n), *key],
                               capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stderr)
            lines = r.stdout.splitlines()
            self.assertEqual(len(lines), SEEDS)
            for seed, line in enumerate(lines, begin):
                if line.startswith("refused"):  # too few of something, and it says of what
                    refused.append(line)
                    continue
                for letters in line.split():
                    letters = np.frombuffer(letters.encode(), "u1")
                    self.assertEqual(len(letters), len(groups))
                    self.assertFalse((letters == ord("-")).any(), (seed, "an image was left out"))
                    bad = np.nonzero(letters != letters[first][dense])[0]
                    self.assertEqual(len(bad), 0, f"{data} {spec} {n} hospitals, {test} {validation}, seed {seed}: {bad} parted")
                if parts is not None:
                    letters = np.frombuffer(line.split()[0].encode(), "u1")
                    theirs = np.isin(groups, groups[np.asarray(parts)])
                    self.assertTrue((letters[theirs] == ord("e")).all(), seed)
                    self.assertFalse((letters[~theirs] == ord("e")).any(), seed)
                n_good += 1
        self.assertGreater(n_good, SEEDS * ROUNDS // 2, refused[:3])

    def films(self, folder, in_table, in_header, n_patients=30, seed=1):
        """One to four films of a patient; some of another's once more, brighter, noisy. Classes may differ within a patient."""
        rng = np.random.default_rng(seed)
        patients, near, rows = [], [], [("file", "class", "patient") if in_table else ("file", "class")]
        pictures = [(p, texture(rng)) for p in range(n_patients) for _ in range(1 + int(rng.integers(4)))]
        n = len(pictures)
        for k in range(6):  # copies under names of their own
            pictures.append((n_patients + k, pictures[3 * k][1] * 1.05 + rng.normal(0, 1.5, (24, 24))))
            near.append((3 * k, n + k))
        order = rng.permutation(len(pictures))
        place = {int(old): new for new, old in enumerate(order)}
        for new, old in enumerate(order):
            p, pixels = pictures[old]
            name = f"{new:04d}.dcm"
            # By table, by header, or half of a patient's by each: it is one patient all the same.
            table = in_table and not (in_header and old % 2)
            with self.put(folder, name) as f:
                f.write(film(pixels, f"P{p:04d}" if in_header else ""))
            patients.append(p if in_table or in_header else None)
            rows.append((name, "ab"[(p + old % 3 // 2) % 2], *([f"P{p:04d}" if table else ""] if in_table else [])))
        self.table(folder, rows)
        bonds = Bonds(len(pictures))
        bonds.tie_by(patients)
        for a, b in near:
            bonds.tie([place[a], place[b]])
        return bonds.groups()

    def test_films(self):
        for folder, table, header in (("t", True, False), ("h", False, True), ("b", True, True), ("n", False, False)):
            groups = self.films(folder, table, header)
            m = self.imported(folder, FILM)
            self.assertEqual(m["images"], len(groups))
            self.holds(self.path(folder + ".set"), groups)
        # Sealed, the same; and without the search there would be bonds that hold nothing: patients alone do not tie copies.
        self.ok("data", "key", self.path("key"))
        self.imported("b", FILM, "--out", self.path("sealed"), "--seal", "--key", self.path("key"))
        self.holds(self.path("sealed"), self.films("again", True, True), key=(self.path("key"),))

    def test_the_test_can_fail(self):
        groups = self.films("t", True, False)
        self.imported("t", FILM)
        wrong = groups.copy()
        wrong[wrong == wrong[0]] = wrong[-1] if wrong[-1] != wrong[0] else wrong[1]
        with self.assertRaises(AssertionError):
            self.holds(self.path("t.set"), wrong)

    def volume(self, rng, shift=0):
        v = rng.normal(size=(4, 4, 3)).repeat(6, 0).repeat(6, 1).repeat(4, 2) * 200 + 500 + shift
        return np.clip(v, 0, 1000)

    def test_volumes(self):
        """NIfTI, one or two a patient by the table; some without; a recoded copy; five slices of each."""
        rng = np.random.default_rng(2)
        for folder, named in (("v", True), ("w", False)):
            rows, keys, volumes = [("file", "class", *(["patient"] if named else []))], [], []
            for i in range(36):
                volumes.append(self.volume(rng) if i != 30 else np.clip(volumes[4] + rng.normal(0, 4, volumes[4].shape), 0, 1000))
                with self.put(folder, f"{i:02d}.nii.gz") as f:
                    f.write(gzip.compress(nf.file(volumes[i].astype("u2"), sform=1), 1))
                patient = f"p{i // 2}" if named and i % 7 else ""
                keys.append(patient or f"alone {i}")
                rows.append((f"{i:02d}.nii.gz", "ab"[i // 2 % 2], *([patient] if named else [])))
            self.table(folder, rows)
            m = self.imported(folder, VOLUME)
            self.assertEqual((m["samples"], m["images"]), (36, 180))
            bonds = Bonds(36)
            bonds.tie_by(keys)
            bonds.tie([4, 30])
            self.holds(self.path(folder + ".set"), bonds.groups().repeat(5))

    def test_series(self):
        """Slices as single DICOM files in any order; patients by header, two series of some."""
        rng = np.random.default_rng(3)
        rows, patients = [("file", "class")], []
        files = []
        for s in range(24):
            v = self.volume(rng)
            patients.append(s // 2 if s < 16 else s)
            for z in range(6):
                e = df.image(v[:, :, 2 * z].astype("u2")[None, :, :, None])
                e.update({0x00100020: ("LO", f"S{patients[-1]:03d}"), 0x0020000E: ("UI", f"1.2.3.{s}"), 0x00200032: ("DS", [0, 0, 2 * z]),
                          0x00200037: ("DS", [1, 0, 0, 0, 1, 0]), 0x00280030: ("DS", [1, 1]),
                          0x7FE00010: ("OW", v[:, :, 2 * z].astype("<u2").tobytes())})
                files.append((s, df.file(e)))
        for i, k in enumerate(rng.permutation(len(files))):
            with self.put("s", f"{i:04d}") as f:
                f.write(files[k][1])
            rows.append((f"{i:04d}", "ab"[patients[files[k][0]] % 2]))
        self.table("s", rows)
        m = self.imported("s", VOLUME)
        self.assertEqual((m["samples"], m["images"], m["patients"]), (24, 120, 16))
        # Which sample a picture is of: its values, since volumes stand in an order of the program's own.
        samples = np.fromfile(self.path("s.set", "pixels.bin"), "u1").reshape(24, 5, -1)
        records = np.fromfile(self.path("s.set", "records.bin"), "u1").reshape(120, 32)
        rng = np.random.default_rng(3)
        volumes = [self.volume(rng) for _ in range(24)]
        owner = []
        for one in samples:
            levels = [set(np.floor(v * 255 / 1000 + 0.5).astype(int).ravel()) for v in volumes]
            values = set(map(int, one.ravel()))
            owner.append(max(range(24), key=lambda s: len(values & levels[s]) / len(values)))
        self.assertEqual(sorted(owner), list(range(24)))
        self.assertTrue((records.reshape(24, 5, 32)[:, :, 20:24] == records.reshape(24, 5, 32)[:, :1, 20:24]).all())
        self.holds(self.path("s.set"), np.array([patients[s] for s in owner]).repeat(5))

    def test_folders_and_archives(self):
        """Without an import: patients by table and array; a patient who is in the source's test part with one image is there with all."""
        rng = np.random.default_rng(4)
        group = rng.integers(0, 60, 200)
        x = rng.integers(0, 256, (200, 8, 8)).astype("u1")
        np.savez(self.path("a.npz"), x=x, y=(group + rng.integers(0, 2, 200)) % 2, group=group)
        self.holds(self.path("a.npz"), group)
        self.imported("a.npz", FILM.replace("24, 24", "16, 16"))
        self.holds(self.path("a.npz.set"), group)
        rows, images = [("file", "patient")], []
        for i in range(160):
            part, label, patient = ("train", "test")[i % 9 == 0], "ab"[i % 2], int(group[i])
            name = f"{i:03d}.png"
            with self.put("f", part, label, name) as f:
                f.write(png(x[i]))
            images.append((part, label, name, patient))
            rows.append((name, f"q{patient}"))
        self.table("f", rows)
        for data in (self.path("f"), None):
            if data is None:
                m = self.imported("f", FILM.replace("24, 24", "16, 16"))
                self.assertEqual(m["images"], 160)
                data = self.path("f.set")
            r = subprocess.run([PROBE, data, "1", "1", "0.2", "0.1", "iid", "2"], capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stderr)
            # The order of images is the program's own: by path, of which part comes first.
            ordered = sorted(images)
            self.assertEqual(len(r.stdout.split()[0]), 160)
            self.holds(data, [i[3] for i in ordered], parts=[i[0] == "test" for i in ordered])


if __name__ == "__main__":
    if "--long" in sys.argv:
        sys.argv.remove("--long")
        SEEDS, ROUNDS = 200, 24
    main()
