#!/usr/bin/env python3
"""What an import costs: many made DICOM files, a third each uncompressed, RLE and deflated, imported once, again, and into another
folder from the cache. Figures, never a test of time.

    import.py [--files 1000,10000] [--layout flat|deep|long] [--side 64] [--seal] [--others] [--threads 0] [--keep DIR] [--json]

Seconds of wall and processor time and peak memory of the largest process, for each number of files; `second_share` is the second
import's wall time as a share of the first's, `second_share_processor` the same of processor time. Between one number of files and the
next larger one, `bytes_per_further_file` is what the peak grows by. `load` is that of the machine before anything ran: on a quiet one
it is near 0.

`flat`: all files in one folder. `deep`: 25 files in each of many folders, three folders down in two classes, with a table of patients.
`long`: names of 255 bytes. `--others` also measures data check and data inspect of the files and of the set, and one step of simulate
on both; of these, what grows by less than the pixels in memory (side x side bytes a picture) is no growth.
MSFL_CLI names the program."""
import argparse
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CLI = os.environ.get("MSFL_CLI", os.path.join(os.path.dirname(HERE), "build", "release", "cli", "medsecurefl"))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "e2e"))
import dicom_files as df  # noqa: E402

RECIPE = "recipe: 1\ninput: picture\nsteps:\n  - resize: {size: [64, 64]}\n"


def rle(pixels, side):
    """One frame of 8 bits: a segment of packed rows."""
    segment = df.pad(b"".join(df.packbits(pixels[y * side:(y + 1) * side]) for y in range(side)))
    return struct.pack("<16I", 1, 64, *([0] * 14)) + segment


