"""The coordinator's screen in a headless Chromium: every state, hostile texts, the content policy, keyboard, narrow and dark
screens, events, lost connections, and the one action. A small Python server stands between browser and coordinator where a test
needs a party's certificate or a bad line."""
import http.client
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import chromium
import dashboard_status
from common import CLI, main, run

PROBE = os.path.join(os.environ.get("MSFL_TOOLS", ""), "dashboard_probe")
PLAN = """federation: chest-2026
coordinator: {name: coordinator, url: 'https://localhost:8443', hosts: [127.0.0.1]}
hospitals: [{name: hospital-a}, {name: hospital-b}, {name: hospital-c}]
operators: [{name: ada}]
"""
SHOTS = os.environ.get("MSFL_SHOTS")  # a folder: pictures of every fixture are left there

if not chromium.PROGRAM:
    print("skipped: chromium is not installed (apt-get install chromium)")
    sys.exit(77)

# Texts that cannot be read well: [ratio, text]. Backgrounds are composed from all that lies beneath.
CONTRAST = """(() => {
  const rgba = (s) => { const m = s.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => { const l = c.slice(0, 3).map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * l[0] + .7152 * l[1] + .0722 * l[2]; };
  const out = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let n = 0;
  for (let t; (t = walk.nextNode());) {
    const e = t.parentElement;
    if (!t.data.trim() || !e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) || e.closest('option,noscript,dialog:not([open])')) continue;
    const under = [];
    for (let p = e; p; p = p.parentElement) under.unshift(rgba(getComputedStyle(p).backgroundColor));
    const paper = under.reduce((b, a) => over(a, b), [255, 255, 255, 1]), ink = over(rgba(getComputedStyle(e).color), paper);
    const [a, b] = [light(paper), light(ink)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    n++;
    if (ratio < 4.5) out.push([ratio.toFixed(2), t.data.slice(0, 40)]);
  }
  return {n, bad: out};
})()"""

# What a screen reader needs, and what no page may have.
STRUCTURE = """(() => {
  const bad = [], all = (s) => [...document.querySelectorAll(s)], seen = (e) => e.checkVisibility();
  const ids = all('[id]').map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.push('id twice: ' + id);
  for (const t of all('table')) if (!t.caption || !t.caption.textContent.trim()) bad.push('table without a caption');
  for (const h of all('th')) if (!h.scope) bad.push('th without a scope');
  for (const s of all('section')) if (!document.getElementById(s.getAttribute('aria-labelledby'))) bad.push('section without a name');
  for (const c of all('canvas')) if (!document.getElementById(c.getAttribute('aria-labelledby')).textContent) bad.push('chart without words');
  for (const p of all('progress')) if (!p.getAttribute('aria-label')) bad.push('bar without a name');
  for (const e of all('[style],[onclick],[onload],[onerror]')) if (e.tagName !== 'CANVAS') bad.push('inline: ' + e.outerHTML.slice(0, 80));
  for (const tag of ['header', 'nav', 'main', 'footer', 'h1']) if (all(tag).length !== 1) bad.push(tag + ' is there ' + all(tag).length + ' times');
  let level = 1;
  for (const h of all('h1,h2,h3').filter(seen)) { if (+h.tagName[1] > level + 1) bad.push('heading skips: ' + h.textContent); level = +h.tagName[1]; }
  if (!document.documentElement.lang || !document.title) bad.push('language or title');
  return bad;
})()"""


