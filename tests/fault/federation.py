"""A federation as real processes on this machine, for tests and demonstrations: kits, coordinator, hospitals, an authority
if there is one, each with its log, its state and a proxy on its way. Standard library only."""
import contextlib
import hashlib
import http.client
import json
import os
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from ports import free_ports  # noqa: E402
from proxy import Proxy  # noqa: E402

CLI = os.environ.get("MSFL_CLI", "medsecurefl")
SLOW = 5 if os.environ.get("MSFL_SANITIZED") else 1  # patience, never a measurement
ENDED = ("done", "aborted", "failed")
JOB = {"format": "medsecurefl-job", "version": 1, "name": "trial", "model": "cnn-small",
       "classes": ["normal", "opacity"],
       "input": {"height": 16, "width": 16, "channels": 1}, "samples_max": 1024, "rounds": 3, "learning_rate": 0.003,
       "batch": 4, "bits": 24, "deadline_s": 30, "attempts": 100, "seed": 7}


class Trouble(AssertionError):
    """What the federation did not do; the message has the ends of all logs."""


class Process:
    """One process that may be killed and started again; all its lives write to one log."""

    def __init__(self, name, command, log, env=None):
        self.name, self.command, self.log, self.env = name, command, log, env or {}
        self.popen, self.lives, self.file_limit = None, 0, 0

    def start(self):
        assert not self.alive(), self.name
        env = {**os.environ, **self.env}
        limit = self.file_limit

        def before():
            # The exception to a write that is too long, instead of the signal: as a full disk, an error of the call.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                          preexec_fn=before)
        self.lives += 1
        return self

    def alive(self):
        return self.popen is not None and self.popen.poll() is None

    def kill(self, how=signal.SIGKILL, timeout=60):
        """Send a signal, wait for the end, return the exit status (negative: a signal)."""
        if self.popen is None:
            return None
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        return self.popen.wait(timeout)

    def peak_memory(self):
        """Peak resident set in bytes; 0 if it is not running."""
        with contextlib.suppress(OSError):
            with open(f"/proc/{self.popen.pid}/status") as f:
                for line in f:
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) * 1024
        return 0

    def tail(self, lines=25):
        with contextlib.suppress(OSError), open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])
        return ""


