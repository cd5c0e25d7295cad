#!/usr/bin/env python3
"""Kills, cuts, fills disks and turns clocks while a federation trains, and checks that nothing was lost or mixed.

    fault.py [--seed S] [--kills N] [--long] [--only NAME[,NAME]] [--keep]

Every scenario draws its schedule from the seed: the same seed makes the same choices (what the machine does between two of them
is up to the machine). --long: ten times as many kills, and more rounds. Exit status 77: skipped, with the reason."""
import argparse
import glob
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import check
from federation import ENDED, JOB, SLOW, Federation, Trouble

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
TOGETHER = 3  # rounds of jobs whose result is compared


class Skip(Exception):
    pass


class Suite:
    def __init__(self, options):
        self.o = options
        self.root = tempfile.mkdtemp(prefix="msfl-fault-")
        self.count = 0

    def rng(self, name):
        return random.Random(f"{self.o.seed} {name}")

    def federation(self, name, **kwargs):
        folder = os.path.join(self.root, name)
        os.makedirs(folder)
        return Federation(folder, seed=self.o.seed, **kwargs)

    def kills(self, share):
        """This scenario's part of all kills."""
        return max(1, round(self.o.kills * share))

    # --- kills ---

    def kill_loop(self, fed, rng, victims, n, submit, downtime=0.3):
        """`n` kills of random victims at random instants; a job always runs. Returns all jobs."""
        jobs, done = [submit()], 0
        while done < n:
            # Short times find the writes of a journal, longer ones the rest of a round.
            time.sleep(rng.choice((rng.random() * 0.05, rng.random() * 0.3, rng.random())) * SLOW)
            job = fed.job(jobs[-1])
            if job and job["state"] in ENDED:
                jobs.append(submit())
                continue
            name = rng.choice(victims)
            fed.processes[name].kill()
            done += 1
            if rng.random() < 0.5:
                time.sleep(rng.random() * downtime)
            fed.start(name)
        return jobs

    def coordinator_kills(self):
        """The coordinator dies again and again; hospitals never do. Every job has the weights of an undisturbed one."""
        rng = self.rng("coordinator")
        with self.federation("coordinator") as fed:
            fed.start()
            submit = lambda: fed.submit(rounds=TOGETHER, deadline_s=3600)
            quiet = submit()
            assert fed.wait_end(quiet)["state"] == "done", fed.job(quiet)
            expected, last = check.weights(fed, quiet)
            check.check(fed, quiet, rounds=TOGETHER)
            jobs = self.kill_loop(fed, rng, ["coordinator"], self.kills(0.5), submit, downtime=0.05)
            for job_id in jobs:
                job = fed.wait_end(job_id)
                assert job["state"] == "done", job
                check.check(fed, job_id, rounds=TOGETHER)
                assert all(h["cohort"] == fed.n for h in job["history"]), job["history"]
                got, bytes_of = check.weights(fed, job_id)
                assert bytes_of == last, f"{job_id}: other weights than undisturbed"
                assert all(got[i] == expected[i] for i in got if i in expected), (got, expected)
            self.clean_end(fed)
            return f"{self.kills(0.5)} kills, {len(jobs)} jobs bit-identical to the undisturbed one"

    def everybody_dies(self):
        """Coordinator, hospitals and so members of the committee die at random. Rounds may be repeated, never mixed."""
        rng = self.rng("everybody")
        with self.federation("everybody", n=4) as fed:
            fed.start()
            jobs = self.kill_loop(fed, rng, list(fed.processes), self.kills(0.5), lambda: fed.submit(
                rounds=TOGETHER, target_cohort=3, deadline_s=20))
            opened = repeated = 0
            for job_id in jobs:
                job = fed.wait_end(job_id, 120)
                assert job["state"] == "done", job
                told = check.check(fed, job_id, rounds=TOGETHER, gaps=True)
                opened += sum(t.opened() for t in told)
                repeated += sum(not t.opened() for t in told)
                assert all(h["cohort"] >= 3 for h in job["history"]), job["history"]
            self.clean_end(fed)
            return f"{self.kills(0.5)} kills, {opened} sums opened, {repeated} rounds given up and repeated"

    # --- the network ---

    def bad_network(self):
        """Each hospital's line stalls, cuts, truncates, changes, repeats and slows down, by turns."""
        rng = self.rng("network")
        with self.federation("network", n=3) as fed:
            fed.start()
            spells = 120 if self.o.long else 12
            job_ids = [fed.submit(rounds=TOGETHER, deadline_s=120)]
            for _ in range(spells):
                name = rng.choice(fed.names)
                fed.proxies[name].set(rng.choice(("cut", "stall", "drop", "truncate", "delay", "limit", "change", "repeat")),
                                      delay_s=0.1, rate=300_000)
                time.sleep(rng.random() * 0.7)
                if fed.proxies[name].mode == "repeat":
                    fed.proxies[name].set("cut")  # what was recorded is sent when the connection has ended
                    time.sleep(0.1)
                fed.proxies[name].set("pass")
                if fed.job(job_ids[-1])["state"] in ENDED:
                    job_ids.append(fed.submit(rounds=TOGETHER, deadline_s=120))
            for job_id in job_ids:
                job = fed.wait_end(job_id, 180)
                assert job["state"] == "done", job
                check.check(fed, job_id, rounds=TOGETHER, gaps=True)
            weights = {check.weights(fed, job_id)[1] for job_id in job_ids
                       if all(h["cohort"] == fed.n for h in fed.job(job_id)["history"])}
            assert len(weights) <= 1, "jobs with full cohorts differ"
            self.clean_end(fed)
            return f"{spells} spells, {len(job_ids)} jobs, {sum(p.replays for p in fed.proxies.values())} replays"

    def lost_packets(self):
        """In a network namespace: packets are dropped by nftables, also all of them for a while."""
        if os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("unshare"):
            raise Skip("needs root, nft and unshare")
        if "MSFL_NAMESPACE" in os.environ:
            return self.in_namespace()
        r = subprocess.run(["unshare", "-n", sys.executable, "-B", os.path.abspath(__file__), "--seed", str(self.o.seed),
                            "--kills", str(self.o.kills), "--only", "lost_packets"], env={**os.environ, "MSFL_NAMESPACE": "1"},
                           capture_output=True, text=True, timeout=600 * SLOW)
        if r.returncode == 77:
            raise Skip(r.stdout.strip().splitlines()[-1])
        if r.returncode != 0:
            raise Trouble(r.stdout + r.stderr)
        return "in a namespace: " + r.stdout.strip().splitlines()[0].split(": ", 1)[1]

    def in_namespace(self):
        rng = self.rng("packets")
        nft = lambda *words: subprocess.run(["nft", *words], check=True, capture_output=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        try:
            nft("add", "table", "inet", "t")
            nft("add", "chain", "inet", "t", "i", "{ type filter hook input priority 0; }")
        except subprocess.CalledProcessError as e:
            raise Skip(f"nft does not work here: {e.stderr.decode().strip()[:80]}") from e
        with self.federation("packets", proxied=False) as fed:
            fed.start()
            job_id = fed.submit(rounds=TOGETHER, deadline_s=120)
            for _ in range(6):
                loss = rng.choice((5, 30, 100))
                which = rng.choice(("dport", "sport"))
                nft("add", "rule", "inet", "t", "i", "tcp", which, str(fed.port),
                    *(["numgen", "random", "mod", "100", "<", str(loss)] if loss < 100 else []), "drop")
                time.sleep(0.3 + rng.random())
                nft("flush", "chain", "inet", "t", "i")
            job = fed.wait_end(job_id, 180)
            assert job["state"] == "done", job
            check.check(fed, job_id, rounds=TOGETHER, gaps=True)
            self.clean_end(fed)
            return "6 spells of 5 to 100 % of packets lost"

    # --- disks ---

    def full_disk(self):
        """The coordinator's disk fills while a round is open; with room again the job goes on and ends as it would have."""
        rng = self.rng("disk")
        with self.federation("disk") as fed:
            state = fed.state("coordinator")
            os.makedirs(state)
            mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "msfl", state],
                                                           capture_output=True).returncode == 0
            try:
                fed.start()
                if not mounted:
                    return self.file_limit(fed)
                job_id = fed.submit(rounds=TOGETHER, deadline_s=120)
                fillings = 0
                for _ in range(3):
                    time.sleep(rng.random() * 0.5)
                    fill(os.path.join(state, "filler"))
                    fillings += 1
                    time.sleep(0.7 + rng.random())
                    assert fed.processes["coordinator"].alive(), "the coordinator fell when its disk was full"
                    if rng.random() < 0.5:
                        fed.processes["coordinator"].kill()
                    os.unlink(os.path.join(state, "filler"))
                    fed.start("coordinator")
                job = fed.wait_end(job_id)
                assert job["state"] == "done", job
                check.check(fed, job_id, rounds=TOGETHER)
                again = fed.submit(rounds=TOGETHER, deadline_s=3600)
                fed.wait_end(again)
                if all(h["cohort"] == fed.n for h in job["history"]):
                    assert check.weights(fed, job_id)[1] == check.weights(fed, again)[1], "other weights than with room"
                self.clean_end(fed)
                return f"a disk of 24 MiB, full {fillings} times"
            finally:
                for p in fed.processes.values():
                    p.kill()
                if mounted:
                    subprocess.run(["umount", "-l", state], check=False)

    def file_limit(self, fed):
        """Without a disk to fill: no file of the coordinator may grow beyond a limit, for one of its lives."""
        job_id = fed.submit(rounds=TOGETHER, deadline_s=120)
        p = fed.processes["coordinator"]
        p.kill()
        p.file_limit = 1 << 16
        p.start()
        time.sleep(2)
        p.kill()
        p.file_limit = 0
        fed.start("coordinator")
        assert fed.wait_end(job_id)["state"] == "done"
        check.check(fed, job_id, rounds=TOGETHER)
        return "files limited to 64 KiB for a while (not root: no disk to fill)"

    # --- clocks, certificates, rosters ---

    def wrong_clocks(self):
        """A clock that is a few minutes wrong disturbs nothing; one that is outside the certificates is named."""
        if FAKETIME is None:
            raise Skip("libfaketime is not installed")
        with self.federation("clocks", n=4) as fed:
            fed.processes[fed.names[0]].env = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+3h"}
            fed.processes[fed.names[1]].env = {"LD_PRELOAD": FAKETIME, "FAKETIME": "-2m"}
            late = fed.processes[fed.names[3]]
            late.env = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+400d"}
            fed.start()
            job_id = fed.submit(rounds=2, target_cohort=3, deadline_s=60)
            job = fed.wait_end(job_id)
            assert job["state"] == "done" and all(h["cohort"] == 3 for h in job["history"]), job
            fed.wait(lambda: "certificate-expired" in late.tail(), "the hospital that lives in 400 days says why it cannot")
            check.check(fed, job_id, rounds=2)
            late.kill()
            late.env = {}
            fed.start(fed.names[3])
            again = fed.submit(rounds=1, deadline_s=600)
            assert [h["cohort"] for h in fed.wait_end(again)["history"]] == [4]
            check.check(fed, again)
            self.clean_end(fed)
            return "+3 h and -2 min take part; +400 days says certificate-expired, and is back with its clock"

    def revoked(self):
        """A hospital is revoked in the middle of a job: it is out at once and says so, the job goes on under the new roster."""
        rng = self.rng("revoked")
        with self.federation("revoked", n=5) as fed:
            fed.start()
            job_id = fed.submit(rounds=6, target_cohort=4, deadline_s=60)
            fed.wait(lambda: (fed.job(job_id) or {"history": []})["history"], "a first round")
            time.sleep(rng.random() * 0.5)
            gone = fed.names[4]
            epoch = fed.status()["server"]["epoch"]
            fed.run("provision", "revoke", "--name", gone, "--ca", os.path.join(fed.kits, "ca"), "--reason", "laptop stolen")
            status, body, _ = fed.take_roster()
            assert status == 200, (status, body)
            assert fed.status()["server"]["epoch"] > epoch
            fed.wait(lambda: "certificate-revoked" in fed.processes[gone].tail(), f"{gone} says that it was revoked")
            job = fed.wait_end(job_id, 120)
            assert job["state"] == "done", job
            told = check.check(fed, job_id, rounds=6, gaps=True)
            assert len({t.task for t in told}) == 2, "the job went on as one task under two rosters"
            assert job["history"][-1]["cohort"] == 4, job["history"]
            party = next(p for p in fed.status()["parties"] if p["name"] == gone)
            assert party["revoked"], party
            fed.processes[gone].kill()
            self.clean_end(fed, without=[gone])
            return f"{len(told)} rounds under two rosters, {gone} is out"

    def joins_late(self):
        """One more hospital is admitted while a job runs, and takes part from then on; the roster is given by SIGHUP."""
        with self.federation("joins", n=4) as fed:
            others = [n for n in fed.processes if n != fed.names[3]]
            fed.start(*others)
            job_id = fed.submit(rounds=3, target_cohort=3, deadline_s=60)
            fed.wait_end(job_id)
            fed.start(fed.names[3])
            ca = os.path.join(fed.kits, "ca")
            fed.run("provision", "rotate", "--certificate-only", "--kit", fed.kit(fed.names[0]), "--ca", ca, "--out",
                    fed.path("renewed"))
            shutil.copy(os.path.join(ca, "roster.yaml"), os.path.join(fed.kit("coordinator"), "roster.yaml"))
            epoch = fed.status()["server"]["epoch"]
            fed.processes["coordinator"].popen.send_signal(signal.SIGHUP)
            fed.wait(lambda: (fed.status() or {"server": {"epoch": 0}})["server"]["epoch"] > epoch, "the roster of SIGHUP")
            again = fed.submit(rounds=1, deadline_s=600)
            assert [h["cohort"] for h in fed.wait_end(again)["history"]] == [4]
            check.check(fed, job_id, rounds=3)
            check.check(fed, again, rounds=1)
            self.clean_end(fed)
            return "absent from the beginning, there at the end; a new roster by SIGHUP in between"

    # --- the end ---

    def clean_end(self, fed, without=()):
        """Everybody stops when asked, at once and with success."""
        codes = fed.stop()
        bad = {n: c for n, c in codes.items() if c != 0 and n not in without}
        assert not bad, f"ended with {bad}\n{fed.logs_text()}"


