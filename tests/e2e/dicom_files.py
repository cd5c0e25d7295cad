"""DICOM files made by hand, for tests: nothing here comes from a library that the program is compared with."""
import base64
import struct
import zlib

LITTLE, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, RLE, LOSSLESS = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
LONG = ("OB", "OW", "OF", "OD", "SQ", "UN", "UT")


def pad(value, with_=b"\0"):
    return value + with_ if len(value) % 2 else value


def value_bytes(vr, value, order):
    if isinstance(value, bytes):
        return pad(value)
    if vr in ("US", "SS", "FD", "FL", "UL"):
        code = {"US": "H", "SS": "h", "FD": "d", "FL": "f", "UL": "I"}[vr]
        values = value if isinstance(value, (list, tuple)) else [value]
        return struct.pack(f"{order}{len(values)}{code}", *values)
    if isinstance(value, (list, tuple)):
        value = "\\".join(str(v) for v in value)
    return pad(str(value).encode(), b"\0" if vr == "UI" else b" ")


def element(tag, vr, value, syntax=LITTLE):
    """One element; a list of dictionaries for SQ; a list of fragments for encapsulated pixel data."""
    order = ">" if syntax == BIG else "<"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if vr == "SQ":
        body = b"".join(item(struct.pack(order + "HHI", 0xFFFE, 0xE000, len(x)), x)
                        for x in (dataset(d, syntax) for d in value))
        length = len(body)
    elif vr == "OB" and isinstance(value, list):
        body = b"".join(item(struct.pack(order + "HHI", 0xFFFE, 0xE000, len(x)), x) for x in map(pad, [b""] + value))
        body += struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0)
        length = 0xFFFFFFFF
    else:
        body = value_bytes(vr, value, order)
        length = len(body)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", length) + body
    if vr in LONG:
        return head + vr.encode() + b"\0\0" + struct.pack(order + "I", length) + body
    return head + vr.encode() + struct.pack(order + "H", length) + body


def item(head, body):
    return head + body


def dataset(elements, syntax=LITTLE):
    return b"".join(element(tag, vr, value, syntax) for tag, (vr, value) in sorted(elements.items()))


def file(elements, syntax=LITTLE, meta=True):
    body = dataset(elements, syntax)
    if syntax == DEFLATED:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = packer.compress(body) + packer.flush()
        body = pad(body)
    if not meta:
        return body
    inner = dataset({0x00020001: ("OB", b"\0\1"), 0x00020002: ("UI", "1.2.840.10008.5.1.4.1.1.7"),
                     0x00020003: ("UI", "1.2.3.4"), 0x00020010: ("UI", syntax), 0x00020012: ("UI", "1.2.3")})
    return bytes(128) + b"DICM" + dataset({0x00020000: ("UL", len(inner))}) + inner + body


def packbits(row):
    """PS3.5 G.3.1: runs of two and more, literals between them."""
    out, i = bytearray(), 0
    while i < len(row):
        run = 1
        while i + run < len(row) and run < 128 and row[i + run] == row[i]:
            run += 1
        if run > 1:
            out += bytes([257 - run, row[i]])
            i += run
            continue
        begin = i
        while i < len(row) and i - begin < 128 and (i + 1 == len(row) or row[i + 1] != row[i]):
            i += 1
        out += bytes([i - begin - 1]) + row[begin:i]
    return bytes(out)


def rle(frame):
    """One frame (rows, columns, samples) by segments of bytes, the most significant first."""
    size = frame.itemsize
    raw = frame.astype(frame.dtype.newbyteorder(">")).reshape(frame.shape[0], -1, frame.shape[2], 1).view("u1")
    segments = [pad(b"".join(packbits(row[:, c, b].tobytes()) for row in raw))
                for c in range(frame.shape[2]) for b in range(size)]
    offsets, at = [], 64
    for s in segments:
        offsets.append(at)
        at += len(s)
    return struct.pack("<16I", len(segments), *(offsets + [0] * (15 - len(offsets)))) + b"".join(segments)


def jpeg_lossless(frame, bits):
    """JPEG process 14, selection value 1 (ITU-T T.81 annex H): one grey frame of `bits`; codes of five bits for the 17
    classes of differences."""
    height, width = frame.shape
    out, pool, n = bytearray(), 0, 0
    for y in range(height):
        for x in range(width):
            predicted = int(frame[y, x - 1]) if x else int(frame[y - 1, 0]) if y else 1 << (bits - 1)
            d = (int(frame[y, x]) - predicted + 32768) % 65536 - 32768
            size = abs(d).bit_length() if d != -32768 else 16
            pool, n = pool << 5 | size, n + 5
            if size and size < 16:
                pool, n = pool << size | (d if d > 0 else d + (1 << size) - 1), n + size
            while n >= 8:
                byte = pool >> (n - 8) & 255
                out.append(byte)
                if byte == 255:
                    out.append(0)
                n -= 8
            pool &= (1 << n) - 1
    if n:
        byte = (pool << (8 - n) | (1 << (8 - n)) - 1) & 255
        out.append(byte)
        if byte == 255:
            out.append(0)
    counts = bytes(17 if i == 4 else 0 for i in range(16))
    return (b"\xff\xd8\xff\xc3" + struct.pack(">HBHHBBBB", 11, bits, height, width, 1, 1, 0x11, 0) +
            b"\xff\xc4" + struct.pack(">HB", 19 + 17, 0) + counts + bytes(range(17)) +
            b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0) + bytes(out) + b"\xff\xd9")


