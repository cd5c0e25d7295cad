#!/usr/bin/env python3
"""No identity leaves: three hospitals import films whose headers, tables and file names carry invented patients (all begin with ZZ),
plain and sealed, look at them with every command there is, and take part in a federation of processes. Then everything is searched
that was written or sent, in every form (forms.py): the wire outside and inside TLS, databases and their logs, caches, sets, audit
folders, models, reports, pages, status, logs, temporary files. The search shows before that it can see.

    identity.py [--seed S] [--long] [--keep]

--long: more films of each hospital, a sealed kit, the sums delivered to the hospitals too. Real films (MSFL_TEST_DATA) where there are
any; made ones always. What a hospital's own terminal may say is in docs/security.md: the file name of an image that is broken."""
import argparse
import contextlib
import csv
import gzip
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import dicom_files as df
import forms
import quiet
from federation import CLI, SLOW, Federation, Process
from ports import free_ports
from tap import Tap

SOURCE = os.environ.get("MSFL_SOURCE", os.path.dirname(os.path.dirname(HERE)))
RECIPE = "recipe: 1\nname: small films\ninput: picture\nsteps:\n  - resize: {size: [16, 16]}\n"
UID = "1.2.826.0.1.3680043"
WORDS = ("ZZPHI", "ZZPID", "ZZHOSPITAL", "ZZDOCTOR", "ZZFILE", "ZZPRIVATE", "ZZSERIES", UID)
VISIBLE = "said-inside-tls"
CLASSES = {"real": ["bacteria", "normal", "virus"], "made": ["normal", "opacity"]}


def data_folder():
    folder = os.environ.get("MSFL_TEST_DATA") or os.path.join(os.path.dirname(SOURCE), "shared", "data")
    return os.path.join(folder, "cxr_dicom", "dev") if os.path.isdir(os.path.join(folder, "cxr_dicom", "dev")) else None


def film(rng, number, label, syntax, broken=False):
    """One film of 24 x 24; its patient stands in every attribute that has room for one."""
    rows = bytearray()
    for _ in range(24 * 24):
        rows.append(min(255, rng.randrange(120) + 90 * label))
    born = f"19{10 + number % 80}0{1 + number % 9}1{number % 9}"
    e = {0x00080005: ("CS", "ISO_IR 100"), 0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.1"),
         0x00080018: ("UI", f"{UID}.8.498.{number}1"), 0x00080020: ("DA", "20000101"), 0x00080050: ("SH", f"ZZPID{number:05d}A"),
         0x00080060: ("CS", "CR"), 0x00080080: ("LO", "ZZHOSPITAL"), 0x00080090: ("PN", "ZZDOCTOR^REF"),
         0x0008103E: ("LO", "ZZSERIES"), 0x00081140: ("SQ", [{0x00100020: ("LO", f"ZZPID{number:05d}")}]),
         0x00091010: ("LO", "ZZPRIVATE"), 0x00100010: ("PN", f"ZZPHI^NAME{number:05d}"), 0x00100020: ("LO", f"ZZPID{number:05d}"),
         0x00100030: ("DA", born), 0x00104000: ("LT", f"ZZPHI^NAME{number:05d} fell"), 0x0020000D: ("UI", f"{UID}.8.498.{number}2"),
         0x0020000E: ("UI", f"{UID}.8.498.{number}3"), 0x00280002: ("US", 1), 0x00280004: ("CS", "MONOCHROME2"),
         0x00280010: ("US", 24), 0x00280011: ("US", 24), 0x00280100: ("US", 8), 0x00280101: ("US", 8), 0x00280102: ("US", 7),
         0x00280103: ("US", 0), 0x7FE00010: ("OW" if syntax == df.IMPLICIT else "OB", bytes(rows))}
    if broken:
        e[0x00280010] = ("US", 9000)  # more pixels than the file has
    return df.file(e, syntax), born


