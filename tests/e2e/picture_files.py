"""PNG files made by hand, for tests."""
import struct
import zlib


def png(array):
    """uint8, H x W or H x W x 3, as the bytes of a file."""
    colour = 2 if array.ndim == 3 else 0
    rows = b"".join(b"\0" + row.tobytes() for row in array)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 8, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def write_png(path, array):
    with open(path, "wb") as f:
        f.write(png(array))
