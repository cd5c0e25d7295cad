"""NIfTI files made by hand, for tests."""
import struct

import numpy as np

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
RGBA = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
CODES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "complex64": 32, "float64": 64, "rgb": 128, "int8": 256,
         "uint16": 512, "uint32": 768, "int64": 1024, "uint64": 1280, "complex128": 1792, "rgba": 2304}
TYPES = list(CODES)


def name_of(a):
    return "rgb" if a.dtype == RGB else "rgba" if a.dtype == RGBA else a.dtype.name


def random(rng, name, shape):
    if name in ("rgb", "rgba"):
        t = RGB if name == "rgb" else RGBA
        return rng.integers(0, 256, shape + (len(t),)).astype("u1").view(t)[..., 0]
    t = np.dtype(name)
    if t.kind in "ui":
        return rng.integers(-(1 << 20), 1 << 20, shape).astype(t)
    a = rng.normal(size=shape) * 100 + (1j * rng.normal(size=shape) if t.kind == "c" else 0)
    return a.astype(t)


def plain(a):
    """Numbers alone, parts of a sample along the first axis, which in Fortran order varies fastest."""
    if a.dtype.fields:
        return np.stack([a[f] for f in a.dtype.names])
    return np.stack([a.real, a.imag]) if a.dtype.kind == "c" else a


def header(a, version, order, single, slope, inter, pixdim, units, qform, sform, quatern, offset, qfac, srow):
    dims = [a.ndim] + list(a.shape) + [1] * (7 - a.ndim)
    steps = [qfac] + list(pixdim) + [1] * (7 - len(pixdim))
    code, bits = CODES[name_of(a)], 8 * a.itemsize
    if version == 1:
        h = bytearray(348)
        fields = ((0, "i", [348]), (40, "8h", dims), (70, "2h", [code, bits]), (76, "8f", steps), (108, "f", [352 if single else 0]),
                  (112, "2f", [slope, inter]), (252, "2h", [qform, sform]), (256, "6f", list(quatern) + list(offset)),
                  (280, "12f", np.ravel(srow)))
        h[123] = units
        h[344:348] = b"n+1\0" if single else b"ni1\0"
    else:
        h = bytearray(540)
        fields = ((0, "i", [540]), (12, "2h", [code, bits]), (16, "8q", dims), (104, "8d", steps), (168, "q", [544 if single else 0]),
                  (176, "2d", [slope, inter]), (344, "2i", [qform, sform]), (352, "6d", list(quatern) + list(offset)),
                  (400, "12d", np.ravel(srow)), (500, "i", [units]))
        h[4:12] = b"n+2\0\r\n\x1a\n" if single else b"ni2\0\r\n\x1a\n"
    for at, code_, values in fields:
        struct.pack_into(order + code_, h, at, *values)
    return bytes(h)


def samples(a, order):
    return a.astype(a.dtype.newbyteorder(order)).tobytes("F")


def file(a, version=1, order="<", slope=1, inter=0, pixdim=(1, 1, 1), units=2, qform=0, sform=0, quatern=(0, 0, 0),
         offset=(0, 0, 0), qfac=1, srow=np.eye(4)[:3], single=True):
    h = header(a, version, order, single, slope, inter, pixdim, units, qform, sform, quatern, offset, qfac, srow)
    return h + bytes(4) + samples(a, order) if single else h


def pair(a):
    return file(a, single=False), samples(a, "<")
