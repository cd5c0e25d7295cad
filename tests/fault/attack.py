#!/usr/bin/env python3
"""Attacks on a coordinator while an honest federation trains: it must not fall, not swell, not tell, and the round goes on.

    attack.py [--seed S] [--long] [--only NAME[,NAME]] [--keep]"""
import argparse
import contextlib
import http.client
import json
import os
import random
import re
import shutil
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time

import check
import leaks
from federation import JOB, SLOW, Federation

FRAMES = "application/vnd.medsecurefl.frames"
MEMORY_MAX = 160 << 20  # bytes that the coordinator may grow by: eight messages of 16 MiB of one party, and some room
# What no answer may hold: paths of this machine, names of source files, addresses in memory.
TELLING = (rb"/tmp/", rb"/var/", rb"/home/", rb"/etc/", rb"\.c:\d", rb"\.db\b", rb"0x[0-9a-f]{6}", rb"sqlite", rb"BEGIN [A-Z ]*PRIVATE",
           rb"passphrase")


class Attack:
    def __init__(self, fed, rng, long):
        self.fed, self.rng, self.long = fed, rng, long
        self.bad = "hospital-d"  # its kit is in the attacker's hands
        self.answers = []        # of all requests: (status, body)
        self.job_id = None

    # --- tools ---

    def ask(self, method, path, body=None, headers=None, party=None, expect=None):
        try:
            status, answer, _ = self.fed.ask(party or self.bad, method, path, body, headers, timeout=15)
        except (OSError, http.client.HTTPException) as e:
            status, answer = 0, repr(type(e)).encode()  # the connection was ended: an answer, too
        self.answers.append((status, answer))
        if status == 429:
            time.sleep(0.5)
            return self.ask(method, path, body, headers, party, expect)
        if expect:
            assert status in expect, f"{method} {path[:100]}: {status} {answer[:300]!r}, not {expect}"
        return status, answer

    def tls(self, party):
        raw = socket.create_connection(("127.0.0.1", self.fed.port), timeout=10 * SLOW)
        return self.fed.context(party).wrap_socket(raw, server_hostname="localhost")

    def raw(self, data, party=None, wait=5):
        """Bytes inside TLS; what comes back until the end or `wait` seconds."""
        out = b""
        try:
            with self.tls(party or self.bad) as s:
                s.settimeout(wait)
                s.sendall(data)
                while len(out) < 1 << 20:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    out += piece
                    if b"\r\n\r\n" in out and re.search(rb"Content-Length: (\d+)", out):
                        head, body = out.split(b"\r\n\r\n", 1)
                        if len(body) >= int(re.search(rb"Content-Length: (\d+)", head).group(1)):
                            break
        except (OSError, ssl.SSLError):
            pass
        status = int(out.split()[1]) if out.startswith(b"HTTP/1.1 ") else 0
        self.answers.append((status, out))
        return status, out

    def outbox(self, frames, **kwargs):
        return self.ask("POST", f"/v1/jobs/{self.job_id}/outbox", frames,
                        {"Content-Type": FRAMES}, **kwargs)

    def round_id(self):
        """Of the round that is open: the hospital's own inbox tells."""
        status, body = self.ask("GET", f"/v1/jobs/{self.job_id}/inbox")
        if status != 200:
            return None
        for message in frames_of(body):
            if message[:4] == b"MSRM" and struct.unpack("<I", message[8:12])[0] == 1:
                return message[16:48]
        return None

    # --- strangers ---

    def no_certificate(self):
        for party, kits in ((None, None), ("hospital-a", self.fed.path("other"))):
            context = ssl.create_default_context(cafile=os.path.join(self.fed.kits, "ca", "ca.pem"))
            if party:
                context.load_cert_chain(os.path.join(kits, party, "tls.pem"), os.path.join(kits, party, "tls.key"))
            c = http.client.HTTPSConnection("localhost", self.fed.port, context=context, timeout=10 * SLOW)
            try:
                c.request("GET", "/v1/status")
                raise AssertionError(f"a stranger was answered: {c.getresponse().status}")
            except (OSError, http.client.HTTPException):
                pass
            finally:
                c.close()
        return "none, and another authority's: no HTTP"

    def garbage_on_the_socket(self):
        n = 400 if self.long else 60
        for i in range(n):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.fed.port), timeout=2) as s:
                s.settimeout(0.05)
                start = (b"", b"\x16\x03\x01\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x03\x00\x05\x01\x00\x00\x01\x00")[i % 4]
                s.sendall(start + self.rng.randbytes(self.rng.randrange(2000)))
                s.recv(100)
        return f"{n} connections of random bytes"

    def half_open(self):
        """Connections that say nothing, as many as one may have without a certificate, until the server ends them."""
        held = []
        for _ in range(120):
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", self.fed.port), timeout=2))
        status, _ = self.ask("GET", "/v1/jobs")
        assert status == 200, "a hospital is locked out by silent connections"
        begin, cut = time.monotonic(), 0
        for s in held:
            s.settimeout(max(0.1, 20 * SLOW - (time.monotonic() - begin)))
            with contextlib.suppress(OSError):
                cut += s.recv(1) == b""
            s.close()
        assert cut == len(held), f"{len(held) - cut} of {len(held)} silent connections still stand"
        return f"{cut} silent connections were ended by the server"

    # --- a hospital that is somebody else ---

    def in_anothers_name(self):
        rid = self.round_id() or bytes(32)
        sent = 0
        for sender in (0, 1, 2, 0xffffffff, 7, 4):
            for kind in range(1, 12):
                body = self.rng.randbytes(self.rng.choice((0, 4, 96, 300, 5000)))
                status, answer = self.outbox(frame(kind, sender, rid, body))
                assert harmless(status, answer), f"kind {kind} of {sender}: {status} {answer[:100]!r}"
                sent += 1
        return f"{sent} messages as others, as the coordinator, as nobody"

    def forged_signatures(self):
        """Statements, votes and answers of this hospital's own number, and of others', with signatures that do not hold."""
        rid = self.round_id() or bytes(32)
        n = 0
        for who in (3, 0):
            for kind, body in ((4, struct.pack("<IQ", who, 4096) + self.rng.randbytes(32 + 32 * 4 + 64)),
                               (6, self.rng.randbytes(32 + 64)), (8, self.rng.randbytes(32 + 32) + struct.pack("<I", 1) +
                                                                  self.rng.randbytes(32 + 64 + 10256)),
                               (8, self.rng.randbytes(64) + struct.pack("<I", 0xffffffff) + self.rng.randbytes(300))):
                status, answer = self.outbox(frame(kind, who, rid, body))
                assert harmless(status, answer), (kind, status, answer[:200])
                n += 1
        return f"{n} forged"

    def replayed(self):
        """What hospital-a really sent, taken from inside its TLS: by another hospital, by itself, and in a later job."""
        if not self.tapped.up:
            return "nothing was tapped"
        bodies = [b for path, b in requests_of(bytes(self.tapped.up)) if path.endswith("/outbox") and b]
        assert bodies, "no upload of hospital-a was seen"
        n = 0
        for body in bodies[-12:]:
            for party in (self.bad, "hospital-a"):
                status, answer = self.outbox(body, party=party)
                n += 1
                assert status < 500, (party, status, answer[:300])
                if party == self.bad:
                    assert status >= 400, f"another's messages were taken: {status} {answer[:200]!r}"
        return f"{n} bodies of hospital-a again"

    # --- bodies ---

    def bad_frames(self):
        n = 3000 if self.long else 150
        rid = self.round_id() or bytes(32)
        for i in range(n):
            way = i % 8
            if way == 0:
                body = struct.pack("<I", self.rng.choice((0, 1, 0x7fffffff, 0xffffffff, (16 << 20) + 1, 1 << 24)))
            elif way == 1:
                body = struct.pack("<I", 100) + self.rng.randbytes(self.rng.randrange(100))
            elif way == 2:
                body = self.rng.randbytes(self.rng.randrange(1, 4000))
            elif way == 3:
                body = frame(3, 3, rid, struct.pack("<Q", self.rng.choice((0, 1, 1 << 63, 2**64 - 1))) + self.rng.randbytes(3000))
            elif way == 4:
                body = frame(self.rng.randrange(12), 3, rid, self.rng.randbytes(self.rng.randrange(500)))
            elif way == 5:
                body = b"".join(struct.pack("<I", 0) for _ in range(1000))
            elif way == 6:
                body = frame(3, 3, rid, b"")[:-1]
            else:
                m = bytearray(frame(4, 3, rid, self.rng.randbytes(300)))
                m[self.rng.randrange(4, 20)] ^= 1 << self.rng.randrange(8)
                body = bytes(m)
            status, answer = self.outbox(body)
            assert harmless(status, answer), f"way {way}: {status} {answer[:200]!r}"
        return f"{n} bodies that are no good frames"

    def too_long(self):
        """A frame beyond 16 MiB, and a body without an end."""
        status, _ = self.ask("POST", f"/v1/jobs/{self.job_id}/report", b"{" + b" " * (1 << 20) + b"}")
        assert status in (0, 413), status
        sent = 0
        try:
            with self.tls(self.bad) as s:
                s.settimeout(5)
                s.sendall(f"POST /v1/jobs/{self.job_id}/outbox HTTP/1.1\r\nHost: localhost\r\n"
                          f"Content-Type: application/vnd.medsecurefl.frames\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
                junk = struct.pack("<I", 16 << 20) + self.rng.randbytes(65532)
                until = time.monotonic() + 6
                while time.monotonic() < until:
                    s.sendall(f"{len(junk):x}\r\n".encode() + junk + b"\r\n")
                    sent += len(junk)
        except (OSError, ssl.SSLError):
            pass
        grown = sum(os.path.getsize(p) for p in leaks.files(self.fed.state("coordinator")))
        assert grown < 200 << 20, f"the state has {grown} bytes after {sent} bytes of nothing"
        return f"{sent >> 20} MiB of one body without an end"

    def hoarding(self):
        """As many of the longest messages as one party may have on their way, none of which ends."""
        held = []
        head = (f"POST /v1/jobs/{self.job_id}/outbox HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FRAMES}\r\n"
                f"Content-Length: 99999999\r\n\r\n").encode()
        junk = self.rng.randbytes(1 << 20)
        try:
            for _ in range(7):
                s = self.tls(self.bad)
                s.settimeout(10)
                s.sendall(head + struct.pack("<I", 16 << 20))
                for _ in range(15):
                    s.sendall(junk)
                held.append(s)
            assert self.ask("GET", "/v1/jobs")[0] == 200
        except (OSError, ssl.SSLError) as e:
            raise AssertionError(f"after {len(held)} connections: {e}") from e
        finally:
            for s in held:
                s.close()
        return f"{len(held)} messages of 16 MiB that never end"

    def slow(self):
        """Headers a byte now and then; a body likewise: ended by the server, and nobody is locked out meanwhile."""
        held = []
        for i in range(6):
            with contextlib.suppress(OSError, ssl.SSLError):
                s = self.tls(self.bad)
                s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: lo" if i % 2 else
                          f"POST /v1/jobs/{self.job_id}/outbox HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n".encode())
                held.append(s)
        begin = time.monotonic()
        while held and time.monotonic() - begin < 40 * SLOW:
            time.sleep(0.25)
            for s in list(held):
                try:
                    s.settimeout(0.01)
                    s.sendall(b"a")
                    if s.recv(100) == b"":
                        raise OSError("ended")
                except TimeoutError:
                    pass
                except (OSError, ssl.SSLError):
                    held.remove(s)
                    s.close()
        assert not held, f"{len(held)} slow requests still stand after {time.monotonic() - begin:.0f} s"
        return f"all ended after {time.monotonic() - begin:.0f} s"

    def patience(self):
        """Both at once, since both wait for the server."""
        said = {}
        def run(name):
            try:
                said[name] = getattr(self, name)()
            except AssertionError as e:
                said[name] = e
        threads = [threading.Thread(target=run, args=(name,)) for name in ("slow", "half_open")]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for name, text in said.items():
            assert not isinstance(text, AssertionError), f"{name}: {text}"
        return "; ".join(said.values())

    def bad_json(self):
        deep = b"[" * 100000
        texts = [b"", b"{", b"null", b"[]", b'""', b"\xff\xfe", b'{"round":1e999}', b'{"round":-1,"state":"training"}', deep,
                 b'{"round":1,"state":"training","progress":"x","text":3}', b'{"a":' * 3000, b'{"round":1,"round":2}',
                 b'{"state":"' + b"A" * 1500 + b'"}', b'{"round":1,"state":"training","progress":NaN}',
                 b'{"round":1,"state":"training","text":"\\u0000\\ud800"}', b'{"round":99999999999999999999}']
        refused = 0
        for text in texts:
            status, _ = self.ask("POST", f"/v1/jobs/{self.job_id}/report", text)
            refused += status != 200
            assert status < 500, (text[:60], status)
            for path in ("/v1/jobs", f"/v1/jobs/{self.job_id}/abort", "/v1/roster"):
                status, answer = self.ask("POST", path, text, party="ops")
                assert 400 <= status < 500 or status == 0, f"{path} {text[:60]!r}: {status} {answer[:200]!r}"
        assert refused >= len(texts) - 3, refused
        status, _ = self.ask("POST", f"/v1/jobs/{self.job_id}/report",
                             json.dumps({"round": 1, "state": "training", "progress": 0.5, "text": "<script>alert(1)</script>"}))
        return f"{len(texts) * 4} texts"

    # --- places ---

    def paths(self):
        tries = ["/v1/jobs/../../../etc/passwd", "/v1/jobs/%2e%2e/%2e%2e/etc/passwd", "/../../../../etc/passwd", "//etc/passwd",
                 f"/v1/jobs/{self.job_id}/files/..%2f..%2fcoordinator.db", f"/v1/jobs/{self.job_id}/files/....//",
                 f"/v1/jobs/{self.job_id}/files/../job.json", f"/v1/jobs/{self.job_id}/models/../../x", "/v1/jobs/.",
                 f"/v1/jobs/{self.job_id}/models/-1", f"/v1/jobs/{self.job_id}/models/4294967296", "/v1/jobs/..",
                 f"/v1/jobs/{self.job_id}/models/99999999999999999999", f"/v1/jobs/{self.job_id}/models/1e3",
                 f"/v1/jobs/{self.job_id}/rounds/18446744073709551616", f"/v1/jobs/{self.job_id}/rounds/0",
                 "/v1/jobs/trial-00000000", "/v1/jobs/" + "a" * 64, "/v1/jobs/" + "a" * 600, "/v1/status?x=1", "/v1/jobs/~root",
                 "/coordinator.db", "/tls.key", "/identity.key", "/.git/config", "/style.css/../app.js"]
        for path in tries:
            for party in (self.bad, "ops"):
                status, out = self.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), party)
                assert status == 0 or 400 <= status < 500, f"{path}: {out[:300]!r}"
                assert b"root:" not in out and b"SQLite" not in out, path
        status, out = self.raw(b"GET /v1/jobs/\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status == 0 or status >= 400, out[:200]
        return f"{2 * len(tries)} paths"

    def strange_http(self):
        tries = [b"GET /v1/jobs HTTP/1.0\r\nHost: localhost\r\n\r\n", b"TRACE /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                 b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                 b"GET /v1/jobs HTTP/1.1\r\n" + b"X: " + b"y" * 20000 + b"\r\n\r\n", b"GET /v1/jobs HTTP/1.1\r\n" + b"A: b\r\n" * 4000 + b"\r\n",
                 b"\x00" * 1000 + b"\r\n\r\n", b"GET http://evil.example/v1/jobs HTTP/1.1\r\nHost: evil.example\r\n\r\n",
                 b"PUT /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", b"DELETE /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Msfl-Wait: 99999999999\r\nX-Msfl-Seen: 1\r\n\r\n",
                 b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-0,1-1,-5\r\n\r\n"]
        begin = time.monotonic()
        for data in tries:
            self.raw(data, wait=3)
        assert all(status < 500 or status in (501, 505) for status, _ in self.answers[-len(tries):]), self.answers[-len(tries):]
        return f"{len(tries)} requests, {time.monotonic() - begin:.1f} s"

    # --- what is not for hospitals ---

    def operators_routes(self):
        j = f"/v1/jobs/{self.job_id}"
        for method, path, body in (("POST", "/v1/jobs", b"{}"), ("POST", j + "/abort", b'{"reason":"x"}'), ("POST", "/v1/roster", b"x"),
                                   ("GET", j + "/files", None), ("GET", j + "/files/result.json", None),
                                   ("GET", j + "/files/audit.zip", None), ("PUT", "/v1/uploads/x", b"x"), ("GET", "/v1/uploads/x", None),
                                   ("DELETE", "/v1/uploads/x", None)):
            self.ask(method, path, body, expect=(403,))
        # and operators are no hospitals
        self.ask("POST", j + "/outbox", frame(3, 0, bytes(32), bytes(100)),
                 {"Content-Type": FRAMES}, party="ops", expect=(403,))
        self.ask("GET", j + "/inbox", party="ops", expect=(403,))
        assert self.fed.job(self.job_id)["state"] == "running", "the job was touched"
        return "submit, abort, roster, files, uploads by a hospital; messages by an operator: 403"

    def others_inboxes(self):
        """There is no way to name another party: headers and bodies that try are not looked at."""
        mine = self.ask("GET", f"/v1/jobs/{self.job_id}/inbox")[1]
        for headers in ({"X-Msfl-Party": "hospital-a"}, {"X-Party": "0"}, {"X-Forwarded-For": "10.0.0.1"}, {"From": "hospital-a"},
                        {"Authorization": "Basic aG9zcGl0YWwtYTp4"}):
            status, body = self.ask("GET", f"/v1/jobs/{self.job_id}/inbox", headers=headers, expect=(200, 204))
            kinds = {struct.unpack("<I", m[8:12])[0] for m in frames_of(body)} if status == 200 else set()
            assert kinds <= {1, 2, 5, 7, 9}, kinds
        for path in ("inbox/hospital-a", "inbox/0", "hospital-a/inbox"):
            self.ask("GET", f"/v1/jobs/{self.job_id}/{path}", expect=(404,))
        return f"{len(frames_of(mine)) if mine else 0} messages of its own"

    def rosters(self):
        """Old, changed, foreign rosters from an operator: the newest stays."""
        with open(os.path.join(self.fed.kit("coordinator"), "roster.yaml"), "rb") as f:
            good = f.read()
        with open(os.path.join(self.fed.path("other"), "ca", "roster.yaml"), "rb") as f:
            foreign = f.read()
        epoch = self.fed.status()["server"]["epoch"]
        for text in (good.replace(b"epoch: ", b"epoch: 9"), foreign, good[:-30], good.replace(b"role: hospital", b"role: operator", 1),
                     b"", b"format: medsecurefl-roster\n", good + b"x"):
            status, answer = self.ask("POST", "/v1/roster", text, party="ops")
            assert 400 <= status < 500, (status, answer[:200])
        assert self.fed.status()["server"]["epoch"] == epoch
        return "7 rosters refused"

    # --- the listener for this machine ---

    def local_listener(self):
        def local(request):
            out = b""
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.fed.local), timeout=5) as s:
                s.sendall(request)
                s.settimeout(3)
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    out += piece
                    if b"\r\n\r\n" in out:
                        break
            self.answers.append((int(out.split()[1]) if out.startswith(b"HTTP/1.1 ") else 0, out))
            return self.answers[-1][0], out
        here = f"127.0.0.1:{self.fed.local}"
        assert local(f"GET /v1/status HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n".encode())[0] == 200
        for host in ("evil.example", f"evil.example:{self.fed.local}", "localhost.evil.example", "127.0.0.1.evil.example", ""):
            for path in ("/", "/v1/status", "/v1/events", "/healthz", "/metrics"):
                status, out = local(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                assert status in (400, 403), (host, path, out[:200])
        for method in ("POST", "PUT", "DELETE"):
            for path in ("/v1/jobs", "/v1/roster", f"/v1/jobs/{self.job_id}/abort", "/v1/status"):
                status, out = local(f"{method} {path} HTTP/1.1\r\nHost: {here}\r\nOrigin: https://evil.example\r\nContent-Length: 2\r\n"
                                    f"Connection: close\r\n\r\n{{}}".encode())
                assert status in (0, 400, 403, 404, 405), (method, path, out[:200])
        status, out = local(f"GET /v1/status HTTP/1.1\r\nHost: {here}\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n".encode())
        assert b"access-control-allow-origin" not in out.lower(), out[:400]
        for path in (f"/v1/jobs/{self.job_id}/inbox", f"/v1/jobs/{self.job_id}/files/result.json", f"/v1/jobs/{self.job_id}/models/0"):
            status, out = local(f"GET {path} HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n".encode())
            assert status in (403, 404), (path, out[:200])
        return "other hosts, other methods, other routes"

    # --- too much ---

    def floods(self):
        """Reports as fast as they go, many event readers, many jobs."""
        counts = {}
        def reports():
            with contextlib.suppress(OSError, http.client.HTTPException):
                c = http.client.HTTPSConnection("localhost", self.fed.port, context=self.fed.context(self.bad), timeout=10)
                for i in range(400):
                    c.request("POST", f"/v1/jobs/{self.job_id}/report", json.dumps(
                        {"round": i, "state": "training", "progress": (i % 100) / 100, "text": "x" * 190}),
                              {"Content-Type": "application/json"})
                    r = c.getresponse()
                    r.read()
                    counts[r.status] = counts.get(r.status, 0) + 1
        threads = [threading.Thread(target=reports) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert set(counts) <= {200, 204, 429, 503} and counts.get(429), counts
        time.sleep(1)
        held = []
        for _ in range(40):
            with contextlib.suppress(OSError, ssl.SSLError):
                s = self.tls(self.bad)
                s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                held.append(s)
        assert self.ask("GET", "/v1/jobs", party="ops")[0] == 200, "others are locked out by one hospital's readers"
        for s in held:
            s.close()
        n, taken = (1200 if self.long else 40), []
        for i in range(n):
            job = {**JOB, "name": f"flood-{i}"}
            status, answer = self.ask("POST", "/v1/jobs", json.dumps(job), party="ops")
            assert status in (201, 429, 507, 409, 413, 403, 503), (status, answer[:200])
            if status == 201:
                taken.append(json.loads(answer)["id"])
        s = self.fed.status()
        assert s is not None, "the status is not answered any more"
        for job_id in taken:
            self.ask("POST", f"/v1/jobs/{job_id}/abort", b'{"reason":"flood"}', party="ops", expect=(200,))
        return f"{sum(counts.values())} reports ({counts.get(429, 0)} refused), 40 readers, {len(taken)} of {n} jobs taken and aborted"


def harmless(status, answer):
    """Refused; or, for what is of a round that is over or out of order, told what an inbox would say, and never a receipt."""
    if status == 200:
        return all(m[8:12] in (b"\1\0\0\0", b"\t\0\0\0") or (m[8:12] == b"\2\0\0\0" and m[56:60] != b"\1\0\0\0")
                   for m in frames_of(answer))
    return status in (0, 501) or 400 <= status < 500


def frame(kind, sender, rid, body):
    message = b"MSRM" + struct.pack("<III", 1, kind, sender) + rid + body
    return struct.pack("<I", len(message)) + message


def frames_of(body):
    out, at = [], 0
    while at + 4 <= len(body):
        n = struct.unpack("<I", body[at:at + 4])[0]
        if at + 4 + n > len(body):
            break
        out.append(body[at + 4:at + 4 + n])
        at += 4 + n
    return out


def requests_of(stream):
    """Path and body of requests in a stream of bytes (connections may be mixed: what does not parse is left out)."""
    out = []
    for m in re.finditer(rb"POST (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", stream, re.DOTALL):
        n = re.search(rb"[Cc]ontent-[Ll]ength: *(\d+)", m.group(2))
        if n and m.end() + int(n.group(1)) <= len(stream):
            out.append((m.group(1).decode(), stream[m.end():m.end() + int(n.group(1))]))
    return out


ATTACKS = ("no_certificate", "garbage_on_the_socket", "in_anothers_name", "forged_signatures", "replayed", "bad_frames", "too_long", "hoarding",
           "bad_json", "paths", "strange_http", "operators_routes", "others_inboxes", "rosters", "local_listener", "floods", "patience")


def secrets_of(fed):
    wanted = leaks.Wanted()
    for party in ("coordinator", "ops", *fed.names):
        for name, raw in leaks.private_keys(fed.kit(party)).items():
            wanted.key(raw, f"{party}: {name}")
    return wanted


def run(o, root):
    from tap import Tap
    rng = random.Random(o.seed)
    with Federation(root, n=4, seed=o.seed) as fed:
        fed.run("provision", fed.path("federation.yaml"), "--out", fed.path("other"))
        a = Attack(fed, rng, o.long)
        # hospital-a's line is read: what it really says is what is replayed
        port = fed.proxies["hospital-a"].port
        fed.proxies["hospital-a"].close()
        time.sleep(0.05)
        a.tapped = Tap(fed, "hospital-a", port)
        honest = [n for n in fed.processes if n != a.bad]
        fed.start(*honest)
        pid = fed.processes["coordinator"].popen.pid
        a.job_id = fed.submit(rounds=480, evaluate=False, test=False, target_cohort=3, deadline_s=600)
        fed.wait(lambda: len((fed.job(a.job_id) or {"history": []})["history"]) >= 1, "a first round")
        base = fed.processes["coordinator"].peak_memory()
        failed = []
        for name in o.only.split(",") if o.only else ATTACKS:
            begin, before = time.monotonic(), len(fed.job(a.job_id)["history"])
            try:
                said = getattr(a, name)()
                assert fed.processes["coordinator"].alive() and fed.processes["coordinator"].popen.pid == pid, "the coordinator fell"
                fed.wait(lambda: len(fed.job(a.job_id)["history"]) > before, "honest rounds go on")
                print(f"{name}: {said} ({time.monotonic() - begin:.1f} s)", flush=True)
            except AssertionError as e:
                failed.append(name)
                print(f"{name}: FAILED: {e}", flush=True)
                if not fed.processes["coordinator"].alive():
                    break
        grown = fed.processes["coordinator"].peak_memory() - base
        rounds = len(fed.job(a.job_id)["history"])
        status, _, _ = fed.ask("ops", "POST", f"/v1/jobs/{a.job_id}/abort", b'{"reason":"enough"}')
        assert status == 200
        job = fed.wait_end(a.job_id)
        assert job["state"] == "aborted" and job["why"], job
        check.check(fed, a.job_id)
        wanted, telling = secrets_of(fed), re.compile(b"|".join(TELLING), re.IGNORECASE)
        for status, body in a.answers:
            if status >= 400 or status == 0:
                assert not telling.search(body), f"an error tells too much: {status} {body[:300]!r}"
        told = leaks.look(wanted, captured=[("answers", b"\n".join(b for _, b in a.answers[-4000:]))])
        told += leaks.look(wanted, folders=[fed.logs])
        assert not told, told
        assert grown < MEMORY_MAX * (4 if os.environ.get("MSFL_SANITIZED") else 1), f"the coordinator has grown by {grown >> 20} MiB"
        print(f"{len(a.answers)} requests, {rounds} honest rounds meanwhile, the coordinator has grown by {grown >> 20} MiB")
        codes = fed.stop()
        assert codes["coordinator"] == 0, (codes, fed.logs_text())
        return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true")
    o = parser.parse_args()
    root = tempfile.mkdtemp(prefix="msfl-attack-")
    try:
        failed = run(o, root)
    except (AssertionError, OSError, KeyError) as e:
        print(f"FAILED: {type(e).__name__}: {e}")
        failed = ["run"]
    if failed or o.keep:
        print("all files are in", root)
    else:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