def made(folder, rng, first, n):
    """n good films with telling names, and ones that are broken in header, pixels and length; words of theirs."""
    born, rows = set(), []
    os.makedirs(folder)

    def put(name, label, data, patient):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
        os.utime(os.path.join(folder, name), (1e9, 1e9))
        rows.append((name, CLASSES["made"][label], patient))

    for i in range(n):
        data, date = film(rng, first + i, i % 2, (df.LITTLE, df.IMPLICIT, df.BIG, df.DEFLATED)[i // 2 % 4])
        born.add(date)
        put(f"ZZFILE^NAME{first + i:05d}.dcm", i % 2, data, f"ZZPID{first + i:05d}")
    whole, _ = film(rng, first + n, 0, df.LITTLE)
    torn, _ = film(rng, first + n + 1, 0, df.LITTLE, broken=True)
    for k, data in enumerate((whole[:-100], whole[:300], torn, whole[:140] + b"\xff" * 40 + whole[180:])):
        put(f"ZZFILE^BROKEN{first + k:05d}.dcm", 0, data, f"ZZPID{first + n + k:05d}")
    with open(os.path.join(folder, "labels.csv"), "w", newline="") as f:
        csv.writer(f).writerows([("file", "class", "patient_id"), *rows])
    return born


def real(folder, source, part, parts, n):
    """Links to a part of the real films, with the rows of their table."""
    os.makedirs(folder)
    with open(os.path.join(source, "labels.csv"), newline="") as f:
        rows = list(csv.DictReader(f))
    mine = [r for i, r in enumerate(rows) if i // 3 % parts == part][:n]
    for r in mine:
        os.symlink(os.path.join(source, r["file"]), os.path.join(folder, r["file"]))
    with open(os.path.join(folder, "labels.csv"), "w", newline="") as f:
        w = csv.DictWriter(f, rows[0].keys())
        w.writeheader()
        w.writerows(mine)


def births(folder):
    """Values of PatientBirthDate in the little-endian files of a folder."""
    found = set()
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        at = data.find(b"\x10\0\x30\0")
        if at > 0 and data[at + 8:at + 16].isdigit():
            found.add(data[at + 8:at + 16].decode())
    assert len(found) > 3, folder
    return found


class Recorder(threading.Thread):
    """All bytes of a line as anybody on the way sees them; behind it a tap that has the keys of both ends."""

    def __init__(self, fed, name):
        super().__init__(daemon=True)
        port = fed.proxies[name].port
        fed.proxies[name].close()
        time.sleep(0.05)
        self.inner = Tap(fed, name, free_ports(1)[0])
        self.target, self.wire, self.lock = self.inner.listener.getsockname()[1], bytearray(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.start()

    def run(self):
        while True:
            try:
                a, _ = self.listener.accept()
                b = socket.create_connection(("127.0.0.1", self.target), timeout=30)
            except OSError:
                return
            b.settimeout(None)
            for x, y in ((a, b), (b, a)):
                threading.Thread(target=self.pump, args=(x, y), daemon=True).start()

    def pump(self, a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                with self.lock:
                    self.wire.extend(data)
                b.sendall(data)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_WR)


def search_sees(words):
    """Every word in every form, alone and packed in everything that is unpacked; nothing where nothing is."""
    rng = random.Random(1)
    noise = lambda n: bytes(rng.randrange(256) for _ in range(n))
    for word in WORDS:
        for name, form in forms.forms(word):
            for data in (form, noise(77) + form + noise(50)):
                assert f"{word} ({name})" in words.find(data), (word, name)
        text = f"<p>{word}^X</p>".encode()
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        raw = deflate.compress(text) + deflate.flush()
        zipped = b"PK\x03\x04" + bytes(4) + b"\x08\0" + bytes(16) + b"\x01\0\0\0" + b"a" + raw
        for packed in (gzip.compress(text), zlib.compress(text, 1), zlib.compress(text, 9), zipped):
            for data in (packed, noise(100) + packed, b"src=\"data:image/png;base64," + forms.base64.b64encode(packed) + b"\"",
                         gzip.compress(b"xx" + packed)):
                assert any(word in f for f in words.find(data)), (word, data)
        for before in range(3):
            assert words.find(forms.base64.b64encode(b"x" * before + word.encode() + b"yz")), (word, before)
    for date in ("19370101", "20110202"):
        lone = forms.Words((), (date,))
        assert lone.find(b"born " + date.encode() + b";") and lone.find("born".encode() + date.encode("utf-16-le") + b";\0")
        assert not lone.find(b"0.3" + date.encode() + b"7")
    assert not words.find(b"nothing of that kind, ZZ and ZZP alone; " + noise(5000))


def database_is_read(words, folder):
    """A value across pages of SQLite, which no search of the file sees whole, is seen in the table; also in the log beside it."""
    path = os.path.join(folder, "planted.sqlite")
    db = forms.sqlite3.connect(path)
    db.execute("pragma journal_mode = wal")
    db.execute("create table t (a)")
    for begin in range(4070, 4100):
        db.execute("insert into t values (?)", (b"-" * begin + b"ZZPHI^NAME00001",))
    db.commit()
    lines, _, _ = forms.look(words, [folder])
    assert any("ZZPHI" in line and "table t of" in line for line in lines), lines
    assert any("ZZPHI" in line and line.endswith("-wal") for line in lines), lines
    db.close()
    shutil.rmtree(folder)


class Trial:
    def __init__(self, o, root, kind, born):
        self.o, self.root, self.kind, self.said, self.out = o, root, kind, [], os.path.join(root, "out")
        self.env = {**os.environ, "TMPDIR": os.path.join(root, "tmp"), "HOME": os.path.join(root, "home")}
        for name in ("tmp", "home", "out"):
            os.makedirs(os.path.join(root, name))
        self.words = forms.Words(WORDS + (("img_0",) if kind == "real" else ()), sorted(born | {"20000101"}))
        self.sources = [os.path.join(root, "in", str(i)) for i in range(3)]
        self.sets = [os.path.join(self.out, f"set{i}") for i in range(3)]
        self.keys = [os.path.join(self.out, f"key{i}") for i in range(3)]
        self.recipe = os.path.join(self.out, "r.yaml")
        with open(self.recipe, "w") as f:
            f.write(RECIPE)

    def run(self, *args, codes=(0,)):
        r = subprocess.run([CLI, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, env=self.env, cwd=self.out,
                           timeout=300 * SLOW)
        assert r.returncode in codes, (args, r.returncode, r.stdout[-2000:], r.stderr[-2000:])
        return r.stdout, r.stderr

    def quiet(self, *args, codes=(0,)):
        """A command none of whose words may tell who somebody is."""
        out, err = self.run(*args, codes=codes)
        self.said.append((" ".join(map(str, args[:2])), out + err))
        return out

    def imports(self):
        """Plain, sealed, and plain again; each with every look at files and sets that there is."""
        threads = ("--threads", 1)  # under sanitizers children are forked from one thread alone
        for i, (data, out, key) in enumerate(zip(self.sources, self.sets, self.keys)):
            self.quiet("data", "key", key)
            seal = ("--seal",) if i == 1 else ()
            # What cannot be used is named on this terminal, by the name of its file and nothing from inside of it.
            stdout, stderr = self.run("data", "import", data, "--recipe", self.recipe, "--out", out, "--key", key, "--json", *seal, *threads)
            told = self.words.find(stderr)
            if self.kind == "made":
                assert any("ZZFILE" in f for f in told), (stderr, "a broken film is named where it can be looked at")
            assert all("ZZFILE" in f for f in told), (stderr, told)
            self.said.append(("data import --json", stdout))
            assert json.loads(stdout)["images"] >= (20 if self.kind == "real" else 24), stdout
            self.quiet("data", "import", data, "--recipe", self.recipe, "--out", out, "--key", key, "--json", *seal, *threads)
            unlock = ("--key", key)
            self.quiet("data", "check", data, codes=(0, 12), *())
            self.quiet("data", "check", data, "--json", codes=(0, 12))
            self.quiet("data", "check", out, "--for-federation", *unlock, codes=(0, 12))
            self.quiet("data", "card", out, *unlock, "--html", os.path.join(self.out, f"card{i}.html"), "--json", "--clients", 2)
            self.quiet("data", "inspect", "--data", out, *unlock, "--html", os.path.join(self.out, f"look{i}.html"), "--json")
            self.quiet("data", "augment-preview", "--data", out, *unlock, "--out", os.path.join(self.out, f"augment{i}.html"))
            self.quiet("data", "partition", "--data", out, *unlock, "--clients", 2, "--json")
        # Single files are named as they were by who asks; what is said of their insides must not tell more.
        for path in sorted(os.listdir(self.sources[0]))[:12]:
            out, err = self.run("data", "inspect", os.path.join(self.sources[0], path), "--json", *threads, codes=(0, 2, 4, 5, 6))
            self.said.append(("data inspect FILE", (out + err).replace(path.encode(), b"")))
        out, err = self.run("data", "inspect", "--series", self.sources[0], "--json", *threads, codes=(0, 5, 12))
        for path in os.listdir(self.sources[0]):
            out, err = out.replace(path.encode(), b""), err.replace(path.encode(), b"")
        self.said.append(("data inspect --series", out + err))
        # A set is what its files gave and nothing else: without the broken ones, the source may be gone.
        if self.kind == "made":
            for data in self.sources:
                for name in os.listdir(data):
                    if "BROKEN" in name:
                        os.remove(os.path.join(data, name))

    def simulation(self):
        self.quiet("simulate", "--data", self.sources[0], "--recipe", self.recipe, "--data-key", self.keys[0], "--out",
                   os.path.join(self.out, "run"), "--clients", 2, "--allow-two-sites", "--rounds", 1, "--compare", "none",
                   "--bootstrap", 10, "--validation-fraction", 0, "--test-fraction", 0.25, "--json")

    def no_core(self, fed):
        for name, p in fed.processes.items():
            with open(f"/proc/{p.popen.pid}/limits") as f:
                line = next(x for x in f if x.startswith("Max core file size"))
            assert line.split()[4:6] == ["0", "0"], (name, line)

    def federation(self):
        classes = CLASSES[self.kind]

        def site(i, n):
            key = f"  key: {self.keys[i]}\n" if i == 1 else ""
            return f"data:\n  path: {self.sets[i]}\n{key}threads: 1\n"

        root = os.path.join(self.root, "fed")
        os.makedirs(root)
        with Federation(root, n=3, seed=self.o.seed, sites=site, env=self.env) as fed:
            lines = {name: Recorder(fed, name) for name in fed.names}
            fed.start()
            jobs = [dict(name=VISIBLE, rounds=2)]
            if self.o.long:
                jobs += [dict(name="long", rounds=12), dict(name="delivered", rounds=3, delivery="clients")]
            for job in jobs:
                job_id = fed.submit(classes=classes, test=True, deadline_s=60, batch=4, **job)
                ended = fed.wait_end(job_id, 180)
                assert ended["state"] == "done", fed.fail(f"the job ended as {ended['state']}: {ended['why']}")
            self.no_core(fed)
            captured = [("status", json.dumps(fed.status()).encode())]
            for path in ("/", "/app.js", "/v1/status", "/v1/jobs", "/v1/roster", f"/v1/jobs/{job_id}/files"):
                status, body, _ = fed.ask("ops", "GET", path)
                assert status == 200, (path, status)
                captured.append((path, body))
            for one in json.loads(body):
                captured.append((one["name"], fed.ask("ops", "GET", f"/v1/jobs/{job_id}/files/{one['name']}")[1]))
            # Databases as they are while everybody runs, with what stands in their logs alone.
            copy = os.path.join(self.root, "copy")
            for _ in range(5):
                with contextlib.suppress(shutil.Error, OSError):
                    shutil.copytree(fed.path("state"), copy, dirs_exist_ok=True)
                    break
            # One hospital loses its set: what it says of that, to the coordinator and at home.
            os.rename(self.sets[2], self.sets[2] + ".gone")
            fed.processes["hospital-c"].kill()
            fed.start("hospital-c")
            second = fed.submit(name="without", rounds=1, classes=classes, batch=4, test=False, evaluate=False, min_cohort=3, deadline_s=5,
                                attempts=1)
            fed.wait_end(second)
            captured.append(("status without a set", json.dumps(fed.status()).encode()))
            codes = fed.stop()
            assert set(codes.values()) <= {0, 143, -15, 130}, codes
            for name, line in lines.items():
                assert len(line.wire) > 1 << 16 and len(line.inner.up) > 1 << 16, (name, len(line.wire), len(line.inner.up))
                captured += [(f"the line of {name}", line.wire), (f"what {name} sent", line.inner.up),
                             (f"what {name} heard", line.inner.down)]
            # The search sees inside TLS: the job's name stands there, and on the line outside it does not.
            seen = forms.Words((VISIBLE,))
            assert seen.find(lines["hospital-a"].inner.down) and not seen.find(lines["hospital-a"].wire)
            return captured

    def search(self, captured):
        # The sources are what they should be: the search finds patients in them, in words and dates.
        seen, _, _ = forms.look(self.words, self.sources)
        for word in ("ZZPHI", "ZZPID", "ZZHOSPITAL", "ZZDOCTOR", UID, "lone digits"):
            assert any(word in line for line in seen), f"the search does not find {word} in the source"
        return forms.look(self.words, [self.root], captured + self.said, skip=[os.path.join(self.root, "in")])


def trial(o, root, kind):
    rng, born = random.Random(o.seed), set()
    source, n = data_folder(), 32 if o.long or kind == "made" else 24
    for i in range(3):
        folder = os.path.join(root, "in", str(i))
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        if kind == "real":
            real(folder, source, i, 3, n)
            born |= births(folder)
        else:
            born |= made(folder, rng, 1000 * i, n)
    t = Trial(o, root, kind, born)
    t.imports()
    t.simulation()
    return t.search(t.federation())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true")
    o = parser.parse_args()
    root, failed = tempfile.mkdtemp(prefix="msfl-identity-"), 0
    words = forms.Words(WORDS)
    search_sees(words)
    os.makedirs(os.path.join(root, "planted"))
    database_is_read(words, os.path.join(root, "planted"))
    try:
        for kind in ("made", "real"):
            if kind == "real" and data_folder() is None:
                print("real: skipped, no folder of real films (MSFL_TEST_DATA)")
                continue
            begin = time.monotonic()
            try:
                os.makedirs(os.path.join(root, kind))
                found, n_bytes, n_files = trial(o, os.path.join(root, kind), kind)
                failed += bool(found)
                print(f"{kind}: {'FAILED: ' if found else ''}{n_bytes} bytes in {n_files} files and on three lines searched; found: "
                      f"{len(found)} ({time.monotonic() - begin:.1f} s)", *found[:12], sep="\n  ", flush=True)
            except AssertionError as e:
                failed += 1
                print(f"{kind}: FAILED: {e}", *traceback.format_tb(e.__traceback__)[-2:], sep="\n", flush=True)
    finally:
        if failed or o.keep:
            print("all files are in", root)
        else:
            shutil.rmtree(root, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
