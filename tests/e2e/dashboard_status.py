"""What a coordinator could say in /v1/status (docs/formats/status.md), made up but possible: for the screen's tests."""
import copy
import hashlib
import time

DAY = 86400000


def now_ms():
    return int(time.time() * 1000)


def digest(text):
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def server(epoch=7):
    return {"program": "0.1", "started_ms": now_ms() - 93600000, "federation": "chest-2026", "epoch": epoch,
            "fingerprint": digest("consortium"), "connections": 6, "requests": 48213, "bytes_in": 18743210345,
            "bytes_out": 2143210345, "peak_memory_bytes": 81234944}


TRUST = {
    "committee": "A committee holds shares of the one-time keys: fewer than its threshold, together with the coordinator, "
                 "open nothing, and a coordinator that lies cannot open less than a certified cohort.",
    "authority": "One separate authority holds the one-time keys: it must not collude with the coordinator.",
    "coordinator": "INSECURE against a curious coordinator: it holds the one-time keys itself and can open every single "
                   "update.",
}


def trust(custody="committee", k=5, t=4, f=1):
    if custody != "committee":
        k, t, f = 1, 1, 0
    return {"custody": custody, "k": k, "t": t, "f": f, "text": TRUST[custody]}


def party(name, role="hospital", member=True, connected=True, days=200, revoked=False, seen=2000):
    now = now_ms()
    return {"name": name, "role": role, "member": member, "seen_ms": now - seen, "connected": connected,
            "certificate_not_after_ms": now + days * DAY + 3600000, "revoked": revoked}


def hospital(name, client, state="waiting", text="", progress=0.0, sent=0, total=345678, ago=20000, cohort=False):
    return {"name": name, "client": client, "state": state, "text": text, "progress": progress, "bytes": sent,
            "bytes_total": total, "changed_ms": now_ms() - ago, "cohort": cohort}


def history(n, hospitals=5, took=184000, size=1234567):
    rounds = []
    for r in range(1, n + 1):
        q = 1 - 0.62 ** r
        wave = ((r * 7919) % 13) / 13 - 0.5
        rounds.append({
            "round": r, "number": 2 * r - 1, "outcome": "opened", "cohort": hospitals - (1 if r % 4 == 3 else 0),
            "train_loss": 0.69 - 0.55 * q + 0.01 * wave, "train_accuracy": 0.55 + 0.42 * q,
            "validation_loss": 0.69 - 0.47 * q + 0.03 * wave, "validation_accuracy": 0.53 + 0.4 * q - 0.01 * wave,
            "validation_auc": 0.5 + 0.485 * q, "learning_rate": 0.002 if r < 7 else 0.001, "clipped": (r * 31) % 7,
            "ms_collect": took + 9000 * wave, "ms_certify": 412 + 90 * wave, "ms_release": 731 + 120 * wave,
            "ms_open": 96 + 12 * wave, "bytes_in": int(size * (1 + 0.02 * wave)), "bytes_out": int(0.42 * size),
            "ended_ms": now_ms() - (n - r) * took - 60000})
    return rounds


def job(name="chest", state="running", rounds=10, done=3, hospitals=(), members=(), **more):
    now = now_ms()
    out = {
        "id": f"{name}-1a2b3c4d", "name": name, "state": state, "why": "", "submitted_ms": now - 2400000,
        "started_ms": now - 2300000 if state != "queued" else None, "ended_ms": None, "hash": digest(name),
        "task": digest("task" + name), "scheme": "packed", "encrypts": True, "delivery": "coordinator", "model": "cnn-small",
        "n_values": 24434, "value_bits": 24, "security_bits": 128,
        "parameters": "N = 4096, q = 2 x 50 bits, t = 2^86, 3 values of 27 bits in a coefficient", "rounds": rounds,
        "round": done + 1, "min_cohort": 3, "target_cohort": 5, "deadline_s": 600, "phase": "collecting", "phase_text": "",
        "kind": "update", "number": 2 * done + 1, "deadline_ms": now + 222000, "hospitals": list(hospitals),
        "members": [{"name": m, "voted": False, "answered": False, "cheated": False} for m in members],
        "history": history(done), "attempts": [], "test": None,
        "best_round": done, "audit": {"records": 2 * done, "head": digest("head"), "verified_ms": now - 61000}}
    out.update(more)
    return out


