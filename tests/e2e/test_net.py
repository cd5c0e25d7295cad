"""The network layer from outside: Python's ssl, curl and openssl talk to our server, and our client talks through a proxy
that misbehaves. Everything on 127.0.0.1."""
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from common import CLI, main, run

PROBE = os.path.join(os.environ.get("MSFL_TOOLS", ""), "net_probe")
SLOW = 3 if os.environ.get("MSFL_SANITIZED") else 1  # patience, not a measurement
PLAN = """federation: chest-2026
coordinator:
  name: coordinator
  url: https://localhost:8443
  hosts: [127.0.0.1]
hospitals:
  - name: hospital-a
  - name: hospital-b
  - name: hospital-c
    keys: on-site
authority:
  name: notary
"""


def provision(*args):
    result = run("provision", *args)
    assert result.returncode == 0, (args, result.stderr)
    return result.stdout


def label_hash(label, data):
    """H(label, bytes) of docs/formats/kit.md."""
    return hashlib.blake2b(len(label).to_bytes(8, "little") + label + data, digest_size=32).digest()


class Server:
    """net_probe serve, and what it prints."""

    def __init__(self, kits, folder, **settings):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.log_path = folder, os.path.join(folder, "log")
        self.log_file = open(self.log_path, "a")
        self.process = subprocess.Popen([PROBE, "serve", os.path.join(kits, "coordinator"), folder,
                                         *[f"{k}={v}" for k, v in settings.items()]],
                                        stdout=subprocess.PIPE, stderr=self.log_file, text=True)
        self.port, self.local_port = map(int, self.process.stdout.readline().split())
        self.url = f"https://localhost:{self.port}"

    def log(self):
        with open(self.log_path) as f:
            return [json.loads(line) for line in f if line.startswith("{")]

    def wait_log(self, **wanted):
        for _ in range(100 * SLOW):
            for line in self.log():
                if all(line.get(k) == v for k, v in wanted.items()):
                    return line
            time.sleep(0.02)
        raise AssertionError(f"{wanted} is not in the log: {self.log()[-8:]}")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)
        return self.process.stdout.readline().strip()

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(20 * SLOW)
        self.process.stdout.close()
        self.log_file.close()
        return code


