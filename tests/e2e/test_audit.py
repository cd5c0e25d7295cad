"""The samples in tests/golden-audit against docs/formats/audit.md and kit.md, read by nothing of the program: hashes from
hashlib, Ed25519 in Python integers. Then `audit` and `provision` from outside, with folders that were tampered with."""
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

from test_round_messages import H, field, u64, verifies

SOURCE = os.environ.get("MSFL_SOURCE", ".")
CLI = os.environ.get("MSFL_CLI", "build/release/cli/medsecurefl")
GOLDEN = os.path.join(SOURCE, "tests", "golden-audit")
SIGNED = 420


def run(*words, expect=0):
    done = subprocess.run([CLI, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if expect == 0 else done.stderr


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


class RosterText:
    """roster.yaml, and the binary roster of rounds that follows from it."""

    def __init__(self, raw, consortium):
        body, last = raw[: raw.rindex(b"signature: ")], raw[raw.rindex(b"signature: ") :]
        assert verifies(consortium, H("msfl.pki.roster.v1", body), bytes.fromhex(last.decode().split()[1]))
        self.top, self.parties, section = {}, [], None
        for line in body.decode().splitlines():
            words = line.strip().removeprefix("- ").split(": ", 1)
            if line.startswith("  ") and section == "parties":
                if line.startswith("  - name"):
                    self.parties.append({"count": 0})
                if "serial" in line:
                    self.parties[-1]["count"] += 1
                if len(words) == 2 and line.startswith("    ") and line[4] != " " or line.startswith("  - "):
                    self.parties[-1][words[0]] = words[1].strip('"')
            elif not line.startswith(" "):
                section = words[0].rstrip(":")
                if len(words) == 2:
                    self.top[section] = words[1].strip('"')
        hospitals = [p for p in self.parties if p["role"] == "hospital" and p["count"] > 0]
        members = self.top["members"].strip("[]").split(", ")
        by_name = {p["name"]: p for p in self.parties}
        order = hospitals + [by_name[m] for m in members if by_name[m]["role"] != "hospital"]
        self.names = [p["name"] for p in order]
        places = sorted(self.names.index(m) for m in members)
        keys = [bytes.fromhex(p["sign"] + p["box"]) for p in order]
        coordinator = next(p for p in self.parties if p["role"] == "coordinator")
        self.coordinator = bytes.fromhex(coordinator["sign"])
        self.sign = [k[:32] for k in keys]
        self.k, self.t = len(members), int(self.top["t"])
        custody = {"committee": 1, "authority": 2, "coordinator": 3}[self.top["custody"]]
        binary = b"MSRO" + struct.pack("<IQIIIIII", 1, int(self.top["epoch"]), custody, len(hospitals), len(order), self.k,
                                       self.t, int(self.top["f"]))
        binary += bytes.fromhex(coordinator["sign"] + coordinator["box"]) + b"".join(keys)
        binary += b"".join(struct.pack("<I", m) for m in places)
        self.hash = H("msfl.roster.v1", binary)
        assert verifies(consortium, self.hash, bytes.fromhex(self.top["round"]))
        self.each = 108 + 32 * self.k

    def statement_digest(self, rid, s):
        return H("msfl.round.statement.v1", rid, self.hash, field(s[:-64]))


class Golden(unittest.TestCase):
    def setUp(self):
        self.consortium = bytes.fromhex(read(GOLDEN, "consortium").decode())
        self.rosters = [RosterText(read(GOLDEN, "hospital-a", f"roster-{e}.yaml"), self.consortium) for e in (2, 3)]
        self.job = H("msfl.job.v1", field(read(GOLDEN, "hospital-a", "job.json")))

    def test_everything_fits_together(self):
        told = json.loads(run("audit", "verify", os.path.join(GOLDEN, "hospital-a"), "--consortium", self.consortium.hex(),
                              "--json"))
        self.assertTrue(told["verified"] and told["pinned"])
        self.assertEqual(told["own"], "a")
        self.assertEqual(told["job"], self.job.hex())
        previous, hashes = {}, b""
        for index in range(1, 5):
            record = read(GOLDEN, "hospital-a", f"{index:06}.transcript")
            self.assertEqual(record, read(GOLDEN, "coordinator", f"{index:06}.transcript"))
            said = told["rounds"][index - 1]
            announce = record[12 : 12 + SIGNED]
            roster = next(r for r in self.rosters if r.hash == announce[104:136])
            rid = H("msfl.round.v2", announce[:356])
            self.assertEqual(said["round_id"], rid.hex())
            self.assertEqual(announce[:32], H("msfl.job.task.v1", self.job, roster.hash))
            self.assertTrue(verifies(roster.coordinator, H("msfl.round.announce.v1", rid), announce[356:]))
            own = H("msfl.round.transcript.v1", record[:-64])
            self.assertTrue(verifies(roster.coordinator, own, record[-64:]))
            self.assertEqual(announce[356 - 36 : 356 - 4], previous.get(roster.hash, bytes(32)))
            previous[roster.hash] = own
            hashes += own
            self.assertEqual(said["record"], own.hex())
            n = struct.unpack("<I", record[432:436])[0]
            statements = [record[436 + i * roster.each : 436 + (i + 1) * roster.each] for i in range(n)]
            names = [roster.names[struct.unpack("<I", s[:4])[0]] for s in statements]
            self.assertEqual(said["cohort"], names)
            for name, s in zip(names, statements):
                self.assertTrue(verifies(roster.sign[roster.names.index(name)], roster.statement_digest(rid, s), s[-64:]))
            self.check_own(index, roster, rid, announce, statements, said)
        self.assertEqual(told["all"], H("msfl.audit.records.v1", hashes).hex())
        self.assertEqual(told["newest"], own.hex())

    def check_own(self, index, roster, rid, announce, statements, said):
        paper = read(GOLDEN, "hospital-a", f"{index:06}.statement")
        self.assertEqual(paper[:8], b"MSAS" + struct.pack("<I", 1))
        self.assertEqual(paper[8 : 8 + SIGNED], announce)
        statement = paper[8 + SIGNED :]
        self.assertEqual(said["sent"], statement[12:44].hex())
        receipt = read(GOLDEN, "hospital-a", f"{index:06}.receipt")
        self.assertEqual(receipt[16:48], rid)
        digest = H("msfl.round.receipt.v1", rid, u64(0), roster.statement_digest(rid, statement))
        self.assertTrue(verifies(roster.coordinator, digest, receipt[-64:]))
        if statements:
            self.assertIn(statement, statements)
            self.assertEqual((said["own"], said["in_sum"]), ("confirmed", said["sent"]))


class Tampered(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.copy = os.path.join(self.folder, "record")
        shutil.copytree(os.path.join(GOLDEN, "hospital-a"), self.copy)

    def finds(self, name, status, *options):
        told = run("audit", "verify", self.copy, *options, expect=status)
        self.assertTrue(told.startswith(f"medsecurefl audit: {name}: "), told)

    def flip(self, name, at):
        raw = bytearray(read(self.copy, name))
        raw[at] ^= 1
        with open(os.path.join(self.copy, name), "wb") as f:
            f.write(raw)

    def test_whole(self):
        self.assertIn("what it sent is what was opened", run("audit", "verify", self.copy))
        self.assertIn("AS THE FOLDER ITSELF NAMES IT", run("audit", "show", self.copy))

    def test_changed(self):
        self.flip("000003.transcript", -100)
        self.finds("record-changed", 10)

    def test_roster(self):
        self.flip("roster-2.yaml", 400)
        self.finds("roster-changed", 10)

    def test_job(self):
        self.flip("job.json", 5)
        self.finds("record-of-another-job", 7)

    def test_missing(self):
        os.remove(os.path.join(self.copy, "000002.transcript"))
        self.finds("rounds-missing", 14)
        self.assertIn("RECORDS OF 1 ROUNDS ARE NOT HERE", run("audit", "verify", self.copy, "--allow-gaps"))

    def test_another_consortium(self):
        self.finds("roster-changed", 10, "--consortium", "00" * 32)
        self.assertIn("64 hexadecimal digits", run("audit", "verify", self.copy, "--consortium", "00", expect=2))


PLAN = """federation: chest
coordinator: {name: hub, url: 'https://hub.example:8443'}
hospitals:
%soperators:
  - name: ops
"""


class Provision(unittest.TestCase):
    def setUp(self):
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = tempfile.mkdtemp(dir=place)
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def found(self, n, tail=""):
        with open(self.path("plan.yaml"), "w") as f:
            f.write(PLAN % "".join(f"  - name: h{i}\n" for i in range(n)) + tail)
        return json.loads(run("provision", self.path("plan.yaml"), "--out", self.path("kits"), "--json"))

    def test_many(self):
        told = self.found(300, "authority: {name: notary}\n")
        self.assertEqual((told["kits"], told["rounds"]["custody"], told["rounds"]["hospitals"]), (303, "authority", 300))
        self.assertIn("this kit     h299", run("provision", "check", self.path("kits", "h299")))

    def test_insecure_is_said(self):
        told = self.found(3, "committee: {custody: coordinator}\n")
        self.assertIn("INSECURE", told["rounds"]["trust"])
        self.assertIn("INSECURE", run("provision", "check", self.path("kits", "h0")))
        self.assertIn("INSECURE", run("provision", "show", self.path("kits", "ca")))

    def test_the_round_is_what_the_roster_says(self):
        self.found(3)
        text = read(self.path("kits", "ca"), "roster.yaml")
        consortium = bytes.fromhex(text.decode().split('consortium: "')[1][:64])
        roster = RosterText(text, consortium)  # verifies both signatures
        self.assertEqual((roster.names, roster.k, roster.t), (["h0", "h1", "h2"], 3, 2))

    def test_renewal(self):
        self.found(3)
        ca, old, site = self.path("kits", "ca"), self.path("kits", "h1"), self.path("site")
        run("provision", "request", "--kit", old, "--out", site)
        run("provision", "approve", self.path("site", "h1.request"), "--ca", ca, "--out", self.path("h1"), "--certificate-only")
        for name in ("tls.key", "identity.key"):
            os.rename(self.path("site", name), self.path("h1", name))
        run("provision", "check", self.path("h1"))
        self.assertEqual(read(old, "identity.key"), read(self.path("h1"), "identity.key"))
        self.assertNotEqual(read(old, "tls.key"), read(self.path("h1"), "tls.key"))
        run("provision", "rotate", "--certificate-only", "--same-key", "--kit", old, "--ca", ca, "--out", self.path("again"))
        self.assertEqual(read(old, "tls.key"), read(self.path("again"), "tls.key"))
        run("provision", "check", self.path("again"))
        self.assertIn("--kit", run("provision", "rotate", "--certificate-only", "--ca", ca, "--out", self.path("x"), expect=2))

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl")
    def test_browser(self):
        self.found(3)
        kit = self.path("kits", "ops")
        commands = [line.strip() for line in read(kit, "README.txt").decode().splitlines() if line.startswith("    openssl")]
        self.assertEqual(len(commands), 1)
        done = subprocess.run(commands[0].split() + ["-passout", "pass:x"], cwd=kit, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = subprocess.run(["openssl", "pkcs12", "-in", "ops.p12", "-passin", "pass:x", "-nodes"], cwd=kit,
                               capture_output=True, text=True)
        self.assertIn("OU = operator, CN = ops", shown.stdout)


if __name__ == "__main__":
    unittest.main()