NAMES = ["hospital-a", "hospital-b", "hospital-c", "st-johns", "university-clinic"]


def log(*lines):
    now = now_ms()
    return [{"at_ms": now - 1000 * (len(lines) - i) * 17, "level": level, "job": name, "text": text}
            for i, (level, name, text) in enumerate(lines)]


def status(jobs, custody="committee", parties=None, lines=(), **more):
    if parties is None:
        parties = [party("coordinator", "coordinator", False)] + [party(n) for n in NAMES]
    out = {"version": 12345, "now_ms": now_ms(), "server": server(), "trust": trust(custody), "parties": parties,
           "jobs": jobs, "log": log(*lines)}
    out.update(more)
    return out


def running():
    """Five hospitals in the middle of round 4, one late, one certificate about to end; one job waits, one is done."""
    hospitals = [
        hospital("hospital-a", 0, "uploaded", "done in 131 s on 812 images", 1, 345678, ago=44000),
        hospital("hospital-b", 1, "uploading", "", 0.4, 138271, ago=9000),
        hospital("hospital-c", 2, "training", "epoch 2 of 3", 0.61, ago=61000),
        hospital("st-johns", 3, "absent", ago=2300000),
        hospital("university-clinic", 4, "uploaded", "", 1, 345678, ago=12000),
    ]
    parties = [party("coordinator", "coordinator", False), party("hospital-a"), party("hospital-b"),
               party("hospital-c", days=12), party("st-johns", connected=False, seen=7 * 3600000),
               party("university-clinic"), party("old-clinic", member=False, connected=False, revoked=True, seen=40 * DAY)]
    now = now_ms()
    first = job(done=8, rounds=20, hospitals=hospitals, members=NAMES, number=18,
                phase_text="2 of 5 updates are in; closes when all are, or at the deadline",
                attempts=[{"number": 6, "round": 3, "kind": "update", "outcome": "aborted", "ended_ms": now - 1400000,
                           "why": "only 2 of 5 updates came before the deadline, 3 are needed"}])
    second = job("retina", "queued", done=0, phase="idle", phase_text="", hospitals=[], deadline_ms=None, best_round=None,
                 audit={"records": 0, "head": "", "verified_ms": None})
    third = finished()["jobs"][0]
    third.update(id="lung-ct-77aa01ff", name="lung-ct", submitted_ms=now - 9000000, ended_ms=now - 4000000)
    lines = [("info", "", "listening on port 8443"), ("info", "chest-1a2b3c4d", "round 8 opened: 5 hospitals"),
             ("warning", "chest-1a2b3c4d", "st-johns has not been seen since the job began"),
             ("info", "chest-1a2b3c4d", "round 9 announced as number 18"),
             ("info", "chest-1a2b3c4d", "university-clinic uploaded 345,678 bytes")]
    return status([third, first, second], parties=parties, lines=lines)


def finished():
    now = now_ms()
    hospitals = [hospital(n, i, "certified", "", 1, 345678, ago=600000, cohort=True) for i, n in enumerate(NAMES)]
    done = job(state="done", done=10, hospitals=hospitals, members=NAMES, phase="idle", deadline_ms=None, best_round=9,
               round=10, why="", ended_ms=now - 540000, kind="test",
               test={"auc": 0.9912, "accuracy": 0.9634, "loss": 0.1043, "n": 819})
    for m in done["members"]:
        m.update(voted=True, answered=True)
    return status([done], lines=[("info", "chest-1a2b3c4d", "job done: 10 rounds, best is 9")])