class Proxy(threading.Thread):
    """CONNECT, with a fault: cut after so many bytes up or down, stall, change or repeat a piece, refuse, want a password."""

    def __init__(self, fault="none", offsets=(), auth=None, direction="up"):
        super().__init__(daemon=True)
        self.fault, self.offsets, self.auth, self.direction = fault, list(offsets), auth, direction
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen, self.connections = [], 0
        self.start()

    def run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def close(self):
        self.listener.close()

    def serve(self, conn):
        try:
            self.tunnel(conn)
        except OSError:
            pass
        finally:
            conn.close()

    def tunnel(self, conn):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = conn.recv(4096)
            if not piece:
                return
            head += piece
        self.seen.append(head)
        if self.auth and self.auth not in head:
            conn.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                         b"Connection: close\r\nContent-Length: 0\r\n\r\n")
            return
        if self.fault == "refuse":
            conn.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        self.connections += 1
        port = int(head.split()[1].rsplit(b":", 1)[1])
        up = socket.create_connection(("127.0.0.1", port))
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        limit = self.offsets.pop(0) if self.offsets else None
        other = threading.Thread(target=self.pump, args=(up, conn, limit if self.direction == "down" else None),
                                 daemon=True)
        other.start()
        self.pump(conn, up, limit if self.direction == "up" else None)
        other.join()
        up.close()

    def pump(self, source, target, limit):
        done = 0
        try:
            while True:
                piece = source.recv(65536)
                if not piece:
                    break
                if limit is not None and done + len(piece) > limit:
                    target.sendall(piece[:limit - done])
                    if self.fault == "stall":
                        time.sleep(3)
                    elif self.fault == "change":
                        rest = bytearray(piece[limit - done:])
                        rest[0] ^= 1
                        target.sendall(rest)
                        limit = None
                        continue
                    elif self.fault == "repeat":
                        target.sendall(piece[limit - done:] * 2)
                        limit = None
                        continue
                    break
                target.sendall(piece)
                done += len(piece)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class NetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory(prefix="msfl-net-")
        cls.root = cls._folder.name
        cls.kits = os.path.join(cls.root, "kits")
        plan = os.path.join(cls.root, "federation.yaml")
        with open(plan, "w") as f:
            f.write(PLAN)
        provision(plan, "--out", cls.kits)
        other = os.path.join(cls.root, "other.yaml")
        with open(other, "w") as f:
            f.write(PLAN)
        provision(other, "--out", os.path.join(cls.root, "other"))
        cls.server = Server(cls.kits, os.path.join(cls.root, "spool"))
        cls.count = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls._folder.cleanup()

    def fresh(self, **settings):
        type(self).count += 1
        server = Server(self.kits, os.path.join(self.root, f"spool{self.count}"), **settings)
        self.addCleanup(server.stop)
        return server

    def proxy(self, *args, **kwargs):
        proxy = Proxy(*args, **kwargs)
        self.addCleanup(proxy.close)
        return proxy

    def context(self, party="hospital-a", kits=None, ca=None):
        kits = kits or self.kits
        context = ssl.create_default_context(cafile=ca or os.path.join(self.kits, "ca", "ca.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if party:
            context.load_cert_chain(os.path.join(kits, party, "tls.pem"), os.path.join(kits, party, "tls.key"))
        return context

    def connect(self, server=None, party="hospital-a", **kwargs):
        server = server or self.server
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=10 * SLOW)
        return self.context(party, **kwargs).wrap_socket(raw, server_hostname="localhost")

    def http(self, server=None, party="hospital-a", **kwargs):
        server = server or self.server
        return http.client.HTTPSConnection("localhost", server.port, context=self.context(party, **kwargs),
                                           timeout=10 * SLOW)

    def ask(self, method, path, body=None, headers=None, **kwargs):
        conn = self.http(**kwargs)
        try:
            conn.request(method, path, body, headers or {})
            answer = conn.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            conn.close()

    def raw(self, data, server=None):
        """Bytes in, bytes out, until the server closes or a while has passed."""
        conn = self.connect(server)
        conn.settimeout(2)
        out = b""
        try:
            conn.sendall(data)
            while True:
                piece = conn.recv(65536)
                if not piece:
                    break
                out += piece
                if b"\r\n\r\n" in out and b"Connection: close" not in out:
                    break
        except (OSError, ssl.SSLError):
            pass
        conn.close()
        return out

    def probe(self, *args, server=None, party="hospital-a", kits=None, code=0, **settings):
        server = server or self.server
        settings.setdefault("url", server.url)
        command = [PROBE, args[0], os.path.join(kits or self.kits, party), *args[1:],
                   *[f"{k}={v}" for k, v in settings.items()]]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOW,
                                env={**os.environ, "https_proxy": "http://127.0.0.1:1", "no_proxy": "localhost"})
        self.assertEqual(result.returncode, code, (command, result.stdout, result.stderr))
        return result

    def file(self, name, size, seed=1):
        path = os.path.join(self.root, name)
        with open(path, "wb") as f:
            f.write(random.Random(seed).randbytes(size))
        return path

    def same(self, a, b):
        with open(a, "rb") as f, open(b, "rb") as g:
            self.assertEqual(f.read(), g.read())

    # --- who may come in ---

    def refused(self, server, reason, **kwargs):
        before = len(server.log())
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            self.ask("GET", "/v1/whoami", server=server, **kwargs)
        for _ in range(100 * SLOW):
            if any(line.get("reason") == reason for line in server.log()[before:]):
                return
            time.sleep(0.02)
        self.fail((reason, server.log()[before:]))

    def test_parties_are_named(self):
        for party, role in (("hospital-a", "hospital"), ("hospital-b", "hospital"), ("notary", "authority")):
            status, body, _ = self.ask("GET", "/v1/whoami", party=party)
            self.assertEqual((status, json.loads(body)), (200, {"name": party, "role": role}))
        self.assertEqual(self.ask("GET", "/v1/authority")[0], 403)
        self.assertEqual(self.ask("GET", "/v1/authority", party="notary")[0], 200)

    def test_no_certificate(self):
        self.refused(self.server, "no-certificate", party=None)

    def test_other_authority(self):
        """Same names, another authority."""
        self.refused(self.server, "certificate-of-another-authority", kits=os.path.join(self.root, "other"))

    def openssl(self, *args, text=None):
        subprocess.run(["openssl", *args], check=True, capture_output=True, input=text, text=True)

    def forge(self, name, subject, start, end, use="clientAuth"):
        """A certificate by the true authority, made with openssl: what a stolen or careless authority could issue."""
        folder = os.path.join(self.root, name)
        os.makedirs(os.path.join(folder, "ca"), exist_ok=True)
        ca = os.path.join(self.kits, "ca")
        p = lambda f: os.path.join(folder, f)
        party = p("party")
        os.makedirs(party, exist_ok=True)
        for f in ("index.txt", "index.txt.attr"):
            open(p(f), "w").close()
        with open(p("serial"), "w") as f:
            f.write("77" * 16)
        with open(p("cnf"), "w") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={p('index.txt')}\nserial={p('serial')}\nnew_certs_dir={folder}\n"
                    f"default_md=sha256\npolicy=pol\n[pol]\norganizationName=supplied\norganizationalUnitName=supplied\n"
                    f"commonName=supplied\n[e]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                    f"extendedKeyUsage={use}\nauthorityKeyIdentifier=keyid\nsubjectAltName=DNS:localhost\n")
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", os.path.join(party, "tls.key"))
        self.openssl("req", "-new", "-key", os.path.join(party, "tls.key"), "-subj", subject, "-out", p("csr"))
        self.openssl("ca", "-batch", "-config", p("cnf"), "-extensions", "e", "-in", p("csr"), "-out",
                     os.path.join(party, "tls.pem"), "-notext", "-cert", os.path.join(ca, "ca.pem"), "-keyfile",
                     os.path.join(ca, "ca.key"), "-startdate", start, "-enddate", end, "-preserveDN")
        return folder

    def test_times_uses_and_names(self):
        subject = "/O=chest-2026/OU=hospital/CN=hospital-a"
        past = self.forge("past", subject, "20200101000000Z", "20210101000000Z")
        future = self.forge("future", subject, "20400101000000Z", "20410101000000Z")
        unknown = self.forge("unknown", subject, "20240101000000Z", "20400101000000Z")
        server_only = self.forge("server", subject, "20240101000000Z", "20400101000000Z", "serverAuth")
        strange = self.forge("strange", "/O=chest-2026/OU=hospital/CN=Hospital A..", "20240101000000Z",
                             "20400101000000Z")
        for folder, reason in ((past, "certificate-expired"), (future, "certificate-not-yet-valid"),
                               (unknown, "certificate-not-in-roster"), (server_only, "certificate-for-another-use"),
                               (strange, "certificate-malformed")):
            self.refused(self.server, reason, party="party", kits=folder)

    def test_tls_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2,):
            context = self.context()
            context.minimum_version = context.maximum_version = version
            raw = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
            with raw, self.assertRaises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False).do_handshake()

    def test_plain_http_on_the_secure_port(self):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as s:
            s.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                self.assertNotIn(b"hospital", s.recv(4096))
            except ConnectionError:
                pass

    def test_curl_program(self):
        curl = shutil.which("curl")
        if not curl:
            self.skipTest("curl is not installed")
        kit = os.path.join(self.kits, "hospital-b")
        out = subprocess.run([curl, "-sS", "--noproxy", "*", "--cacert", f"{kit}/ca.pem", "--cert", f"{kit}/tls.pem", "--key",
                              f"{kit}/tls.key", f"{self.server.url}/v1/whoami"], capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(json.loads(out.stdout)["name"], "hospital-b")

    def test_revoke_rotate_add(self):
        kits = os.path.join(self.root, "living")
        plan = os.path.join(self.root, "living.yaml")
        with open(plan, "w") as f:
            f.write(PLAN)
        provision(plan, "--out", kits)
        server = Server(kits, os.path.join(self.root, "living-spool"))
        self.addCleanup(server.stop)
        roster = os.path.join(kits, "ca", "roster.yaml")
        coordinator = os.path.join(kits, "coordinator", "roster.yaml")
        ca = os.path.join(kits, "ca", "ca.pem")
        with open(roster) as f:
            old_roster = f.read()
        at = dict(server=server, kits=kits, ca=ca)
        keep = self.http(**at)
        keep.request("GET", "/v1/whoami")
        self.assertEqual(keep.getresponse().read()[:1], b"{")
        # rotate: both certificates work until the old one is revoked
        provision("rotate", "--name", "hospital-a", "--ca", f"{kits}/ca", "--out", f"{kits}/a2")
        shutil.copy(roster, coordinator)
        self.assertEqual(server.reload(), "reloaded")
        self.assertEqual(self.ask("GET", "/v1/whoami", party="a2", **at)[0], 200)
        self.assertEqual(self.ask("GET", "/v1/whoami", **at)[0], 200)
        provision("revoke", "--name", "hospital-a", "--previous", "--reason", "replaced", "--ca", f"{kits}/ca")
        shutil.copy(roster, coordinator)
        server.reload()
        keep.request("GET", "/v1/whoami")  # a connection that stood before
        answer = keep.getresponse()
        self.assertEqual(answer.status, 403)
        self.assertIn(b"certificate-revoked", answer.read())
        self.refused(server, "certificate-revoked", **{k: v for k, v in at.items() if k != "server"})
        self.assertEqual(self.ask("GET", "/v1/whoami", party="a2", **at)[0], 200)
        self.assertEqual(self.ask("GET", "/v1/whoami", party="hospital-b", **at)[0], 200)
        # our client says so by name
        shutil.copy(roster, f"{kits}/hospital-b/roster.yaml")
        self.assertIn("certificate-revoked", self.probe("get", "/v1/whoami", server=server, kits=kits, code=1).stderr)
        # add one whose keys never travel
        site = os.path.join(self.root, "site-c")
        out = json.loads(provision("request", "--federation", "chest-2026", "--name", "hospital-c", "--out", site, "--json"))
        request = f"{site}/hospital-c.request"
        bad = run("provision", "approve", request, "--ca", f"{kits}/ca", "--out", f"{kits}/c0", "--fingerprint", "0" * 32)
        self.assertEqual(bad.returncode, 7)
        provision("approve", request, "--ca", f"{kits}/ca", "--out", f"{kits}/hospital-c", "--fingerprint",
                  out["fingerprint"])
        self.assertEqual(sorted(os.listdir(f"{kits}/hospital-c")),
                         ["README.txt", "ca.pem", "config.yaml", "roster.yaml", "tls.pem"])
        for f in os.listdir(f"{kits}/hospital-c"):
            shutil.copy(f"{kits}/hospital-c/{f}", site)
        provision("check", site)
        self.refused(server, "certificate-not-in-roster", party="site-c", kits=self.root, ca=ca)
        shutil.copy(roster, coordinator)
        server.reload()
        self.assertEqual(self.ask("GET", "/v1/whoami", party="site-c", server=server, kits=self.root, ca=ca)[0], 200)
        # an older roster is never taken
        with open(coordinator, "w") as f:
            f.write(old_roster)
        self.assertIn("cannot follow", server.reload())
        self.refused(server, "certificate-revoked", **{k: v for k, v in at.items() if k != "server"})
        # a changed one neither
        with open(roster) as f, open(coordinator, "w") as g:
            g.write(f.read().replace("epoch: 5", "epoch: 9"))
        self.assertIn("not signed", server.reload())

    def test_files_as_documented(self):
        """Roster and identity, read by the documents and not by our code."""
        with open(os.path.join(self.kits, "ca", "roster.yaml"), "rb") as f:
            text = f.read()
        body, signature = text.rsplit(b"signature: ", 1)
        consortium = bytes.fromhex(re.search(rb'consortium: "([0-9a-f]{64})"', text).group(1).decode())
        digest = label_hash(b"msfl.pki.roster.v1", body)
        der = bytes.fromhex("302a300506032b6570032100") + consortium
        p = lambda n: os.path.join(self.root, n)
        for name, data in (("key.der", der), ("digest", digest), ("sig", bytes.fromhex(signature.strip().decode()))):
            with open(p(name), "wb") as f:
                f.write(data)
        self.openssl("pkeyutl", "-verify", "-pubin", "-inkey", p("key.der"), "-keyform", "DER", "-rawin", "-in",
                     p("digest"), "-sigfile", p("sig"))
        with open(os.path.join(self.kits, "hospital-a", "identity.key"), "rb") as f:
            identity = f.read()
        self.assertEqual(identity[:12], b"MSFLIDN\0\x01\0\0\0")
        secret = bytes.fromhex("302e020100300506032b657004220420") + label_hash(b"msfl.identity.sign.v1", identity[12:])
        with open(p("id.der"), "wb") as f:
            f.write(secret)
        public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-in", p("id.der"), "-pubout", "-outform", "DER"],
                                capture_output=True, check=True).stdout[-32:]
        self.assertIn(public.hex().encode(), text.split(b"name: hospital-a")[1].split(b"name:")[0])
        for name in ("tls.key", "identity.key"):
            self.assertEqual(os.stat(os.path.join(self.kits, "hospital-a", name)).st_mode & 0o777, 0o600)

    # --- limits ---

    def test_bodies(self):
        self.assertEqual(self.ask("POST", "/v1/count", b"x" * 1000000)[:2], (200, b'{"length":1000000}\n'))
        self.assertEqual(self.ask("POST", "/v1/count", b"")[:2], (200, b'{"length":0}\n'))
        chunked = self.http()
        chunked.request("POST", "/v1/count", iter([b"ab", b"c" * 70000]), encode_chunked=True)
        self.assertEqual(chunked.getresponse().read(), b'{"length":70002}\n')
        chunked.close()
        self.assertIn(b" 413 ", self.raw(b"POST /v1/count HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"))
        self.assertIn(b" 413 ", self.raw(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"))
        conn = self.connect()  # chunked, and never ending: cut at the bound
        sent = 0
        try:
            conn.sendall(b"POST /v1/count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            while sent < 64 << 20:
                conn.sendall(b"4000\r\n" + b"x" * 16384 + b"\r\n")
                sent += 16384
        except (OSError, ssl.SSLError):
            pass
        conn.close()
        self.assertLess(sent, 32 << 20)

    def test_memory_is_bounded(self):
        """A hundred times the buffer goes through without staying."""
        if SLOW > 1:
            self.skipTest("sanitizers keep what was freed")
        def peak():
            with open(f"/proc/{self.server.process.pid}/status") as f:
                return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        self.ask("POST", "/v1/large", b"x" * (1 << 20))
        before = peak()
        conn = self.connect()
        conn.sendall(b"POST /v1/large HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\n")
        block = b"x" * (1 << 20)
        for _ in range(63):
            conn.sendall(block)
        self.assertLess(peak() - before, 4096)
        conn.sendall(block)
        self.assertIn(b"67108864", conn.recv(4096) + conn.recv(4096))
        conn.close()

    def test_malformed(self):
        cases = {
            b"GET /v1/whoami HTTP/1.0\r\nHost: x\r\n\r\n": b" 505 ",
            b"GET /v1/../v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET /v1/%2e%2e/whoami HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET /v1/files/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET /v1/files/.. HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET /v1//whoami HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET /v1/whoami?a=b HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET http://x/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET /v1/files/" + b"a" * 65 + b" HTTP/1.1\r\nHost: x\r\n\r\n": b" 400 ",
            b"GET /v1/none HTTP/1.1\r\nHost: x\r\n\r\n": b" 404 ",
            b"DELETE /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n": b" 405 ",
            b"BREW /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n": b" 405 ",
            b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 17000 + b"\r\n\r\n": b" 431 ",
            b"POST /v1/count HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": b" 400 ",
            b"POST /v1/count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n": b" 400 ",
        }
        for data, wanted in cases.items():
            answer = self.raw(data)
            self.assertIn(wanted, answer.split(b"\r\n")[0] + b" ", data[:60])
        for data in (b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"POST /v1/count HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                     b"POST /v1/count HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                     b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200000 + b"\r\n\r\n"):
            self.assertNotIn(b" 200 ", self.raw(data)[:20], data[:60])
        rng = random.Random(7)
        good = b"PUT /v1/uploads/fuzz HTTP/1.1\r\nHost: x\r\nContent-Range: bytes 0-3/9\r\nContent-Length: 4\r\n\r\nabcd"
        for _ in range(40):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            conn = self.connect()
            conn.sendall(bytes(data[:rng.randrange(1, len(data) + 1)]))
            conn.close()
        self.assertEqual(self.ask("GET", "/v1/whoami")[0], 200)
        self.assertIsNone(self.server.process.poll())

    def test_inner_errors_stay_inside(self):
        status, body, _ = self.ask("GET", "/v1/broken")
        self.assertEqual(status, 500)
        self.assertNotIn(b"/var/lib", body)
        self.assertIn("/var/lib", self.server.wait_log(path="/v1/broken")["reason"])

    def test_slow_loris(self):
        server = self.fresh(header_ms=600, request_ms=1500, idle_s=30)
        conn = self.connect(server)
        silent = socket.create_connection(("127.0.0.1", server.port))  # not even a handshake
        body = self.connect(server)
        body.sendall(b"POST /v1/count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        start, alive = time.monotonic(), {"headers": True, "body": True}
        while any(alive.values()) and time.monotonic() - start < 10 * SLOW:
            for name, c in (("headers", conn), ("body", body)):
                try:
                    c.sendall(b"x")
                    c.settimeout(0.01)
                    alive[name] = alive[name] and c.recv(1) != b""
                except (TimeoutError, ssl.SSLWantReadError):
                    pass
                except (OSError, ssl.SSLError):
                    alive[name] = False
            time.sleep(0.05)
        self.assertEqual(alive, {"headers": False, "body": False})
        silent.settimeout(5)
        self.assertEqual(silent.recv(1), b"")
        for c in (conn, body, silent):
            c.close()
        server.wait_log(event="cut", reason="took too long")
        self.assertEqual(self.ask("GET", "/v1/whoami", server=server)[0], 200)

    def test_connections_and_rate(self):
        server = self.fresh(per_peer=2, rate=5, burst=4)
        first, second = self.http(server), self.http(server)
        for c in (first, second):
            c.request("GET", "/v1/whoami")
            self.assertEqual(c.getresponse().read()[:1], b"{")
        status, body, headers = self.ask("GET", "/v1/whoami", server=server)
        self.assertEqual((status, headers["Retry-After"]), (429, "2"))
        self.assertEqual(self.ask("GET", "/v1/whoami", server=server, party="hospital-b")[0], 200)
        statuses = []
        for _ in range(12):
            first.request("GET", "/v1/whoami")
            answer = first.getresponse()
            answer.read()
            statuses.append(answer.status)
            if answer.status == 429:
                break
        self.assertIn(429, statuses)
        first.close()
        second.close()
        time.sleep(0.1)
        self.probe("get", "/v1/whoami", server=server, base_ms=300, cap_ms=1500)  # waits, and gets through

    def test_graceful_stop(self):
        server = self.fresh()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.ask("GET", "/v1/slow", server=server)))
        waiting = [self.http(server) for _ in range(5)]  # a thread that is busy with the slow one leaves some of them waiting
        for c in waiting:
            c.request("GET", "/v1/whoami")
            c.getresponse().read()
        thread.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        seen = []
        for c in waiting:
            try:
                c.request("GET", "/v1/whoami")
                seen.append(c.getresponse().status)
            except (OSError, http.client.HTTPException):
                pass
            c.close()
        self.assertEqual(set(seen), {503})
        with self.assertRaises(OSError):
            self.ask("GET", "/v1/whoami", server=server)
        thread.join()
        self.assertEqual(answers[0][:2], (200, b"at last\n"))
        self.assertEqual(server.process.wait(10 * SLOW), 0)

    # --- events, and the listener for this machine ---

    def test_local_listener(self):
        def local(path, host="127.0.0.1", method="GET"):
            conn = http.client.HTTPConnection("127.0.0.1", self.server.local_port, timeout=5)
            conn.request(method, path, headers={"Host": host})
            answer = conn.getresponse()
            status, body = answer.status, answer.read()
            conn.close()
            return status, body
        self.assertEqual(local("/healthz"), (200, b"ok\n"))
        self.assertIn(b"msfl_requests_total", local("/metrics")[1])
        self.assertEqual(local("/v1/whoami")[0], 404)
        self.assertEqual(local("/healthz", host="evil.example")[0], 403)
        self.assertEqual(local("/healthz", method="POST")[0], 405)

    def test_events(self):
        server = self.fresh()
        def follow(last=None):
            conn = http.client.HTTPConnection("127.0.0.1", server.local_port, timeout=5 * SLOW)
            conn.request("GET", "/events", headers={"Last-Event-ID": last} if last else {})
            answer = conn.getresponse()
            self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
            return conn, answer
        def read(answer, n):
            out = []
            while len(out) < n:
                line = answer.readline().decode().strip()
                if line.startswith("id: ") or line.startswith("event: gap"):
                    out.append(line)
            return out
        conn, answer = follow()
        answer.readline()
        for _ in range(3):
            self.ask("POST", "/v1/events", b"", server=server)
        self.assertEqual(read(answer, 3), ["id: 1", "id: 2", "id: 3"])
        again, late = follow("1")
        self.assertEqual(read(late, 2), ["id: 2", "id: 3"])
        publisher = self.http(server)
        for _ in range(80):
            publisher.request("POST", "/v1/events", b"")
            publisher.getresponse().read()
        publisher.close()
        third, gap = follow("2")
        self.assertEqual(read(gap, 2), ["event: gap", "id: 20"])
        self.assertEqual(server.stop(), 0)  # readers do not hold the stop up
        for c in (conn, again, third):
            c.close()

    # --- transfers ---

    def test_upload_download(self):
        source = self.file("whole", 20000001)
        self.probe("upload", "/v1/uploads/whole", source)
        stored = os.path.join(self.server.folder, "hospital-a", "whole.whole")
        self.same(source, stored)
        shutil.copy(source, os.path.join(self.server.folder, "download"))
        target = os.path.join(self.root, "fetched")
        self.probe("download", "/v1/files/download", target)
        self.same(source, target)
        self.probe("upload", "/v1/uploads/whole", source)  # is there: done at once
        self.assertIn("another upload", self.probe("upload", "/v1/uploads/whole", self.file("o", 5), code=1).stderr)
        # another hospital's key of the same name is another file
        self.assertEqual(json.loads(self.ask("GET", "/v1/uploads/whole", party="hospital-b")[1])["offset"], 0)
        self.assertEqual(self.ask("GET", "/v1/uploads/whole", party="notary")[0], 403)
        self.assertIn("404", self.probe("download", "/v1/files/none", target, code=1).stderr)

    def test_ranges(self):
        path = os.path.join(self.server.folder, "ranges")
        with open(path, "wb") as f:
            f.write(bytes(range(100)))
        tag = self.ask("GET", "/v1/files/ranges")[2]["ETag"]
        for text, status, wanted in (("bytes=10-19", 206, bytes(range(10, 20))), ("bytes=90-", 206, bytes(range(90, 100))),
                                     ("bytes=-5", 206, bytes(range(95, 100))), ("bytes=100-", 416, b""),
                                     ("bytes=5-4", 200, bytes(range(100))), ("bytes=0-1,4-5", 200, bytes(range(100))),
                                     ("lines=1-2", 200, bytes(range(100)))):
            got = self.ask("GET", "/v1/files/ranges", headers={"Range": text})
            self.assertEqual(got[:2], (status, wanted), text)
        self.assertEqual(self.ask("GET", "/v1/files/ranges", headers={"Range": "bytes=1-1", "If-Range": tag})[0], 206)
        self.assertEqual(self.ask("GET", "/v1/files/ranges", headers={"Range": "bytes=1-1", "If-Range": '"x"'})[0], 200)
        status, body, headers = self.ask("HEAD", "/v1/files/ranges")
        self.assertEqual((status, body, headers["Content-Length"]), (200, b"", "100"))

    def test_pieces(self):
        """The scheme of docs/design/net.md, spoken by Python."""
        data = random.Random(3).randbytes(1000)
        digest = label_hash(b"msfl.net.upload.v1", data).hex()
        def put(first, last, total=1000, body=None, key="p", **headers):
            body = data[first:last + 1] if body is None else body
            answer = self.ask("PUT", f"/v1/uploads/{key}", body, {"Content-Range": f"bytes {first}-{last}/{total}", **headers})
            return answer[0], answer[2].get("Upload-Offset")
        self.assertEqual(put(0, 299), (202, "300"))
        self.assertEqual(put(0, 299), (409, "300"))
        self.assertEqual(put(400, 499), (409, "300"))
        self.assertEqual(put(300, 298)[0], 400)
        self.assertEqual(put(300, 399, body=data[300:350])[0], 400, self.server.log()[-3:])
        self.assertEqual(put(300, 1000)[0], 400)
        self.assertEqual(put(300, 399, total=1 << 40)[0], 413)
        self.assertEqual(put(300, 999), (422, "0"))  # no hash
        self.assertEqual(put(0, 999, **{"Upload-Hash": "0" * 64}), (422, "0"))
        self.assertEqual(put(0, 499), (202, "500"))
        self.assertEqual(put(500, 999, **{"Upload-Hash": digest}), (201, "1000"))
        self.assertEqual(put(0, 999, **{"Upload-Hash": digest}), (409, "1000"))
        for key in range(4):
            self.assertEqual(put(0, 9, key=f"many{key}")[0], 202)
        self.assertEqual(put(0, 9, key="many5")[0], 413)
        for key in range(4):
            self.assertEqual(self.ask("DELETE", f"/v1/uploads/many{key}")[0], 200)
        self.assertEqual(self.ask("PUT", "/v1/uploads/.x", b"a", {"Content-Range": "bytes 0-0/2"})[0], 400)
        # all bytes are there, the last word is not: a crash between the two
        os.makedirs(os.path.join(self.server.folder, "hospital-b"), exist_ok=True)
        with open(os.path.join(self.server.folder, "hospital-b", "lost.part"), "wb") as f:
            f.write(data)
        source = os.path.join(self.root, "lost")
        with open(source, "wb") as f:
            f.write(data)
        self.probe("upload", "/v1/uploads/lost", source, party="hospital-b")
        # what lies there is not ours: the hash finds it, and the upload begins anew
        with open(os.path.join(self.server.folder, "hospital-b", "torn.part"), "wb") as f:
            f.write(bytes(500))
        self.probe("upload", "/v1/uploads/torn", source, party="hospital-b")
        self.same(source, os.path.join(self.server.folder, "hospital-b", "torn.whole"))

    def test_cuts(self):
        """Up and down through a proxy that cuts at random places: identical, and not from the beginning."""
        rng = random.Random(11)
        source = self.file("cut", 12000000)
        shutil.copy(source, os.path.join(self.server.folder, "cut"))
        for direction in ("up", "down"):
            proxy = self.proxy("cut", [rng.randrange(3000, 1500000) for _ in range(7)], direction=direction)
            if direction == "up":
                out = self.probe("upload", "/v1/uploads/cut", source, proxy=proxy.url, attempts=20)
                self.same(source, os.path.join(self.server.folder, "hospital-a", "cut.whole"))
            else:
                target = os.path.join(self.root, "cut-down")
                out = self.probe("download", "/v1/files/cut", target, proxy=proxy.url, attempts=20)
                self.same(source, target)
            self.assertGreaterEqual(proxy.connections, 7)
            self.assertIn("connection-cut", out.stderr)
        for _ in range(100 * SLOW):  # connections that were cut inside a TLS record are gone
            conn = http.client.HTTPConnection("127.0.0.1", self.server.local_port, timeout=5)
            conn.request("GET", "/metrics")
            text = conn.getresponse().read().decode()
            conn.close()
            if "msfl_connections 1\n" in text:
                break
            time.sleep(0.02)
        self.assertIn("msfl_connections 1\n", text)
        received = sum(line["in"] for line in self.server.log() if line.get("path") == "/v1/uploads/cut")
        self.assertLess(received, 2 * 12000000)

    def test_changed_and_repeated(self):
        """What a proxy changes or repeats inside the tunnel is noticed by TLS, and the transfer goes on."""
        source = self.file("changed", 3000000)
        for fault in ("change", "repeat"):
            for direction in ("up", "down"):
                proxy = self.proxy(fault, [700000 if direction == "up" else 3000], direction=direction)
                if direction == "up":
                    self.probe("upload", f"/v1/uploads/{fault}", source, proxy=proxy.url)
                    self.same(source, os.path.join(self.server.folder, "hospital-a", f"{fault}.whole"))
                else:
                    target = os.path.join(self.root, f"{fault}-down")
                    shutil.copy(source, os.path.join(self.server.folder, f"d{fault}"))
                    self.probe("download", f"/v1/files/d{fault}", target, proxy=proxy.url)
                    self.same(source, target)

    def test_stall(self):
        source = self.file("stall", 2000000)
        proxy = self.proxy("stall", [500000])
        out = self.probe("upload", "/v1/uploads/stall", source, proxy=proxy.url, idle_s=1)
        self.assertRegex(out.stderr, "timeout|connection-cut")
        self.same(source, os.path.join(self.server.folder, "hospital-a", "stall.whole"))

    def test_killed_server(self):
        """kill -9 in the middle, a new server on the same port and folder: the upload goes on where it was."""
        source = self.file("killed", 40000000)
        server = self.fresh()
        port, folder = server.port, server.folder
        command = [PROBE, "upload", os.path.join(self.kits, "hospital-a"), "/v1/uploads/k", source, f"url={server.url}",
                   "attempts=40", "cap_ms=300"]
        client = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        part = os.path.join(folder, "hospital-a", "k.part")
        for _ in range(2000):
            if os.path.exists(part) and os.path.getsize(part) > 3000000:
                break
            time.sleep(0.002)
        server.stop(signal.SIGKILL)
        if client.poll() is None:
            self.assertGreater(os.path.getsize(part), 0)
        revived = Server(self.kits, folder, port=port)
        self.addCleanup(revived.stop)
        _, errors = client.communicate(timeout=60 * SLOW)
        self.assertEqual(client.returncode, 0, errors)
        self.same(source, os.path.join(folder, "hospital-a", "k.whole"))

    def test_proxy_rules(self):
        auth = os.path.join(self.root, "auth")
        with open(auth, "w") as f:
            f.write("me:secret\n")
        proxy = self.proxy(auth=b"Proxy-Authorization: Basic bWU6c2VjcmV0")
        self.assertIn("can be used by others", self.probe("get", "/v1/whoami", proxy=proxy.url, auth=auth, code=1).stderr)
        os.chmod(auth, 0o600)
        self.assertIn("200", self.probe("get", "/v1/whoami", proxy=proxy.url, auth=auth).stdout)
        out = self.probe("get", "/v1/whoami", proxy=proxy.url, code=1)
        self.assertIn("proxy-refused", out.stderr)
        self.assertIn("proxy-refused", self.probe("get", "/v1/whoami", proxy=self.proxy("refuse").url, code=1).stderr)

    # --- servers that are not ours ---

    def impostor(self, party, kits, answer=b""):
        """A TLS server with this certificate, for one connection at a time; its URL."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(kits, party, "tls.pem"), os.path.join(kits, party, "tls.key"))
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        def serve():
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(raw, server_side=True) as c:
                        c.recv(4096)
                        c.sendall(answer)
                except (OSError, ssl.SSLError):
                    pass
        threading.Thread(target=serve, daemon=True).start()
        return f"https://localhost:{listener.getsockname()[1]}"

    def test_impostors(self):
        other = os.path.join(self.root, "other")
        coordinator = "/O=chest-2026/OU=coordinator/CN=coordinator"
        expired = self.forge("old-server", coordinator, "20200101000000Z", "20210101000000Z", "serverAuth")
        twin = self.forge("twin", coordinator, "20240101000000Z", "20400101000000Z", "serverAuth,clientAuth")
        for party, kits, name in (("coordinator", other, "server-certificate-of-another-authority"),
                                  ("hospital-b", self.kits, "server-certificate"),
                                  ("party", expired, "server-certificate-expired"),
                                  ("party", twin, "server-certificate-not-in-roster")):
            out = self.probe("get", "/v1/whoami", url=self.impostor(party, kits), code=1)
            self.assertIn(name, out.stderr)
            self.assertNotIn("again", out.stderr)  # no attempt after a wrong certificate
        # and our own certificate, refused by name
        self.assertIn("certificate-of-another-authority",
                      self.probe("get", "/v1/whoami", kits=other, code=1).stderr)

    def test_answers_that_never_end(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        kits = self.kits
        url = self.impostor("coordinator", kits, head + b"Content-Length: 9999999\r\n\r\n" + b"x" * 300000)
        self.assertIn("answer-too-long", self.probe("get", "/v1/whoami", url=url, code=1).stderr)
        url = self.impostor("coordinator", kits, head + b"Content-Length: 100\r\n\r\nshort")
        self.assertIn("connection-cut", self.probe("get", "/v1/whoami", url=url, code=1, attempts=2).stderr)
        url = self.impostor("coordinator", kits, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        self.assertIn("302", self.probe("get", "/v1/whoami", url=url).stdout)  # never followed
        url = self.impostor("coordinator", kits, b"garbage\r\n\r\n")
        self.probe("get", "/v1/whoami", url=url, code=1, attempts=2)
        target = os.path.join(self.root, "huge")
        url = self.impostor("coordinator", kits, head + b"Content-Length: 99999999999\r\n\r\nabc")
        self.assertIn("more than", self.probe("download", "/v1/files/x", target, url=url, code=1).stderr)

    def test_log_has_no_secrets(self):
        self.ask("POST", "/v1/count", b"patient-data-xyz", {"X-Token": "token-abc"})
        self.server.wait_log(path="/v1/count")
        with open(self.server.log_path) as f:
            text = f.read()
        self.assertNotIn("patient-data", text)
        self.assertNotIn("token-abc", text)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    if not os.path.exists(PROBE):
        print("skipped: net_probe was not built")
        sys.exit(77)
    main()