class Federation:
    """`sites`: text of site.yaml by hospital name, or a function (index, n) -> text. Without: parts of one phantom."""

    def __init__(self, root, n=3, seed=0, custody=None, sites=None, policy=None, proxied=True, patience=60.0, days=None,
                 env=None, cli=None, n_images=0, passphrase=None):
        self.root, self.n, self.seed, self.patience = root, n, seed, patience * SLOW
        self.cli = cli or CLI
        self.names = [f"hospital-{chr(97 + i)}" if n <= 26 else f"hospital-{i + 1}" for i in range(n)]
        self.kits, self.logs = self.path("kits"), self.path("logs")
        os.makedirs(self.logs, exist_ok=True)
        self.port, self.local, *ways = free_ports(2 + n)
        # the same job runs several times, so that its models can be compared
        self.policy, self.n_images = policy or "second_sums: true\n", n_images or 60 * n  # everybody has some of every part
        self.sealed = None
        if passphrase:
            self.sealed = self.path("passphrase")
            with open(self.sealed, "w") as f:
                f.write(passphrase + "\n")
            os.chmod(self.sealed, 0o600)
        self.provision(custody, days)
        self.proxies = {}
        for i, name in enumerate(self.names):
            if proxied:
                self.proxies[name] = Proxy(self.port, ways[i], seed=seed * 1000 + i)
                self.rewrite_url(name, ways[i])
            self.write_site(name, i, sites)
        roles = {"coordinator": ["coordinator", "--listen", f"127.0.0.1:{self.port}", "--local", str(self.local)]}
        for name in self.names:
            roles[name] = ["client"]
        if custody == "authority":
            roles["notary"] = ["authority"]
            with open(os.path.join(self.kit("notary"), "policy.yaml"), "w") as f:
                f.write(self.policy)
        self.processes = {}
        for name, words in roles.items():
            command = [self.cli, words[0], "--kit", self.kit(name), "--state", self.state(name), *words[1:]]
            if self.sealed:
                command += ["--passphrase-file", self.sealed]
            self.processes[name] = Process(name, command, os.path.join(self.logs, name + ".log"), env)

    # --- files ---

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def kit(self, name):
        return os.path.join(self.kits, name)

    def state(self, name):
        return self.path("state", name)

    def run(self, *args, code=0, timeout=300):
        r = subprocess.run([self.cli, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=timeout * SLOW)
        if code is not None and r.returncode != code:
            raise Trouble(f"medsecurefl {' '.join(map(str, args))}: exit status {r.returncode}\n{r.stdout}\n{r.stderr}")
        return r

    def provision(self, custody, days):
        plan = ["federation: trial", "coordinator:", "  name: coordinator", f"  url: https://localhost:{self.port}",
                "  hosts: [127.0.0.1]", "hospitals:", *[f"  - {{name: {name}}}" for name in self.names], "operators:",
                "  - {name: ops}"]
        if custody == "authority":
            plan += ["authority:", "  name: notary"]
        if custody:
            plan += ["committee:", f"  custody: {custody}"]
        with open(self.path("federation.yaml"), "w") as f:
            f.write("\n".join(plan) + "\n")
        self.run("provision", self.path("federation.yaml"), "--out", self.kits, *(["--days", days] if days else []),
                 *(["--kit-passphrase-file", self.sealed] if self.sealed else []))

    def rewrite_url(self, name, port):
        path = os.path.join(self.kit(name), "config.yaml")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace(f"https://localhost:{self.port}", f"https://localhost:{port}"))

    def write_site(self, name, i, sites):
        if sites is None:
            text = (f"data:\n  path: phantom\n  phantom_images: {self.n_images}\n"
                    f"  share: {{of: {self.n}, index: {i}, seed: 7}}\nthreads: 1\n")
        else:
            text = sites(i, self.n) if callable(sites) else sites[name]
        with open(os.path.join(self.kit(name), "site.yaml"), "w") as f:
            f.write(text)
        if self.policy:
            with open(os.path.join(self.kit(name), "policy.yaml"), "w") as f:
                f.write(self.policy)

    # --- processes ---

    def start(self, *names):
        for name in names or list(self.processes):
            if not self.processes[name].alive():
                self.processes[name].start()
        if not names or "coordinator" in names:
            self.wait(lambda: self.status() is not None, "the coordinator answers")
        return self

    def stop(self):
        """Ask everybody to end, and return the exit statuses."""
        for p in self.processes.values():
            if p.alive():
                p.popen.terminate()
        codes = {}
        for name, p in self.processes.items():
            if p.popen is not None:
                try:
                    codes[name] = p.popen.wait(60 * SLOW)
                except subprocess.TimeoutExpired:
                    p.kill()
                    codes[name] = "did not stop"
        for proxy in self.proxies.values():
            proxy.close()
        return codes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.processes.values():
            p.kill()
        for proxy in self.proxies.values():
            proxy.close()

    # --- what can be seen ---

    def status(self):
        """/v1/status of the listener for this machine; None while nobody answers."""
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.local, timeout=5 * SLOW)
            c.request("GET", "/v1/status")
            r = c.getresponse()
            body = r.read()
            c.close()
            return json.loads(body) if r.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def job(self, job_id):
        s = self.status()
        return next((j for j in s["jobs"] if j["id"] == job_id), None) if s else None

    def logs_text(self, lines=25):
        return "\n".join(f"--- {name} (lives: {p.lives}, alive: {p.alive()}) ---\n{p.tail(lines)}"
                         for name, p in self.processes.items())

    def fail(self, what):
        status = self.status()
        brief = json.dumps(status, indent=1)[:6000] if status else "the coordinator does not answer"
        raise Trouble(f"{what}\n{brief}\n{self.logs_text()}")

    def wait(self, condition, what, timeout=None, step=0.02):
        """The first true value of `condition`."""
        until = time.monotonic() + (timeout * SLOW if timeout else self.patience)
        while time.monotonic() < until:
            value = condition()
            if value:
                return value
            time.sleep(step)
        self.fail(f"in vain: {what}")

    def wait_end(self, job_id, timeout=None):
        def ended():
            j = self.job(job_id)
            return j if j and j["state"] in ENDED else None
        return self.wait(ended, f"the end of {job_id}", timeout, 0.05)

    # --- operators ---

    def context(self, party):
        """A TLS client with this party's certificate (None: without)."""
        context = ssl.create_default_context(cafile=os.path.join(self.kits, "ca", "ca.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if party:
            context.load_cert_chain(os.path.join(self.kit(party), "tls.pem"), os.path.join(self.kit(party), "tls.key"))
        return context

    def ask(self, party, method, path, body=None, headers=None, timeout=30):
        """One request with this party's certificate: status, body, headers."""
        c = http.client.HTTPSConnection("localhost", self.port, context=self.context(party), timeout=timeout * SLOW)
        try:
            own = {"X-Msfl-Action": "1", "Content-Type": "application/json"} if method == "POST" else {}
            c.request(method, path, body, {**own, **(headers or {})})
            r = c.getresponse()
            return r.status, r.read(), r.headers
        finally:
            c.close()

    def upload(self, key, data):
        """To the operator's uploads (docs/design/net.md), in pieces."""
        label, at, piece = b"msfl.net.upload.v1", 0, 8 << 20
        digest = hashlib.blake2b(len(label).to_bytes(8, "little") + label + data, digest_size=32).hexdigest()
        while at < len(data):
            end = min(at + piece, len(data))
            headers = {"Content-Range": f"bytes {at}-{end - 1}/{len(data)}"}
            if end == len(data):
                headers["Upload-Hash"] = digest
            status, body, _ = self.ask("ops", "PUT", f"/v1/uploads/{key}", data[at:end], headers, timeout=120)
            if status not in (201, 202):
                self.fail(f"the upload was not taken: {status} {body[:300]!r}")
            at = end

    def submit(self, initial=None, **fields):
        """A job; its id. Fields replace those of JOB; None removes one. `initial`: bytes of weights."""
        job = {k: v for k, v in {**JOB, "deadline_s": JOB["deadline_s"] * SLOW, **fields}.items() if v is not None}
        if self.sealed:  # Python has no way to open the key
            with open(self.path("job.json"), "w") as f:
                json.dump(job, f)
            r = self.run("job", "submit", self.path("job.json"), "--kit", self.kit("ops"), "--passphrase-file", self.sealed,
                         "--json")
            return json.loads(r.stdout)["id"]
        headers = {}
        if initial is not None:
            self.upload("initial", initial)
            headers["X-Msfl-Initial"] = "initial"
        status, body, _ = self.ask("ops", "POST", "/v1/jobs", json.dumps(job), headers)
        if status != 201:
            self.fail(f"the job was not taken: {status} {body[:500]!r}")
        return json.loads(body)["id"]

    def take_roster(self):
        """What the authority's folder has, to the coordinator."""
        shutil.copy(os.path.join(self.kits, "ca", "roster.yaml"), os.path.join(self.kit("coordinator"), "roster.yaml"))
        with open(os.path.join(self.kits, "ca", "roster.yaml"), "rb") as f:
            return self.ask("ops", "POST", "/v1/roster", f.read())