def film(rng, i, side):
    """Blocks of random grey under a little noise, so that no two are near copies; three files of a patient."""
    block = max(1, side // 8)
    grey = [[rng.randrange(20, 236) for _ in range(side // block + 1)] for _ in range(side // block + 1)]
    noise = rng.randbytes(side * side)
    pixels = bytes(grey[y // block][x // block] + (noise[y * side + x] >> 4) for y in range(side) for x in range(side))
    syntax = (df.LITTLE, df.RLE, df.DEFLATED)[i % 3]
    e = {0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.1"), 0x00080018: ("UI", f"1.2.3.4.{i}"), 0x00080060: ("CS", "CR"),
         0x00100010: ("PN", f"INVENTED^{i // 3}"), 0x00100020: ("LO", f"I{i // 3:06d}"), 0x00280002: ("US", 1),
         0x00280004: ("CS", "MONOCHROME2"), 0x00280010: ("US", side), 0x00280011: ("US", side), 0x00280100: ("US", 8),
         0x00280101: ("US", 8), 0x00280102: ("US", 7), 0x00280103: ("US", 0),
         0x7FE00010: ("OB", [rle(pixels, side)] if syntax == df.RLE else pixels)}
    return df.file(e, syntax)


def name_of(layout, i):
    if layout == "deep":
        return f"{'ab'[i // 3 % 2]}/site-{i // 5000:03d}/archive of the year 2019/study-{i // 50:06d}/{i:06d}.dcm"
    return f"{i:06d}{'-' + 'x' * 244 if layout == 'long' else ''}.dcm"


def make(folder, n, side, layout):
    rng = random.Random(1)
    os.makedirs(folder)
    with open(os.path.join(folder, "labels.csv"), "w") as table:
        table.write("file,class,patient_id\n" if layout == "deep" else "file,class\n")
        for i in range(n):
            name = name_of(layout, i)
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(film(rng, i, side))
            # A file that was just written might still change, and is read again: these are old.
            os.utime(path, (1e9, 1e9))
            table.write(f"{name},{'ab'[i // 3 % 2]}" + (f",I{i // 3:06d}\n" if layout == "deep" else "\n"))


def measured(words):
    """What a command printed, its seconds and its peak. Status 1 is that of a check that found problems."""
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as told:
        begin = time.monotonic()
        p = subprocess.Popen([CLI, *words], stdin=subprocess.DEVNULL, stdout=answer, stderr=told)
        _, status, usage = os.wait4(p.pid, 0)
        wall = time.monotonic() - begin
        p.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        text = answer.read()
        if p.returncode > 1:
            told.seek(0)
            sys.exit(f"{' '.join(words)}: exit status {p.returncode}\n{told.read()}")
    return text, {"wall_s": round(wall, 3), "processor_s": round(usage.ru_utime + usage.ru_stime, 3),
                                "peak_bytes": usage.ru_maxrss * 1024}


def run(o, data, out, cache):
    folder = os.path.dirname(out)
    text, row = measured(["data", "import", data, "--recipe", os.path.join(folder, "r.yaml"), "--out", out, "--key",
                                  os.path.join(folder, "key"), "--cache", cache, "--threads", str(o.threads), "--quiet", "--json",
                                  *(["--seal"] if o.seal else [])])
    m = json.loads(text)
    return {**row, "images": m["images"], "from_cache": m["from_cache"], "unchanged": m["unchanged"]}


def others(root, data, out):
    """What else reads all files, or the set that came of them."""
    steps = ["--clients", "3", "--rounds", "1", "--local-steps", "1", "--model", "cnn-small", "--compare", "none", "--bootstrap", "0",
             "--quiet"]
    commands = {"check files": ["data", "check", data, "--json"], "check set": ["data", "check", out, "--json"],
                "inspect files": ["data", "inspect", data, "--quiet", "--json"], "inspect set": ["data", "inspect", out, "--json"],
                "simulate set": ["simulate", "--data", out, "--out", os.path.join(root, "run"), *steps],
                "simulate files": ["simulate", "--data", data, "--recipe", os.path.join(root, "r.yaml"), "--out",
                                   os.path.join(root, "run2"), *steps]}
    rows = {}
    for name, words in commands.items():
        _, rows[name] = measured(words)
    return rows


def bench(o, root, n):
    data, out, cache = (os.path.join(root, name) for name in ("in", "set", "cache"))
    begin = time.monotonic()
    make(data, n, o.side, o.layout)
    subprocess.run([CLI, "data", "key", os.path.join(root, "key")], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(root, "r.yaml"), "w") as f:
        f.write(RECIPE)
    row = {"files": n, "made_s": round(time.monotonic() - begin, 1)}
    row["first"] = run(o, data, out, cache)
    row["second"] = run(o, data, out, cache)
    row["elsewhere"] = run(o, data, out + "2", cache)
    # The same command must have given the same thing, or the figures are of nothing.
    assert row["first"]["images"] == n and row["first"]["from_cache"] == 0 and row["second"]["unchanged"]
    assert row["elsewhere"]["from_cache"] == n
    row["second_share"] = round(row["second"]["wall_s"] / row["first"]["wall_s"], 4)
    row["second_share_processor"] = round(row["second"]["processor_s"] / row["first"]["processor_s"], 4)
    if o.others and not o.seal:
        row["others"] = others(root, data, out)
    return row


def grown(less, more, name):
    """Bytes of peak for each further file."""
    a, b = (r[name] if name in r else r["others"][name] for r in (less, more))
    return round((b["peak_bytes"] - a["peak_bytes"]) / max(1, more["files"] - less["files"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="1000,10000")
    parser.add_argument("--layout", choices=("flat", "deep", "long"), default="flat")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seal", action="store_true")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    load = os.getloadavg()[0]
    root = o.keep or tempfile.mkdtemp(prefix="msfl-import-")
    try:
        rows = []
        for n in sorted(int(n) for n in o.files.split(",")):
            folder = os.path.join(root, str(n))
            os.makedirs(folder)
            rows.append(bench(o, folder, n))
    finally:
        if not o.keep:
            shutil.rmtree(root, ignore_errors=True)
    names = ["first", "second", "elsewhere", *rows[0].get("others", {})]
    growth = [{"from": a["files"], "to": b["files"], "bytes_per_further_file": {name: grown(a, b, name) for name in names}}
              for a, b in zip(rows, rows[1:])]
    result = {"side": o.side, "layout": o.layout, "sealed": o.seal, "threads": o.threads, "cores": os.cpu_count(),
              "load": round(load, 1), "runs": rows, "growth": growth}
    if o.json:
        print(json.dumps(result, indent=1))
        return
    for row in rows:
        print(f"{row['files']} files of {o.side} x {o.side}, {o.layout}")
        for name in names:
            r = row[name] if name in row else row["others"][name]
            print(f"  {name:14} {r['wall_s']:8.2f} s wall {r['processor_s']:8.2f} s processor {r['peak_bytes'] / 2**20:7.1f} MiB")
        print(f"  second import: {100 * row['second_share']:.2f} % of the first's wall time, "
              f"{100 * row['second_share_processor']:.2f} % of its processor time")
    for g in growth:
        print(f"from {g['from']} to {g['to']} files, bytes of peak memory for each further one: "
              + ", ".join(f"{name} {n}" for name, n in g["bytes_per_further_file"].items()))
    print(f"load of the machine before: {load:.1f}")


if __name__ == "__main__":
    main()
