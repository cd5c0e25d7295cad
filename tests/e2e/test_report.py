"""Sample pages read with Python's HTML parser: whole, self-contained, accessible, pictures as they were."""
import base64
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from html.parser import HTMLParser

PROGRAM = os.path.join(os.path.dirname(os.environ["MSFL_CLI"]), "..", "tests", "report_test_report")
if not os.path.exists(PROGRAM):
    print("skipped: report_test_report is not built")
    sys.exit(77)

VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.refs, self.headings = [], [], [], []
        self.tags, self.images, self.links, self.hrefs, self.styles = [], [], [], [], []
        self.tables, self.charts, self.landmarks = [], [], []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        assert not any(name.startswith("on") for name in attrs), f"<{tag}> has a handler"
        if "id" in attrs:
            self.ids.append(attrs["id"])
        for name in ("aria-labelledby", "aria-describedby"):
            self.refs += attrs.get(name, "").split()
        for name in ("href", "src"):
            if name in attrs:
                self.hrefs.append(attrs[name])
        if tag in ("header", "nav", "main", "footer"):
            self.landmarks.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "table":
            self.tables.append({"caption": False, "heads": 0, "scopeless": 0})
        if tag == "caption":
            self.tables[-1]["caption"] = True
        if tag == "th":
            self.tables[-1]["heads"] += 1
            self.tables[-1]["scopeless"] += "scope" not in attrs
        if tag == "svg":
            self.charts.append(attrs)
        if tag == "img":
            self.images.append(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


def decode_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, idat, header = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        if kind == b"IDAT":
            idat += body
        at += 12 + length
    width, height, depth, colour, *_ = header
    assert depth == 8 and colour in (0, 2)
    channels = 3 if colour == 2 else 1
    raw, stride = zlib.decompress(idat), width * channels
    rows, above = [], bytes(stride)
    for y in range(height):
        line = raw[y * (stride + 1):(y + 1) * (stride + 1)]
        assert line[0] == 4
        row = bytearray()
        for i, v in enumerate(line[1:]):
            a = row[i - channels] if i >= channels else 0
            b = above[i]
            c = above[i - channels] if i >= channels else 0
            p = a + b - c
            best = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row.append((v + best) & 255)
        rows.append(bytes(row))
        above = bytes(row)
    return width, height, channels, rows


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def variables(rule):
    pairs = re.findall(r"--([a-z0-9]+):\s*(#[0-9a-f]{3,6})", rule)
    return {name: value if len(value) == 7 else "#" + "".join(2 * c for c in value[1:]) for name, value in pairs}


def check(name, text):
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open, f"{name}: left open: {page.open}"
    assert len(page.ids) == len(set(page.ids)), f"{name}: an id stands twice"
    assert set(page.refs) <= set(page.ids), f"{name}: labelled by what is not there"
    for href in page.hrefs:
        assert href.startswith("data:image/png;base64,") or (href[0] == "#" and href[1:] in page.ids), href[:80]
    assert "script" not in {tag for tag, _ in page.tags}
    assert "url(" not in re.sub(r"url\(#frame\d+\)", "", text), f"{name}: fetches something"
    for tag in ("header", "nav", "main", "footer"):
        assert page.landmarks.count(tag) == 1
    assert page.headings.count(1) == 1
    for before, after in zip(page.headings, page.headings[1:]):
        assert after <= before + 1, f"{name}: heading of level {after} after {before}"
    for table in page.tables:
        assert table["caption"] and table["heads"] > 0 and table["scopeless"] == 0
    for chart in page.charts:
        assert chart.get("aria-hidden") == "true" or (chart["role"] == "img" and chart["aria-labelledby"] in page.ids)
    for image in page.images:
        assert image["alt"]
    assert "nan" not in re.sub(r"[^<>]*>", ">", text.split("</style>")[1]).split() and ">nan<" not in text
    assert not re.search(r'="[^"]*\b(nan|inf)\b', re.sub(r'src="[^"]*"|alt="[^"]*"', "", text)), f"{name}: NaN drawn"
    return page


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([PROGRAM, folder], check=True)
    names = sorted(n for n in os.listdir(folder) if n.endswith(".html"))
    assert names == ["bad.html", "empty.html", "full.html", "many.html", "plain.html"]
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = file.read()
        page = check(name, text)
        if name == "full.html":
            assert len(page.images) == 12 and len([c for c in page.charts if c.get("role") == "img"]) == 3
            light, dark = re.findall(r":root\{(.*?)\}", text, re.S)[:2]
            for rule in (light, dark):
                colours = variables(rule)
                for ink in ("ink", "soft", "encrypted", "plain", "central", "alone", "good", "bad"):
                    for ground in ("paper", "tint"):
                        ratio = contrast(colours[ink], colours[ground])
                        assert ratio >= 4.5, f"{ink} on {ground}: {ratio:.2f}"
        if name in ("full.html", "many.html"):
            channels = 3 if name == "many.html" else 1
            for k, image in enumerate(page.images):
                width, height, depth, rows = decode_png(base64.b64decode(image["src"].split(",")[1], validate=True))
                assert (width, height, depth) == (64, 64, channels)
                assert (int(image["width"]), int(image["height"])) == (64, 64)
                # The drawing in sample.h, at a corner and beside the middle: sky, and the dark of a lung.
                assert 180 < rows[0][0] < 190 and rows[28][19 * channels] < 60, (k, rows[0][0], rows[28][19 * channels])
    print(f"{len(names)} pages are whole")