def failed():
    """Every state that a hospital can end in, a member that cheated, and a job that gave up; beside it an aborted one."""
    now = now_ms()
    states = ["absent", "idle", "waiting", "downloading", "training", "encrypting", "uploading", "uploaded", "certified",
              "evaluating", "dropped", "refused", "failed", "certified"]
    texts = {"refused": "this job wants 2 hospitals in a sum, our policy is 5", "failed": "the disk is full: 0 of 2.1 GB free",
             "dropped": "the proxy cut the connection at 81 %", "uploading": "second attempt"}
    hospitals = [hospital(f"site-{i:02d}", i, s, texts.get(s, ""), 0.5, 170000, ago=100000 + 1000 * i, cohort=s == "certified")
                 for i, s in enumerate(states)]
    one = job(state="failed", done=4, hospitals=hospitals, members=[f"site-{i:02d}" for i in range(7)], phase="idle",
              deadline_ms=None, ended_ms=now - 100000, best_round=3,
              why="round 5 was tried 3 times and did not open: the cohort stayed below 3 hospitals",
              attempts=[{"number": 9 + i, "round": 5, "kind": "update", "outcome": o, "why": w, "ended_ms": now - 900000 + 250000 * i}
                        for i, (o, w) in enumerate([
                            ("aborted", "only 2 of 14 updates came before the deadline, 3 are needed"),
                            ("aborted", "3 of 7 members signed the cohort, 5 are needed"),
                            ("aborted", "4 of 7 members answered, 5 are needed; site-02 answered wrongly"),
                            ("superseded", "the roster changed from epoch 6 to 7 while the round was open")])])
    for i, m in enumerate(one["members"]):
        m.update(voted=i < 5, answered=i < 4, cheated=i == 2)
    two = job("pilot", "aborted", done=2, hospitals=[], members=[], phase="idle", deadline_ms=None, ended_ms=now - 4000000,
              why="by ada, operator: the wrong label column")
    parties = [party("coordinator", "coordinator", False, days=-3)] + [
        party(f"site-{i:02d}", member=i < 7, connected=i % 4 != 0, days=20 + 40 * i) for i in range(14)]
    return status([two, one], parties=parties, trust=trust(k=7, t=5, f=2), lines=[
        ("info", "chest-1a2b3c4d", "round 5 announced as number 12"),
        ("warning", "chest-1a2b3c4d", "site-02 answered wrongly"),
        ("error", "chest-1a2b3c4d", "job failed: round 5 was tried 3 times")])


def empty():
    return status([], parties=[party("coordinator", "coordinator", False)] + [party(n, connected=i < 2) for i, n in enumerate(NAMES)],
                  lines=[("info", "", "listening on port 8443")])


def waiting():
    """Founded, but a hospital has still to send its keys: no rounds yet."""
    s = empty()
    s["trust"] = {"custody": None, "k": None, "t": None, "f": None, "text": "waits for the requests of hospital-c"}
    s["jobs"] = [job(state="queued", done=0, phase="idle", phase_text="waits for the requests of hospital-c", deadline_ms=None,
                     best_round=0, task="0" * 64, audit={"records": 0, "head": "0" * 64, "verified_ms": None})]
    return s


def many(n=40):
    states = ["training", "training", "uploading", "uploaded", "downloading", "encrypting", "absent", "uploaded"]
    names = [f"hospital-{i + 1:02d}" for i in range(n)]
    hospitals = [hospital(name, i, states[i % 8], "epoch 1 of 2" if i % 8 < 2 else "", 0.1 + 0.02 * i, 2000000 + 11000 * i, 5200000,
                          ago=1000 * i) for i, name in enumerate(names)]
    hospitals[17].update(state="failed", text="out of memory in epoch 2")
    big = job(rounds=100, done=60, hospitals=hospitals, members=names[:16], min_cohort=10, target_cohort=36, deadline_s=7200,
              deadline_ms=now_ms() + 4211000, phase_text="10 of 40 updates are in; closes when 36 are, or in 1 h 10 min",
              history=history(60, 40, 5400000, 208000000))
    parties = [party("coordinator", "coordinator", False)] + [party(name, member=i < 16, connected=i % 8 != 6) for i, name in enumerate(names)]
    return status([big], parties=parties, trust=trust(k=16, t=11, f=5))


def plain():
    s = running()
    s["jobs"][1].update(scheme="plain", encrypts=False, security_bits=None, parameters="", members=[])
    s["jobs"] = s["jobs"][1:2]
    return s


