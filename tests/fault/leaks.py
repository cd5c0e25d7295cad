"""Looks for what must not have left a hospital, in files and in captured bytes. Standard library only.

A secret is found by any window of WINDOW bytes of it at a step of its element's size: of a vector of floats any four
neighbours, of a key any 16 bytes, raw, in hexadecimal and in base64."""
import base64
import hashlib
import os
import re
import struct

WINDOW = 16


class Wanted:
    """Windows to look for, each with a name. Windows that carry nothing (all one byte, say) are left out."""

    def __init__(self):
        self.windows = {}  # the first 8 bytes of a window: list of (window, name)
        self.texts = []

    def add(self, window, name):
        if len(set(window)) > 4:
            self.windows.setdefault(bytes(window[:8]), []).append((bytes(window), name))

    def vector(self, raw, name, step=4):
        """Elements of `step` bytes: every window that begins at one, so it is found wherever a part of it lies."""
        for at in range(0, len(raw) - WINDOW + 1, max(step, WINDOW // 2)):
            self.add(raw[at:at + WINDOW], name)

    def key(self, raw, name):
        for form in (raw, raw.hex().encode(), raw.hex().upper().encode()):
            self.vector(form, name)
        for shift in range(3):
            self.vector(base64.b64encode(raw[shift:])[:-4], name)

    def text(self, text, name=None):
        """Looked for whole, in two encodings."""
        self.texts += [(text.encode(), name or text), (text.encode("utf-16-le"), name or text)]

    def find(self, data):
        """Names of what is in `data`, each with its first place, whatever the alignment."""
        data = bytes(data)
        found = {name: data.find(text) for text, name in self.texts if text in data}
        heads = self.windows
        if heads:
            for at in range(len(data) - WINDOW + 1):
                head = data[at:at + 8]
                if head in heads:
                    for window, name in heads[head]:
                        if data.startswith(window, at):
                            found.setdefault(name, at)
        return found


def files(folder):
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                yield path


def look(wanted, folders=(), captured=()):
    """All finds, as lines; `captured`: pairs of a name and bytes."""
    lines = []
    for folder in folders:
        for path in files(folder):
            with open(path, "rb") as f:
                lines += [f"{name} in {path} at {at}" for name, at in wanted.find(f.read()).items()]
            base = os.path.basename(path).encode()
            lines += [f"{name} in the name of {path}" for name in wanted.find(base)]
    for where, data in captured:
        lines += [f"{name} in {where} at {at}" for name, at in wanted.find(bytes(data)).items()]
    return lines


def private_keys(kit):
    """Raw bytes of a kit's secrets: the identity's 32 bytes and what it gives, the P-256 scalar of tls.key."""
    out = {}
    with open(os.path.join(kit, "identity.key"), "rb") as f:
        secret = f.read()[-32:]
    label = lambda text: hashlib.blake2b(struct.pack("<Q", len(text)) + text + secret, digest_size=32).digest()
    out["identity"], out["identity: sign"], out["identity: box"] = (secret, label(b"msfl.identity.sign.v1"),
                                                                   label(b"msfl.identity.box.v1"))
    with open(os.path.join(kit, "tls.key")) as f:
        der = base64.b64decode("".join(line for line in f.read().splitlines() if "-" not in line))
    scalar = re.search(rb"\x02\x01\x01\x04\x20(.{32})", der, re.DOTALL)
    assert scalar, "tls.key is no P-256 key in PKCS#8"
    out["tls.key"] = scalar.group(1)
    return out