def image(array, photometric="MONOCHROME2", stored=None, high=None, planar=0, frames=None, **extra):
    """Elements of an image whose pixel data is still to come: `array` is (frames, rows, columns, samples)."""
    n, rows, columns, samples = array.shape
    allocated = 8 * array.itemsize
    stored = stored or allocated
    e = {0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.7"), 0x00080018: ("UI", "1.2.3.4"), 0x00080060: ("CS", "OT"),
         0x00100010: ("PN", "ZZTEST^NAME"), 0x00100020: ("LO", "ZZTESTPID"), 0x0020000E: ("UI", "1.2.3.5"),
         0x00280002: ("US", samples), 0x00280004: ("CS", photometric), 0x00280010: ("US", rows),
         0x00280011: ("US", columns), 0x00280100: ("US", allocated), 0x00280101: ("US", stored),
         0x00280102: ("US", (stored - 1) if high is None else high),
         0x00280103: ("US", 1 if array.dtype.kind == "i" else 0)}
    if samples > 1:
        e[0x00280006] = ("US", planar)
    if n > 1:
        e[0x00280008] = ("IS", n)
    for key, value in extra.items():
        e[int(key[1:], 16)] = value
    return e


def native(array, syntax=LITTLE, **options):
    """A whole file, uncompressed (or deflated) or RLE."""
    e = image(array, **options)
    if syntax == RLE:
        e[0x7FE00010] = ("OB", [rle(frame) for frame in array])
    else:
        order = ">" if syntax == BIG else "<"
        data = array.transpose(0, 3, 1, 2) if options.get("planar") else array
        data = data.astype(array.dtype.newbyteorder(order)).tobytes()
        e[0x7FE00010] = ("OB" if array.itemsize == 1 and syntax != IMPLICIT else "OW", data)
    return file(e, syntax)


# 10 rows of 12 pixels, 12 bits, by encoders of others (there is none here): (37 y + 91 x + 13 x y) mod 4096.
LS_STREAM = base64.b64decode(
    "/9j/9wALEAAKAAwBAREA//gADQH//wASAEMBFABA/9oACAEBAAAAAKWstZZ1jLWWdY1fVur1MSoyR8pSWUyrMsqyONxJoRKl67Y7SbzqdbqdLoToiRWL"
    "hiMtruN3vB3u5gEjVK1YLEaDcdD0er0YxIlM5Py9ZJVMJtPJ6ZhQsbe9uxCJxaMxyPzSKBgbHhveyOUy+azu1yfXWl1aHQgEwsGQ4FanlpmcmFteSKUS6aSs"
    "AP/Z")

J2K_STREAM = base64.b64decode(
    "/0//UQApAAAAAAAMAAAACgAAAAAAAAAAAAAADAAAAAoAAAAAAAAAAAABCwEB/1IADAAAAAEAAQQEAAH/XAAHQGBoaHD/ZAAlAAFDcmVhdGVkIGJ5IE9w"
    "ZW5KUEVHIHZlcnNpb24gMi41LjD/kAAKAAAAAABbAAH/k9/grBIehT8zTfLtf9tZkp/pp0qJiRL7lBUUwnWHVwg7kOLKdGVA/um3ar0iq5/A/AKgfgEQAfID"
    "LaLZu0bJZa5VX0T8ioWJpHDPSym//9k=")

# 16 by 16 pixels.
GREY_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSExIQEw8Q"
    "EBD/wAALCAAQABABAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKB"
    "kaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWm"
    "p6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/APk/4Jf8u/4V+gHwS/5d/wAK/P8A+CX/AC7/AIV+"
    "gHwS/wCXf8K//9k=")

COLOUR_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSEx"
    "IQEw8QEBD/2wBDAQMDAwQDBAgEBAgQCwkLEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBD/wAARCAAQ"
    "ABADASEAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAAB//EABkQAAEFAAAAAAAAAAAAAAAAAAAFBiMyof/EABUBAQEAAAAAAAAAAAAAAAAAAA"
    "cG/8QAGREAAgMBAAAAAAAAAAAAAAAAAAYFITIH/9oADAMBAAIRAxEAPwAAQ2HWHBDQ2HWHBfcWTVlBzKcxYlITDrDghITDrDgAOLJqwb5lOYs/"
    "/9k=")
