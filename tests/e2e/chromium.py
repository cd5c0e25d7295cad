"""A headless Chromium that tests steer: the DevTools protocol over two pipes, with nothing but Python's standard library."""
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--no-proxy-server",
            "--disable-domain-reliability", "--disable-client-side-phishing-detection", "--hide-scrollbars",
            "--force-color-profile=srgb", "--remote-debugging-pipe", "--lang=en-GB"]


class Browser:
    """One process; `page()` gives a tab with storage of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="msfl-chromium-")
        down_read, self.down = os.pipe()
        self.up, up_write = os.pipe()
        high = [os.dup(down_read), os.dup(up_write)]

        def wire():  # the browser reads commands from 3 and writes to 4
            a, b = os.dup(high[0]), os.dup(high[1])
            a, b = os.dup(a), os.dup(b)
            os.dup2(a, 3)
            os.dup2(b, 4)

        env = dict(os.environ, HOME=self.folder, TZ="Europe/Berlin", DBUS_SESSION_BUS_ADDRESS="disabled:")
        self.process = subprocess.Popen([PROGRAM, *SWITCHES, "--user-data-dir=" + self.folder, "about:blank"], preexec_fn=wire,
                                        pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=env)
        for fd in (down_read, up_write, *high):
            os.close(fd)
        self.lock, self.last, self.waiting, self.pages = threading.Lock(), 0, {}, {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while True:
            try:
                piece = os.read(self.up, 1 << 20)
            except OSError:
                return
            if not piece:
                return
            *messages, rest = (rest + piece).split(b"\0")
            for raw in messages:
                message = json.loads(raw)
                if "id" in message:
                    self.waiting.pop(message["id"]).put(message)
                elif message.get("sessionId") in self.pages:
                    self.pages[message["sessionId"]]._event(message["method"], message["params"])

    def call(self, method, session=None, timeout=60, **params):
        answer = queue.Queue()
        with self.lock:
            self.last += 1
            message = {"id": self.last, "method": method, "params": params}
            if session:
                message["sessionId"] = session
            self.waiting[self.last] = answer
            data = json.dumps(message).encode() + b"\0"
            while data:
                data = data[os.write(self.down, data):]
        result = answer.get(timeout=timeout)
        if "error" in result:
            raise RuntimeError(f"{method}: {result['error']}")
        return result["result"]

    def page(self):
        return Page(self)

    def close(self):
        try:
            self.call("Browser.close", timeout=5)
        except (OSError, RuntimeError, queue.Empty):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.down)
        os.close(self.up)
        shutil.rmtree(self.folder, ignore_errors=True)


class Page:
    """A tab, and everything that went wrong in it: `complaints` has what the console, the policy and exceptions said, `requests`
    every URL that was asked for."""

    def __init__(self, browser):
        self.browser, self.complaints, self.requests, self.sent = browser, [], [], []
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        self.target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(domain + ".enable")
        self.size(1280, 900)

    def _event(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(params["args"])[:600])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
            self.sent.append(params["request"])

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def size(self, width, height, scale=1, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile)

    def media(self, kind="", **features):
        self.call("Emulation.setEmulatedMedia", media=kind,
                  features=[{"name": k.replace("_", "-"), "value": v} for k, v in features.items()])

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, text):
        """The value of an expression in the page; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{text[:200]}: {json.dumps(result['exceptionDetails'])[:600]}")
        return result["result"].get("value")

    def wait(self, text, seconds=20):
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                value = self.run(text)
                if value:
                    return value
            except (RuntimeError, AssertionError):
                pass  # between two documents
            time.sleep(0.03)
        raise AssertionError(f"never true: {text}\n{self.complaints}")

    def key(self, name, modifiers=0):
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(name)
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, windowsVirtualKeyCode=codes.get(name, 0),
                  modifiers=modifiers, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=codes.get(name, 0),
                  modifiers=modifiers)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path, whole=True):
        import base64
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def close(self):
        self.browser.pages.pop(self.session, None)
        self.browser.call("Target.closeTarget", targetId=self.target)
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