def fill(path):
    """Until nothing fits any more."""
    with open(path, "wb", buffering=0) as f:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                pass


SCENARIOS = ("coordinator_kills", "everybody_dies", "bad_network", "lost_packets", "full_disk", "wrong_clocks", "revoked",
             "joins_late")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="a failure with the ends of all logs")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true", help="leave all files there, also after success")
    o = parser.parse_args()
    if o.long:
        o.kills = max(o.kills, 200)
    suite, failed, skipped = Suite(o), 0, 0
    wanted = o.only.split(",") if o.only else SCENARIOS
    for name in wanted:
        start = time.monotonic()
        try:
            print(f"{name}: {getattr(suite, name)()} ({time.monotonic() - start:.1f} s)", flush=True)
        except Skip as e:
            skipped += 1
            print(f"{name}: skipped: {e}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError, LookupError, TypeError, struct.error) as e:
            failed += 1
            with open(os.path.join(suite.root, name + ".failure"), "w") as f:
                traceback.print_exc(file=f)
            print(f"{name}: FAILED after {time.monotonic() - start:.1f} s: {type(e).__name__}: {str(e)[:6000 if o.verbose else 400]}\n"
                  f"  again: fault.py --seed {o.seed} --kills {o.kills}{' --long' if o.long else ''} --only {name}\n"
                  f"  files: {suite.root}, all about it in {name}.failure", flush=True)
    if failed or o.keep:
        print("all files are in", suite.root)
    else:
        shutil.rmtree(suite.root, ignore_errors=True)
    return 1 if failed else 77 if skipped == len(wanted) else 0


if __name__ == "__main__":
    sys.exit(main())