class Coordinator:
    """dashboard_probe: `show` what it says, send it an event, see what was aborted."""

    def __init__(self, kits, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.show(dashboard_status.empty())
        self.process = subprocess.Popen([PROBE, os.path.join(kits, "coordinator"), folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port, self.local_port = map(int, self.process.stdout.readline().split())
        self.url = f"http://127.0.0.1:{self.local_port}/"

    def show(self, status):
        path = os.path.join(self.folder, "status.json")
        with open(path + ".new", "w") as f:
            json.dump(status, f)
        os.replace(path + ".new", path)

    def event(self, name, data):
        self.process.stdin.write(f"{name} {json.dumps(data)}\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


class Line(http.server.ThreadingHTTPServer):
    """Plain HTTP to the browser, mutual TLS with a party's certificate to the coordinator; may be cut, or refuse paths."""
    daemon_threads = True

    def __init__(self, kits, party, port):
        self.party, self.target, self.cut, self.refused, self.connections = party, port, False, {}, set()
        self.tls = ssl.create_default_context(cafile=os.path.join(kits, "ca", "ca.pem"))
        self.tls.load_cert_chain(os.path.join(kits, party, "tls.pem"), os.path.join(kits, party, "tls.key"))
        super().__init__(("127.0.0.1", 0), LineHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def connect(self):
        return http.client.HTTPSConnection("localhost", self.target, context=self.tls, timeout=30)

    def sever(self):
        self.cut = True
        for connection in list(self.connections):
            try:
                connection.shutdown(2)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        pass  # cut connections are what it is for

    def close(self):
        self.sever()
        self.shutdown()
        self.server_close()


class LineHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle(self):
        self.server.connections.add(self.connection)
        try:
            super().handle()
        except OSError:
            pass
        finally:
            self.server.connections.discard(self.connection)

    def relay(self):
        self.close_connection = True
        if self.server.cut:
            return
        if self.path in self.server.refused:
            self.send_response(self.server.refused[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = self.server.connect()
        upstream.request(self.command, self.path, body or None,
                         {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "host", "content-length")})
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for k, v in answer.getheaders():
            if k.lower() not in ("connection", "transfer-encoding", "date"):
                self.send_header(k, v)
        self.send_header("Connection", "close")
        self.end_headers()
        while True:
            piece = answer.read1(65536)
            if not piece:
                break
            self.wfile.write(piece)
            self.wfile.flush()
        upstream.close()

    do_GET = do_POST = relay


class DashboardTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory(prefix="msfl-dashboard-")
        cls.kits = os.path.join(cls.root.name, "kits")
        plan = os.path.join(cls.root.name, "plan.yaml")
        with open(plan, "w") as f:
            f.write(PLAN)
        result = run("provision", plan, "--out", cls.kits)
        assert result.returncode == 0, result.stderr
        cls.coordinator = Coordinator(cls.kits, os.path.join(cls.root.name, "coordinator"))
        cls.browser = chromium.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        assert cls.coordinator.stop() == 0
        cls.root.cleanup()

    def page(self, status=None, url=None, **media):
        if status is not None:
            self.coordinator.show(status)
        page = self.browser.page()
        self.addCleanup(page.close)
        page.media(prefers_reduced_motion="reduce", prefers_color_scheme=media.get("scheme", "light"))
        page.open(url or self.coordinator.url)
        page.wait("document.body.dataset.ready === '1' && live.open")
        page.url = url or self.coordinator.url
        return page

    def line(self, party="ada"):
        line = Line(self.kits, party, self.coordinator.port)
        self.addCleanup(line.close)
        return line

    def clean(self, page):
        """Nothing to complain about, and no other host was asked."""
        self.assertEqual(page.complaints, [])
        for url in page.requests:
            self.assertTrue(url.startswith(page.url), url)

    def picture(self, page, name):
        if SHOTS:
            os.makedirs(SHOTS, exist_ok=True)
            page.picture(os.path.join(SHOTS, name + ".png"))

    def text(self, page, selector="body"):
        return page.run(f"document.querySelector({json.dumps(selector)}).innerText.replace(/\\s+/g, ' ')")

    # --- every state ---

    def check_fixture(self, name, *wanted, missing=()):
        page = self.page(dashboard_status.ALL[name]())
        text = self.text(page)
        for words in wanted:
            self.assertTrue(words in text, f"{words!r} is not on the page")
        for words in missing:
            self.assertFalse(words in text, f"{words!r} is on the page")
        self.assertEqual(page.run(STRUCTURE), [])
        for scheme in ("light", "dark"):
            page.media(prefers_reduced_motion="reduce", prefers_color_scheme=scheme)
            contrast = page.run(CONTRAST)
            self.assertEqual(contrast["bad"], [], scheme)
            self.assertGreater(contrast["n"], 30)
            self.picture(page, f"{name}-{scheme}")
        page.size(360, 740, 2, True)
        self.assertLessEqual(page.run("document.documentElement.scrollWidth"), 360)
        self.picture(page, f"{name}-phone")
        self.clean(page)
        return page

    def test_running(self):
        page = self.check_fixture(
            "running", "chest-2026", "Round 9 of 20", "Collect", "2 of 5 updates are in", "left", "138 kB of 346 kB, 40 %",
            "epoch 2 of 3", "not connected", "hospital-c in 12 days", "k = 5", "t = 4", "f = 1", "medsecurefl audit verify audit --kit KIT",
            "only 2 of 5 updates came before the deadline", "5 members hold shares", "Up to 1 may be away", "retina",
            "24,434", "128 bits", "listening on port 8443", "On this machine, to read only", "Europe/Berlin",
            missing=("Not encrypted", "Insecure", "Abort this job", "undefined", "NaN", "[object"))
        self.assertEqual(page.run("document.querySelector('.steps [aria-current=step] b').textContent"), "Collect")
        self.assertEqual(page.run("document.title"), "Round 9 of 20 · chest · MedSecureFL")
        # charts are drawn: every canvas has ink, and six have what the status says
        self.assertEqual(page.run("charts.size"), 6)
        self.assertTrue(page.run("""[...document.querySelectorAll('canvas')].every((c) => {
          const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return d.some((v) => v !== 0); })"""))
        self.assertEqual(page.run("charts.get('auc').data.datasets[0].data.length"), 8)

    def test_segmentation(self):
        page = self.check_fixture("segmentation", "Dice on validation images", "Dice of anterior 0.8000", "Dice of posterior –",
                                  "pixel accuracy 0.9834", "Dice validation, mean of all structures", "it tells apart none, anterior",
                                  missing=("AUC", "NaN", "undefined"))
        self.assertEqual(page.run("charts.get('auc').data.datasets.map((d) => d.label)"), ["mean", "anterior", "posterior"])
        self.assertIsNone(page.run("charts.get('auc').data.datasets[2].data[0]"))
        self.assertEqual(page.run("document.querySelectorAll('#curves th[scope=col]').length"), 11)

    def test_finished(self):
        self.check_fixture("finished", "Finished. All its rounds are opened.", "0.9912", "819", "certified", "best", "10 rounds of 10",
                           missing=("Deadline", "NaN", "undefined"))

    def test_failed(self):
        page = self.check_fixture("failed", "Failed. round 5 was tried 3 times", "cheated", "this job wants 2 hospitals", "superseded",
                                  "Certificates have expired", "coordinator expired", "the disk is full", "evaluating", "dropped",
                                  "refused", "aborted", "k = 7", missing=("NaN", "undefined"))
        page.run("location.hash = document.querySelectorAll('#jobs a')[1].hash")
        page.wait("document.getElementById('job-title').textContent.includes('pilot')")
        self.assertIn("Aborted. by ada, operator: the wrong label column", self.text(page))

    def test_empty(self):
        self.check_fixture("empty", "No job yet", "medsecurefl job submit job.yaml", "this server", "3 parties are connected")

    def test_waiting(self):
        self.check_fixture("waiting", "No round can be run. waits for the requests of hospital-c", "queued",
                           missing=("What has to be trusted", "0000", "null", "undefined", "NaN"))

    def test_many(self):
        page = self.check_fixture("many", "hospital-40", "10 uploaded", "hospital-18 failed.", "out of memory in epoch 2", "1:10:",
                                  "round 61 of 100", "12.5 GB")
        rows = "document.querySelectorAll('#hospitals tbody tr').length"
        self.assertEqual(page.run(rows), 40)
        page.run("document.querySelector('[data-filter=\"failed\"]').click()")
        self.assertEqual(page.run(rows), 1)
        self.assertEqual(page.run("document.querySelector('[data-filter=\"failed\"]').getAttribute('aria-pressed')"), "true")
        page.run("document.querySelector('[data-filter=\"failed\"]').click()")
        self.assertEqual(page.run(rows), 40)

    def test_a_thousand(self):
        """More than anybody reads: those that need attention are listed, and the page stays quick."""
        page = self.page(dashboard_status.many(1000))
        self.assertEqual(page.run("document.querySelectorAll('#hospitals tbody tr').length"), 200)
        self.assertIn("200 of 1,000 are listed", self.text(page, "#hospitals"))
        self.assertIn("hospital-18", self.text(page, "#hospitals tbody tr"))
        self.clean(page)

    def test_plain(self):
        page = self.check_fixture("plain", "Not encrypted.", "receives every hospital’s update in the clear", "the coordinator adds what it can read",
                                  missing=("Certify", "hold shares"))
        self.assertTrue(page.run("document.querySelector('.banner').getBoundingClientRect().top < innerHeight"))

    def test_custody(self):
        self.check_fixture("custody", "Insecure against this coordinator.", "can open every single hospital’s update",
                           "this coordinator gives the sum of the keys", "INSECURE")

    def test_authority(self):
        self.check_fixture("authority", "One separate authority", "must not collude", "notary", "the authority checks who is in",
                           "Round 9 of 20, validation")

    # --- what must not happen ---

    def test_hostile(self):
        page = self.check_fixture("hostile", "<img src=x onerror=", "{{7*7}}")
        self.assertIsNone(page.run("window.pwned === undefined ? null : window.pwned"))
        self.assertEqual(page.run("document.querySelectorAll('img').length"), 1)
        self.assertEqual(page.run("document.querySelectorAll('script').length"), 2)
        self.assertEqual(page.run("document.querySelectorAll('iframe, svg, object, embed, form:not(#abort-form)').length"), 0)
        self.assertEqual(page.run(r"/[\u0001\u200b\u202a-\u202e\u2066-\u2069]/.test(document.body.textContent)"), False)
        self.assertEqual(page.run("[...document.querySelectorAll('a')].filter((a) => a.origin !== location.origin).length"), 0)
        self.assertEqual(page.run("({}).pwned === undefined && Object.keys(Object.prototype).length"), 0)
        jobs = page.run("document.querySelectorAll('#jobs a').length")
        self.assertEqual(jobs, 4)
        for i in range(jobs):  # each can be looked at
            page.run(f"document.querySelectorAll('#jobs a')[{i}].click()")
        self.clean(page)

    def test_policy(self):
        page = self.page(dashboard_status.running())
        self.clean(page)
        self.assertIn("TypeError", page.run("(() => { try { document.body.innerHTML = '<b>x</b>'; return 'done'; } catch (e) { return e.name; } })()"))
        page.run("""(() => { const s = document.createElement('style'); s.textContent = 'h1 { font-size: 77px }'; document.head.append(s); })()""")
        self.assertNotEqual(page.run("getComputedStyle(document.querySelector('h1')).fontSize"), "77px")
        self.assertEqual(page.run("fetch('http://127.0.0.1:9/').then(() => 'sent', (e) => e.name)"), "TypeError")
        self.assertTrue(any("Content Security Policy" in c for c in page.complaints), page.complaints)
        # nothing was sent to that host: the policy stopped it
        self.assertFalse(page.run("performance.getEntriesByType('resource').some((e) => e.name.includes(':9/') && e.transferSize > 0)"))

    def request(self, path, method="GET", party=None, headers={}, body=None):
        connection = self.line(party).connect() if party else http.client.HTTPConnection("127.0.0.1", self.coordinator.local_port, timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        result = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return result

    def test_files(self):
        types = {"/": "text/html", "/style.css": "text/css", "/app.js": "text/javascript", "/chart.js": "text/javascript",
                 "/icon.svg": "image/svg+xml"}
        for path, kind in types.items():
            status, headers, body = self.request(path)
            self.assertEqual(status, 200)
            self.assertTrue(headers["Content-Type"].startswith(kind), headers)
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Referrer-Policy"], "no-referrer")
            self.assertEqual(headers["X-Frame-Options"], "DENY")
            self.assertEqual(headers["Cache-Control"], "private, no-cache")
            again = self.request(path, headers={"If-None-Match": f'"other", W/{headers["ETag"]}'})
            self.assertEqual((again[0], again[2]), (304, b""))
            self.assertEqual(self.request(path, headers={"If-None-Match": '"other"'})[0], 200)
            self.assertEqual(self.request(path, party="hospital-a")[2], body)
        chart = self.request("/chart.js")[2]
        self.assertIn(b"Permission is hereby granted", chart[:3000])
        self.assertEqual(self.request("/v1/status")[1]["Cache-Control"], "no-store")

    # --- who may do what ---

    def test_me(self):
        self.assertEqual(json.loads(self.request("/v1/me")[2]), {"name": "", "role": "", "may_act": False, "local": True})
        self.assertEqual(json.loads(self.request("/v1/me", party="hospital-a")[2]),
                         {"name": "hospital-a", "role": "hospital", "may_act": False, "local": False})
        self.assertEqual(json.loads(self.request("/v1/me", party="coordinator")[2]),
                         {"name": "coordinator", "role": "coordinator", "may_act": True, "local": False})
        self.assertEqual(json.loads(self.request("/v1/me", party="ada")[2]),
                         {"name": "ada", "role": "operator", "may_act": True, "local": False})

    def test_refused_actions(self):
        path, body = "/v1/jobs/chest-1a2b3c4d/abort", b'{"reason":"x"}'
        good = {"X-Msfl-Action": "1", "Content-Type": "application/json"}
        for party, headers in [("hospital-a", good), ("ada", {}), ("ada", {"X-Msfl-Action": "yes"}),
                               ("ada", {**good, "Sec-Fetch-Site": "cross-site"}),
                               ("ada", {**good, "Sec-Fetch-Site": "same-site"})]:
            self.assertEqual(self.request(path, "POST", party, headers, body)[0], 403, (party, headers))
        self.assertEqual(self.request(path, "GET", "ada", good)[0], 405)
        self.assertEqual(self.request(path, "POST", None, good, body)[0], 404)  # not on the local listener
        self.assertEqual(self.request(path, "OPTIONS", "ada")[0], 405)  # no preflight is ever answered

    def test_abort(self):
        line = self.line()
        page = self.page(dashboard_status.running(), line.url)
        self.assertIn("ada, operator", self.text(page, "header"))
        self.assertNotIn("read only", self.text(page, "header"))
        page.run("document.querySelector('[data-abort]').focus()")
        page.key("Enter")
        page.wait("document.getElementById('abort').open")
        page.key("Escape")
        page.wait("!document.getElementById('abort').open")
        self.assertTrue(page.run("document.activeElement.hasAttribute('data-abort')"))
        page.key("Enter")
        page.wait("document.getElementById('abort').open && document.activeElement.id === 'abort-reason'")
        page.type("   ")
        page.run("document.getElementById('abort-yes').click()")
        page.wait("document.getElementById('abort-error').textContent.includes('reason')")
        self.assertEqual(page.run(CONTRAST)["bad"], [])
        self.picture(page, "abort")
        page.run("document.getElementById('abort-reason').value = ''")
        page.type("wrong \"labels\"")
        page.run("document.getElementById('abort-yes').click()")
        self.assertEqual(self.coordinator.process.stdout.readline(), 'abort chest-1a2b3c4d {"reason":"wrong \\"labels\\""}\n')
        page.wait("!document.getElementById('abort').open")
        sent = [r for r in page.sent if r["method"] == "POST"]
        self.assertEqual(len(sent), 1)
        self.assertEqual({k.lower(): v for k, v in sent[0]["headers"].items()}["x-msfl-action"], "1")
        self.clean(page)

    def test_hospital_looks_only(self):
        page = self.page(dashboard_status.running(), self.line("hospital-a").url)
        self.assertIn("hospital-a, hospital, to read only", self.text(page, "header"))
        self.assertEqual(page.run("document.querySelectorAll('[data-abort]').length"), 0)
        self.clean(page)

    def test_real_coordinator(self):
        """What a coordinator says of itself is what the page understands, and a job is aborted from it."""
        if run("coordinator", "--help").returncode != 0:
            self.skipTest("this program has no coordinator yet")
        folder = os.path.join(self.root.name, "real")
        os.makedirs(folder)
        with open(os.path.join(folder, "job.yaml"), "w") as f:
            f.write("format: medsecurefl-job\nversion: 1\nname: chest\nmodel: cnn-small\nrounds: 4\ndeadline_s: 600\n"
                    "samples_max: 1024\n")
        process = subprocess.Popen([CLI, "coordinator", "--kit", os.path.join(self.kits, "coordinator"), "--state",
                                    os.path.join(folder, "state"), "--listen", "127.0.0.1:0", "--local", "0"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(lambda: (process.terminate(), process.wait(30), process.stdout.close()))
        ready = re.search(r"port (\d+), .*(http://127\.0\.0\.1:\d+/)", process.stdout.readline())
        operate = ["--kit", os.path.join(self.kits, "ada"), "--url", f"https://localhost:{ready.group(1)}"]
        page = self.page(url=ready.group(2))
        self.assertIn("No job yet", self.text(page))
        submitted = run("job", "submit", os.path.join(folder, "job.yaml"), *operate)
        self.assertEqual(submitted.returncode, 0, submitted.stderr)
        page.wait("document.title.startsWith('Round 1 of 4')")
        text = self.text(page)
        for words in ("0 of 3 updates are in", "3 absent", "packed", "cnn-small", "128 bits", "members hold shares", submitted.stdout.strip()):
            self.assertTrue(words in text, f"{words!r} is not on the page")
        for words in ("undefined", "NaN", "null", "[object"):
            self.assertFalse(words in text, f"{words!r} is on the page")
        self.assertEqual(page.run(STRUCTURE), [])
        line = Line(self.kits, "ada", int(ready.group(1)))
        self.addCleanup(line.close)
        mine = self.page(url=line.url)
        mine.run("document.querySelector('[data-abort]').click()")
        mine.type("the wrong labels")
        mine.run("document.getElementById('abort-yes').click()")
        for p in (page, mine):
            p.wait("document.getElementById('job-body').innerText.includes('the wrong labels')")
            self.assertIn("aborted", self.text(p, "#job-title"))
            self.clean(p)

    # --- staying up to date ---

    def test_events(self):
        status = dashboard_status.running()
        page = self.page(status)
        page.run("window.row = document.querySelector('#hospitals tbody tr:nth-child(3)'); document.querySelector('#curves .scroll').tabIndex = 0; document.querySelector('#curves .scroll').focus()")
        job = json.loads(json.dumps(status["jobs"][1]))
        del job["history"]
        job["hospitals"][2].update(state="failed", text="the power went")
        job["phase"], job["phase_text"] = "certifying", "waits for 2 more votes"
        status["jobs"][1].update({k: job[k] for k in ("hospitals", "phase", "phase_text")})
        self.coordinator.show(status)
        del job["parameters"]
        self.coordinator.event("status", {"version": 12346, "jobs": [job]})
        page.wait("document.body.innerText.includes('the power went')")
        self.assertIn("waits for 2 more votes", self.text(page, "#job"))
        self.assertTrue(page.run("window.row.isConnected && window.row.textContent.includes('failed')"), "rows stay")
        self.assertEqual(page.run("document.activeElement.className"), "scroll figures", "focus stays")
        self.assertEqual(page.run("charts.get('auc').data.datasets[0].data.length"), 8)
        self.assertIn("hospital-c: failed.", page.run("document.getElementById('say').textContent"))
        self.assertIn("Round 9 of 20, certifying: waits for 2 more votes", page.run("document.getElementById('say').textContent"))
        # a round that ended is asked for, with its figures and what was logged
        status["jobs"][1].update(round=10, phase="collecting", history=dashboard_status.history(9))
        status["log"] += dashboard_status.log(("info", "chest-1a2b3c4d", "round 9 opened"))
        self.coordinator.show(status)
        self.coordinator.event("status", {"version": 12346, "jobs": [{"id": "chest-1a2b3c4d", "round": 10, "phase": "collecting"}]})
        page.wait("charts.get('auc').data.datasets[0].data.length === 9")
        self.assertIn("round 9 opened", self.text(page, "#log"))
        # too much for an event: everything anew
        status["jobs"][1].update(state="done", phase="idle", deadline_ms=None, version=12347)
        self.coordinator.show(status)
        self.coordinator.event("gap", {})
        page.wait("document.getElementById('job-title').textContent.includes('done')")
        self.assertIn("Job chest: done.", page.run("document.getElementById('say').textContent"))
        # what is no JSON, or no object, costs a request and nothing else
        for data in (None, 7, "x"):
            self.coordinator.event("status", data)
        page.wait("live.failures === 0 && !live.asking")
        self.clean(page)

    def test_chosen_job_stays(self):
        status = dashboard_status.running()
        page = self.page(status)
        page.run("document.querySelectorAll('#jobs a')[2].click()")
        page.wait("document.getElementById('job-title').textContent.includes('lung-ct')")
        page.run("document.querySelector('#places a[href=\"#log\"]').click()")
        self.coordinator.event("status", {"version": 12346, "log": []})
        page.wait("document.getElementById('log').hidden")
        self.assertIn("lung-ct", self.text(page, "#job-title"))
        self.assertEqual(page.run("document.querySelector('#jobs [aria-current]').textContent.includes('lung-ct')"), True)

    def test_lost(self):
        line = self.line()
        page = self.page(dashboard_status.running(), line.url)
        line.sever()
        page.wait("document.getElementById('lost').innerText.includes('Connection lost')")
        self.assertIn("Connection lost", self.text(page, "header"))
        self.assertIn("What is shown is of", self.text(page, "#lost"))
        self.assertIn("connection lost", page.run("document.title"))
        self.assertEqual(page.run("document.querySelector('#lost [role=alert]').innerText.includes('cannot be reached')"), True)
        self.assertEqual(page.run(CONTRAST)["bad"], [])
        self.picture(page, "lost")
        line.cut = False
        page.run("live.earliest = 0; document.querySelector('[data-retry]').click()")
        page.wait("live.since === 0")
        page.wait("live.open && document.getElementById('link').textContent.includes('Live')", 30)
        self.assertEqual(page.run("document.getElementById('lost').innerText"), "")

    def test_polling(self):
        line = self.line()
        line.refused["/v1/events"] = 503
        self.coordinator.show(dashboard_status.running())
        page = self.browser.page()
        self.addCleanup(page.close)
        page.open(line.url)
        page.wait("document.getElementById('link').textContent.includes('Asking every 5 s')")
        self.coordinator.show(dashboard_status.finished())
        page.run("live.earliest = 0; refresh(); 0")
        page.wait("document.getElementById('job-title').textContent.includes('done')")
        line.refused["/v1/status"] = 403
        page.run("live.earliest = 0; refresh(); 0")
        page.wait("document.getElementById('lost').innerText.includes('the server answers 403')")

    # --- people ---

    def test_keyboard(self):
        line = self.line()
        page = self.page(dashboard_status.running(), line.url)
        # By place and not by a mark on them: lists are drawn again while somebody goes through them.
        focusable = """[...document.querySelectorAll('a[href], button, select, [tabindex="0"]')].filter((e) => e.checkVisibility())"""
        wanted = list(range(page.run(focusable + ".length")))
        order, visible = [], []
        for _ in range(len(wanted)):
            page.key("Tab")
            place, outline = page.run("""(() => { const e = document.activeElement, s = getComputedStyle(e);
              return [%s.indexOf(e), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()""" % focusable)
            order.append(place)
            visible.append(outline)
        self.assertEqual(order, wanted)
        self.assertTrue(all(visible), visible)
        # what does not fit can be scrolled with the keyboard, and says what it is
        page.size(360, 740, 2, True)
        page.wait("document.querySelectorAll('.scroll[tabindex=\"0\"]').length > 0")
        self.assertEqual(page.run("""[...document.querySelectorAll('.scroll')].filter((e) =>
          (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) !== (e.tabIndex === 0 && e.ariaLabel !== '')).length"""), 0)
        page.size(1280, 900)
        page.run("document.querySelector('.skip').focus()")
        self.assertTrue(page.run("document.querySelector('.skip').getBoundingClientRect().left >= 0"))
        page.key("Enter")
        self.assertEqual(page.run("document.activeElement.id"), "content")
        names = page.run("""[...document.querySelectorAll('a[href], button, select, textarea')].filter((e) => e.checkVisibility())
          .filter((e) => !(e.textContent.trim() || e.labels?.length)).length""")
        self.assertEqual(names, 0)

    def test_theme(self):
        page = self.page(dashboard_status.running(), scheme="light")
        paper = lambda: page.run("getComputedStyle(document.body).backgroundColor")
        self.assertEqual(paper(), "rgb(255, 255, 255)")
        page.run("(() => { const s = document.getElementById('theme'); s.value = 'dark'; s.dispatchEvent(new Event('change')); })()")
        self.assertEqual(paper(), "rgb(20, 23, 26)")
        self.assertEqual(page.run("charts.get('auc').data.datasets[0].borderColor"), "#6db4f4")
        self.assertEqual(page.run(CONTRAST)["bad"], [])
        page.open(page.url)
        page.wait("document.body.dataset.ready === '1'")
        self.assertEqual(paper(), "rgb(20, 23, 26)", "kept")
        self.assertEqual(page.run("document.getElementById('theme').value"), "dark")
        page.media(prefers_color_scheme="light", prefers_reduced_motion="reduce")
        self.assertEqual(paper(), "rgb(20, 23, 26)", "chosen by hand")

    def test_of_the_tests(self):
        """Twins that are wrong are found."""
        page = self.page(dashboard_status.running())
        page.run("document.documentElement.style.setProperty('--soft', '#7e8790')")
        self.assertNotEqual(page.run(CONTRAST)["bad"], [])
        page.run("document.querySelector('caption').remove(); document.querySelector('progress').removeAttribute('aria-label')")
        self.assertEqual([x[:12] for x in page.run(STRUCTURE)], ["table withou", "bar without ", "inline: <htm"])
        page.size(360, 740, 2, True)
        page.run("document.querySelector('#job-body p').style.width = '400px'")
        self.assertGreater(page.run("document.documentElement.scrollWidth"), 360)
        page.run("console.log('x'); fetch('http://127.0.0.1:9/').catch(() => 0)")
        page.wait("true")
        self.assertNotEqual(page.complaints, [])

    def test_paper_and_motion(self):
        page = self.page(dashboard_status.running(), scheme="dark")
        self.assertEqual(page.run("document.getAnimations().length"), 0)
        self.assertEqual(page.run("charts.get('auc').options.animation"), False)
        page.media("print", prefers_color_scheme="dark")
        self.assertEqual(page.run("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
        self.assertEqual(page.run("getComputedStyle(document.querySelector('nav')).display"), "none")
        self.assertEqual(page.run(CONTRAST)["bad"], [])
        page.media("", prefers_color_scheme="dark")
        pdf = page.call("Page.printToPDF", printBackground=False)["data"]
        self.assertGreater(len(pdf), 20000)
        if SHOTS:
            import base64
            with open(os.path.join(SHOTS, "paper.pdf"), "wb") as f:
                f.write(base64.b64decode(pdf))
        page.wait("document.documentElement.dataset.theme === 'system'")
        self.clean(page)

    def test_numbers(self):
        page = self.page(dashboard_status.empty())
        for expression, wanted in [
                ("bytes(0)", "0 B"), ("bytes(999)", "999 B"), ("bytes(1000)", "1.00 kB"), ("bytes(999999)", "1.00 MB"),
                ("bytes(12345)", "12.3 kB"), ("bytes(123456)", "123 kB"), ("bytes(1e300)", None), ("bytes(null)", "–"), ("bytes('7')", "–"),
                ("duration(0)", "0 ms"), ("duration(999)", "999 ms"), ("duration(1000)", "1.0 s"), ("duration(59949)", "59.9 s"),
                ("duration(59990)", "1 min 0 s"), ("duration(3599600)", "1 h 0 min"), ("duration(90000000)", "1 d 1 h"), ("duration(NaN)", "–"),
                ("countdown(0)", "0:00"), ("countdown(-5)", "0:00"), ("countdown(61000)", "1:01"), ("countdown(3661000)", "1:01:01"),
                ("figure(null)", "–"), ("figure(0.5)", "0.5000"), ("percent(0.405)", "41 %"), ("percent(7)", "100 %"), ("count(1234567)", "1,234,567"),
                ("clock(1795702494000)", "15:14:54"), ("day(1795702494000)", "26 Nov 2026"), ("clock(1e18)", "–"), ("tickDuration(90000)", "1.5 min"),
                ("tickDuration(0)", "0"), ("words('a\\u202eb\\nc')", "a b c"), ("words('x'.repeat(500)).length", 401), ("words(undefined)", "")]:
            value = page.run(expression)
            if wanted is not None:
                self.assertEqual(value, wanted, expression)


if __name__ == "__main__":
    main()