def custody():
    s = running()
    s["trust"] = trust("coordinator")
    s["jobs"] = s["jobs"][1:2]
    s["jobs"][0]["members"] = [{"name": "coordinator", "voted": True, "answered": False, "cheated": False}]
    s["jobs"][0].update(phase="releasing", phase_text="the coordinator answers", hospitals=[
        dict(x, state="certified", cohort=True, bytes=x["bytes_total"]) if x["state"] != "absent" else dict(x, state="dropped")
        for x in s["jobs"][0]["hospitals"]])
    return s


def authority():
    s = running()
    s["trust"] = trust("authority")
    s["jobs"][1]["members"] = [{"name": "notary", "voted": True, "answered": False, "cheated": False}]
    s["jobs"][1].update(phase="certifying", kind="evaluate", phase_text="the authority checks 5 uploads")
    s["parties"].append(party("notary", "authority"))
    return s


EVIL = ["<img src=x onerror=\"window.pwned=1\">", "</script><script>window.pwned=1</script>", "javascript:window.pwned=1",
        "'\"><svg onload=window.pwned=1>", "\u202egnp.exe\u2066 \u0001 \u200b end", "{{7*7}} ${7*7}", "__proto__",
        "x" * 5000, "constructor", "<a href=//evil.example/>click</a><iframe src=//evil.example></iframe>"]


def hostile():
    """Every text is an attack, and every number may be missing or absurd."""
    s = copy.deepcopy(failed())

    def spoil(x, n=[0]):
        if isinstance(x, dict):
            return {k: (spoil(v) if k not in ("state", "custody", "phase") else v) for k, v in x.items()}
        if isinstance(x, list):
            return [spoil(v) for v in x]
        if isinstance(x, str):
            n[0] += 1
            return EVIL[n[0] % len(EVIL)] + ("" if n[0] % len(EVIL) in (6, 8) else f" {n[0]}")
        return x
    s = spoil(s)
    s["jobs"][1]["state"], s["jobs"][1]["phase"] = "running", "constructor"
    s["jobs"][1].update(judged_by="dice", classes=[*EVIL, None, 5], test={"structures": [None, "x", {"dice": "0.5"}, {}], "dice": []})
    for i, r in enumerate(s["jobs"][1]["history"]):
        r["validation_structures"] = [[None, "NaN", {}, 1e308], "many", [0.5] * 100, None][i % 4]
    for i, x in enumerate(s["jobs"][1]["hospitals"][:4]):
        x.update(state=EVIL[i], progress=[None, 1e308, -5, "NaN"][i], bytes=[None, -1, 1e300, "7"][i], changed_ms=[None, 1e18, -1e18, "x"][i])
    s["jobs"][1]["hospitals"][4]["name"] = s["jobs"][1]["hospitals"][5]["name"]
    s["jobs"].append({"id": "__proto__"})
    s["jobs"].append({"id": "bare", "state": "running"})
    s["trust"]["k"] = None
    return s


def segmentation():
    """A network that gives a class to every pixel: Dice in place of the AUC, of two structures of which one is hard to find."""
    s = running()
    j = s["jobs"][1]
    j.update(model="unet2d", judged_by="dice", classes=["none", "anterior", "posterior"])
    for r in j["history"]:
        r["validation_dice"] = r.pop("validation_auc") - 0.2
        r["validation_structures"] = [r["validation_dice"] + 0.1, r["validation_dice"] - 0.1 if r["round"] > 1 else None]
    j["test"] = {"dice": 0.7512, "accuracy": 0.9834, "loss": 0.1443, "n": 819,
                 "structures": [{"class": 1, "name": "anterior", "dice": 0.8}, {"class": 2, "name": "posterior", "dice": None}]}
    s["jobs"] = [j]
    return s


ALL = {"running": running, "finished": finished, "failed": failed, "empty": empty, "many": many, "plain": plain,
       "custody": custody, "authority": authority, "hostile": hostile, "waiting": waiting,
       "segmentation": segmentation}
