"""Words, found in every form in which a program may have written them: UTF-8, UTF-16, hexadecimal, base64 at each of its three
alignments, and any of these inside gzip, zlib, zip archives, base64 and SQLite's tables. Standard library only.

It sees what it is told to look for: a word cut in two by a page of SQLite is found in the table, one cut by the frame of a protocol
is not."""
import base64
import binascii
import os
import re
import sqlite3
import struct
import zlib

DEPTH = 4
UNPACKED_MAX = 64 << 20
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
DIGITS, WIDE_DIGITS = re.compile(rb"[0-9]{6,}"), re.compile(rb"(?:[0-9]\0){6,}")
ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08|PK\x03\x04")


def base64_cores(raw):
    """The characters that stand for `raw` alone, wherever it begins in what was encoded; in both alphabets."""
    for before in range(3):
        first, last = -(-8 * before // 6), 8 * (before + len(raw)) // 6
        core = base64.b64encode(bytes(before) + raw + bytes(3))[first:last]
        yield core
        if core.translate(bytes.maketrans(b"+/", b"-_")) != core:
            yield core.translate(bytes.maketrans(b"+/", b"-_"))


def forms(word):
    """(name of the form, bytes) of one word."""
    raws = [("UTF-8", word.encode()), ("UTF-16", word.encode("utf-16-le"))]
    for name, raw in raws:
        yield name, raw
        yield name + " in hexadecimal", raw.hex().encode()
        for core in base64_cores(raw):
            yield name + " in base64", core
    yield "UTF-16, big-endian", word.encode("utf-16-be")


class Words:
    """What is looked for. `lone`: digits, which count only without a digit beside them, in UTF-8 and UTF-16."""

    def __init__(self, words, lone=()):
        table = {}
        for word in words:
            assert len(word) >= 5, word  # shorter ones are found by chance
            for name, form in forms(word):
                table[form.lower()] = f"{word} ({name})"
        # Letters of either case count as the same, in base64 too: more is found, never less.
        self.table = table
        self.lone = {w.encode() for w in lone}

    def plain(self, data):
        low = data.lower()
        found = {name for form, name in self.table.items() if form in low}
        if self.lone:
            runs = [(m.group(), m.start()) for m in DIGITS.finditer(data)]
            runs += [(m.group()[::2], m.start()) for m in WIDE_DIGITS.finditer(data)]
            found |= {f"{run.decode()} (lone digits)" for run, at in runs if run in self.lone and (at == 0 or data[at - 1] != ord("."))}
        return found

    def find(self, data, depth=DEPTH):
        """All that is found in `data` and in what is packed in it."""
        data = bytes(data)
        found = self.plain(data)
        if depth:
            for kind, inner in unpacked(data):
                found |= {f"{f}, within {kind}" for f in self.find(inner, depth - 1)}
        return found


def inflate(data, at, wbits):
    """As much as comes out of the stream that begins at `at` before an error, or nothing."""
    out, engine, step = bytearray(), zlib.decompressobj(wbits), 1 << 10
    try:
        while at < len(data) and not engine.eof and len(out) < UNPACKED_MAX:
            out += engine.decompress(data[at:at + step], UNPACKED_MAX)
            at, step = at + step, 1 << 16
    except zlib.error:
        pass
    return bytes(out)


def unpacked(data):
    """(kind, bytes) of whatever in `data` can be unpacked, wherever it begins."""
    end = 0
    for m in ZLIB.finditer(data):
        at = m.start()
        if m.group() == b"PK\x03\x04":
            if len(data) < at + 30:
                continue
            method, name, extra = struct.unpack_from("<H16xHH", data, at + 8)
            inner = inflate(data, at + 30 + name + extra, -15) if method == 8 else b""
            kind = "zip"
        else:
            inner = inflate(data, at, 31 if m.group()[0] == 0x1F else 15)
            kind = "gzip" if m.group()[0] == 0x1F else "zlib"
        if len(inner) > 4:  # less holds no word
            yield kind, inner
    for m in BASE64.finditer(data):
        text = m.group().rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        try:
            inner = base64.b64decode(text[:len(text) // 4 * 4 + (0 if len(text) % 4 == 1 else len(text) % 4)] + b"=" * (-len(text) % 4))
        except binascii.Error:
            continue
        # Text would have been found as it is: what is to be unpacked further has a magic number.
        if ZLIB.search(inner):
            yield "base64", inner


def database(path):
    """All values of all tables, with the write-ahead log, as (where, bytes). Made from a copy by who calls."""
    db = sqlite3.connect(path)
    db.text_factory = bytes
    try:
        for (name,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
            name = name.decode()
            for row in db.execute(f'select * from "{name}"'):
                for value in row:
                    if isinstance(value, (bytes, str)):
                        yield name, value if isinstance(value, bytes) else value.encode()
    finally:
        db.close()


def look(words, folders, captured=(), skip=()):
    """Lines that say what was found and where; how many bytes were searched, and in how many files."""
    lines, n_bytes, n_files = [], 0, 0
    for folder in folders:
        for root, _, names in os.walk(folder):
            if any(root == s or root.startswith(s + os.sep) for s in skip):
                continue
            for name in names:
                path = os.path.join(root, name)
                lines += [f"{f} in the name of {path}" for f in words.find(os.path.relpath(path, folder).encode(), 0)]
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                n_bytes, n_files = n_bytes + len(data), n_files + 1
                lines += [f"{f} in {path}" for f in words.find(data)]
                if data.startswith(b"SQLite format 3\0"):
                    lines += [f"{f} in table {table} of {path}" for table, value in database(path) for f in words.find(value)]
    for where, data in captured:
        n_bytes += len(data)
        lines += [f"{f} in {where}" for f in words.find(data)]
    return sorted(set(lines)), n_bytes, n_files
