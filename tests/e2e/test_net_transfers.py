"""Uploads and downloads: whole, in pieces, and through a proxy that cuts, changes, repeats and stalls; a server that is
killed."""
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import time

from net_common import PROBE, SLOW, NetCase, Server, label_hash, main


class TransfersTest(NetCase):
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


if __name__ == "__main__":
    main()
