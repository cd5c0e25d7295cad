"""What tests of the network layer share: our server and our client as processes, a proxy that misbehaves, impostors.
Everything on 127.0.0.1."""
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import common
from common import run

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


class NetCase(unittest.TestCase):
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


def main():
    if not os.path.exists(PROBE):
        print("skipped: net_probe was not built")
        sys.exit(77)
    common.main()
