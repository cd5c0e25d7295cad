"""What must hold after a run, whatever was done to it. Reads transcripts, receipts and statements by the documented formats
(docs/formats/round-messages.md, audit.md) with nothing of the program, and asks the program's own `audit verify` as well."""
import glob
import hashlib
import os
import struct

ANNOUNCEMENT, SIGNED = 356, 420


def field(raw):
    return struct.pack("<Q", len(raw)) + raw


def H(label, *parts):
    return hashlib.blake2b(field(label.encode()) + b"".join(parts), digest_size=32).digest()


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Transcript:
    def __init__(self, raw, k):
        at = 12 + SIGNED
        assert raw[:4] == b"MSTR" and len(raw) > at, "no transcript"
        self.version, self.outcome = struct.unpack("<II", raw[4:12])
        a = raw[12:at]
        self.task, self.number, self.model, self.layout = a[:32], struct.unpack("<Q", a[32:40])[0], a[40:72], a[72:104]
        self.roster, self.previous = a[104:136], a[ANNOUNCEMENT - 36:ANNOUNCEMENT - 4]
        self.round_id = H("msfl.round.v2", a[:ANNOUNCEMENT])
        each = 108 + 32 * k
        n, at = struct.unpack("<I", raw[at:at + 4])[0], at + 4
        self.statements = [raw[at + i * each:at + (i + 1) * each] for i in range(n)]
        at += n * each
        self.votes, at = struct.unpack("<I", raw[at:at + 4])[0], at + 4
        at += self.votes * 68
        self.answers, at = struct.unpack("<I", raw[at:at + 4])[0], at + 4
        for _ in range(self.answers):
            receivers = struct.unpack("<I", raw[at + 68:at + 72])[0]
            at += 4 + 68 + 32 * receivers + 64
        self.result = raw[at:at + 32]
        n = struct.unpack("<I", raw[at + 32:at + 36])[0]
        self.reason = raw[at + 36:at + 36 + n].decode()
        assert len(raw) == at + 36 + n + 64, "length of a transcript"
        self.hash = H("msfl.round.transcript.v1", raw[:-64])

    def opened(self):
        return self.outcome == 1

    def cohort(self):
        return [struct.unpack("<I", s[:4])[0] for s in self.statements]


def transcript(path):
    """Its length says how many members the committee of its roster has."""
    raw = read(path)
    for k in range(1, 17):
        try:
            return Transcript(raw, k)
        except (AssertionError, struct.error, UnicodeDecodeError):
            pass
    raise AssertionError(f"{path} is no transcript")


def transcripts(folder):
    return [transcript(p) for p in sorted(glob.glob(os.path.join(folder, "*.transcript")))]


def check(fed, job_id, verify=True, rounds=None, why_ended=True, gaps=False):
    """All invariants of one job of `fed`, whose processes may run. `gaps`: hospitals were away, and need not have every
    record. Returns the coordinator's transcripts."""
    job = fed.job(job_id)
    told = transcripts(os.path.join(fed.state("coordinator"), "audit", job_id))
    assert told, "the coordinator has kept no record"
    chains(told)
    for name in fed.names:
        receipts(fed, job_id, name, told)
        same_history(fed, job_id, name, told)
    one_sum_of_a_model(told)
    if why_ended:
        explained(job)
    if rounds is not None:
        assert len(job["history"]) == rounds, (len(job["history"]), job["why"])
        assert [h["round"] for h in job["history"]] == list(range(1, rounds + 1)), job["history"]
    if verify:
        for party in ["coordinator", *fed.names]:
            folder = os.path.join(fed.state(party), "audit", job_id)
            if glob.glob(os.path.join(folder, "*.transcript")):
                fed.run("audit", "verify", folder, "--kit", fed.kit(party),
                        *(["--allow-gaps"] if gaps and party != "coordinator" else []))
    return told


def chains(told):
    """Per task: numbers rise, and each record names the one before."""
    last = {}
    for t in told:
        number, hash_before = last.get(t.task, (0, bytes(32)))
        assert t.number > number, (t.number, number)
        assert t.previous == hash_before, f"round {t.number} does not name the record before it"
        last[t.task] = (t.number, t.hash)


def receipts(fed, job_id, name, told):
    """Nothing that was acknowledged is lost: whose upload has a receipt is in the sum of that round, with that ciphertext."""
    by_id = {t.round_id: t for t in told}
    folder = os.path.join(fed.state(name), "audit", job_id)
    for path in sorted(glob.glob(os.path.join(folder, "*.receipt"))):
        raw, kept = read(path), read(path[:-len("receipt")] + "statement")
        assert len(raw) == 124 and raw[:12] == b"MSRM" + struct.pack("<II", 1, 2) and raw[56:60] == struct.pack("<I", 1), path
        assert kept[:8] == b"MSAS" + struct.pack("<I", 1) and H("msfl.round.v2", kept[8:8 + ANNOUNCEMENT]) == raw[16:48], path
        t, statement = by_id.get(raw[16:48]), kept[8 + SIGNED:]
        if t is None or not t.statements:
            continue  # the round is open, or was given up before its cohort was fixed
        mine = [s for s in t.statements if struct.unpack("<I", s[:4])[0] == struct.unpack("<I", statement[:4])[0]]
        assert mine, f"{name} has a receipt for round {t.number}, and is not in its cohort {t.cohort()}"
        assert mine[0] == statement, f"{name}: round {t.number} has another statement than was acknowledged"


def same_history(fed, job_id, name, told):
    """What a hospital keeps as records are records of the coordinator."""
    hashes = {t.hash for t in told}
    for path in glob.glob(os.path.join(fed.state(name), "audit", job_id, "**", "*.transcript"), recursive=True):
        assert transcript(path).hash in hashes, f"{path} is not what the coordinator kept"


def one_sum_of_a_model(told):
    """Never two sums of the same thing: (model, layout, roster), and no number of a task twice; no client twice."""
    seen = set()
    for t in told:
        assert len(set(t.cohort())) == len(t.cohort()), t.cohort()
        if t.opened():
            key = (t.model, t.layout, t.roster, t.task)
            assert key not in seen, f"two sums of one model: round {t.number}"
            seen.add(key)


def explained(job):
    """Whatever did not go as planned has words for people."""
    if job["state"] in ("failed", "aborted"):
        assert job["why"].strip(), job
    for a in job.get("attempts", []):  # jobs that are long over are told in brief
        assert a["why"].strip() and a["outcome"] == "aborted", a
    for h in job.get("hospitals", []):
        assert h["state"], h
        if h["state"] in ("refused", "failed"):
            assert h["text"].strip(), h
    assert job["state"] != "running" or job["phase_text"].strip(), job


def weights(fed, job_id):
    """Index to SHA-256 of all weights that the coordinator keeps, and the bytes of the last."""
    files = sorted(glob.glob(os.path.join(fed.state("coordinator"), "jobs", job_id, "models", "*.f32")))
    assert files, "no weights are kept"
    last = read(files[-1])
    return {int(os.path.basename(f)[:-4]): hashlib.sha256(read(f)).hexdigest() for f in files}, last
