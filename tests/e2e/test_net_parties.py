"""Who may come in, with Python's ssl, curl and openssl against our server; rosters and identities read by their documents;
and servers that are not ours, against our client."""
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

from common import run
from net_common import PLAN, SLOW, NetCase, Server, label_hash, main, provision


class PartiesTest(NetCase):
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


if __name__ == "__main__":
    main()
