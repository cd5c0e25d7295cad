"""What tests of `medsecurefl data import` share: films with headers, a recipe, a key, and what a set holds."""
import json
import os
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is not installed")
    sys.exit(77)

import dicom_files as df
from common import SANITIZED, CliTest, run

THREADS = ("--threads", "1") if SANITIZED else ()
PICTURES = "recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [24, 20]}\n"
# What stands in the headers; none of it may be found anywhere afterwards.
NAME, IDENTIFIER, PLACE = "ZZQNAME^PATIENT", "ZZQID", "ZZQHOSPITAL"


def get(path):
    with open(path, "rb") as f:
        return f.read()


def put(path, content):
    with open(path, "wb") as f:
        f.write(content)


def dicom(pixels, patient, tags=None, **keys):
    h, w = pixels.shape
    elements = {0x00080005: ("CS", "ISO_IR 100"), 0x00080060: ("CS", "CR"), 0x00080080: ("LO", PLACE),
                0x00080090: ("PN", "ZZQDOCTOR^REF"), 0x00100010: ("PN", f"{NAME}{patient}"),
                0x00100020: ("LO", f"{IDENTIFIER}{patient:05d}"), 0x00100030: ("DA", "19370101"),
                0x00091010: ("LO", "ZZQPRIVATE"), 0x00280002: ("US", 1), 0x00280004: ("CS", "MONOCHROME2"),
                0x00280010: ("US", h), 0x00280011: ("US", w), 0x00280100: ("US", 8), 0x00280101: ("US", 8),
                0x00280102: ("US", 7), 0x00280103: ("US", 0), 0x7fe00010: ("OB", pixels.astype(np.uint8).tobytes())}
    elements.update(tags or {})
    return df.file(elements, **keys)


class ImportCase(CliTest):
    def setUp(self):
        super().setUp()
        self.recipe = self.path("r.yaml")
        with open(self.recipe, "w") as f:
            f.write(PICTURES)
        self.key = self.path("hospital.key")
        self.ok("data", "key", self.key)

    def dicoms(self, n=12, per_patient=2, side=20, seed=1, folder="in", old=True):
        """n files without endings, of two classes by a table that does not name patients."""
        rng = np.random.default_rng(seed)
        os.makedirs(self.path(folder), exist_ok=True)
        with open(self.path(folder, "labels.csv"), "w") as f:
            f.write("file,class\n")
            for i in range(n):
                pixels = rng.integers(0, 256, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1)
                name = f"{i:05d}" if i % 2 else f"{i:05d}.dcm"
                with open(self.path(folder, name), "wb") as out:
                    out.write(dicom(pixels, i // per_patient))
                f.write(f"{name},{'ab'[i // per_patient % 2]}\n")
                if old:  # files that were just written are read again: they might still change
                    os.utime(self.path(folder, name), (1e9, 1e9))
        return self.path(folder)

    def imported(self, data, out="set", *args, code=0):
        r = run("data", "import", data, "--recipe", self.recipe, "--out", self.path(out), "--key", self.key, "--json",
                *THREADS, *args)
        self.assertEqual(r.returncode, code, r.stderr)
        return json.loads(r.stdout) if code == 0 else r.stderr

    def records(self, out="set"):
        raw = np.frombuffer(get(self.path(out, "records.bin")), np.uint8).reshape(-1, 32)
        return {"patient": [bytes(r[:16]) for r in raw], "label": raw[:, 16:20].copy().view("<u4")[:, 0],
                "bunch": raw[:, 20:24].copy().view("<u4")[:, 0], "rest": raw[:, 24:]}

    def everything(self):
        """All bytes that the program wrote, and where."""
        for folder, _, names in os.walk(self.path()):
            for name in names:
                path = os.path.join(folder, name)
                if not path.startswith(self.path("in")):
                    yield path, get(path)
                    yield path, path.encode()
