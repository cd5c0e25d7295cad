"""What our server and our client take in: bodies, malformed and slow requests, limits, answers that never end; the stop,
the port for this machine alone, events, and the log."""
import http.client
import os
import random
import re
import signal
import socket
import ssl
import threading
import time

from net_common import SLOW, NetCase, main


class HttpTest(NetCase):
    def test_bodies(self):
        self.assertEqual(self.ask("POST", "/v1/count", b"x" * 1000000)[:2], (200, b'{"length":1000000}\n'))
        self.assertEqual(self.ask("POST", "/v1/count", b"")[:2], (200, b'{"length":0}\n'))
        chunked = self.http()
        chunked.request("POST", "/v1/count", iter([b"ab", b"c" * 70000]), encode_chunked=True)
        self.assertEqual(chunked.getresponse().read(), b'{"length":70002}\n')
        chunked.close()
        for _ in range(20):  # by a client that hears nothing before all is sent
            self.assertEqual(self.ask("POST", "/v1/count", b"x" * 1048577)[0], 413)
            self.assertEqual(self.ask("POST", "/v1/nothing", b"x" * 1048577)[0], 404)
        for length in (b"1048577\r\nExpect: 100-continue", b"67108865"):  # at once
            self.assertIn(b" 413 ", self.raw(b"POST /v1/count HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n"))
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
        server = self.fresh(stop_ms=60000)
        slow, late, seen = [], [], []
        waiting = [self.http(server) for _ in range(5)]
        for c in waiting:
            c.request("GET", "/v1/whoami")
            c.getresponse().read()

        def ask(path, answers):
            try:
                answers.append(self.ask("GET", path, server=server)[:2])
            except (OSError, http.client.HTTPException):
                answers.append(None)

        def ask_until_refused(c):
            status = 200
            while status == 200:
                time.sleep(0.02)
                try:
                    c.request("GET", "/v1/whoami")
                    answer = c.getresponse()
                    status = answer.status
                    answer.read()
                except (OSError, http.client.HTTPException):
                    break
                if status != 200:
                    seen.append(status)
            c.close()

        threads = [threading.Thread(target=ask, args=("/v1/slow", slow))]
        threads[0].start()
        self.until(lambda: os.path.exists(os.path.join(server.folder, "slow-begun")))
        server.process.send_signal(signal.SIGTERM)
        # The thread that is busy with the slow one leaves some of them waiting until it is done.
        threads += [threading.Thread(target=ask_until_refused, args=(c,)) for c in waiting]
        for t in threads[1:]:
            t.start()
        self.until(lambda: seen)
        threads.append(threading.Thread(target=ask, args=("/v1/whoami", late)))
        threads[-1].start()
        with open(os.path.join(server.folder, "slow-end"), "w"):
            pass
        for t in threads:
            t.join()
        self.assertEqual(set(seen), {503})
        self.assertEqual(slow, [(200, b"at last\n")])
        self.assertEqual(late, [None])
        self.assertEqual(server.process.wait(10 * SLOW), 0)

    def until(self, condition):
        end = time.monotonic() + 20 * SLOW  # patience; the slow request lasts a minute at most
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

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
    main()
