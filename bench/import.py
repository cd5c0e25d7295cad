#!/usr/bin/env python3
"""What an import costs: many made DICOM files, a third each uncompressed, RLE and deflated, imported once, again, and into another
folder from the cache. Figures, never a test of time.

    import.py [--files 10000] [--few 1000] [--side 64] [--seal] [--threads 0] [--keep DIR] [--json]

Seconds of wall and processor time, peak memory of the largest process, with `few` files and with all; `second_share` is the second
import's wall time as a share of the first's, `second_share_processor` the same of processor time. `load` is that of the machine before anything ran: on a quiet one it is near 0.
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


def make(folder, n, side):
    rng = random.Random(1)
    os.makedirs(folder)
    with open(os.path.join(folder, "labels.csv"), "w") as table:
        table.write("file,class\n")
        for i in range(n):
            name = f"{i:06d}.dcm"
            with open(os.path.join(folder, name), "wb") as f:
                f.write(film(rng, i, side))
            # A file that was just written might still change, and is read again: these are old.
            os.utime(os.path.join(folder, name), (1e9, 1e9))
            table.write(f"{name},{'ab'[i // 3 % 2]}\n")


def run(o, data, out, cache):
    words = [CLI, "data", "import", data, "--recipe", os.path.join(os.path.dirname(out), "r.yaml"), "--out", out, "--key",
             os.path.join(os.path.dirname(out), "key"), "--cache", cache, "--threads", str(o.threads), "--quiet", "--json",
             *(["--seal"] if o.seal else [])]
    with tempfile.TemporaryFile("w+") as answer:
        begin = time.monotonic()
        p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=answer)
        _, status, usage = os.wait4(p.pid, 0)
        wall = time.monotonic() - begin
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode != 0:
            sys.exit(f"{' '.join(words)}: exit status {p.returncode}")
        answer.seek(0)
        m = json.load(answer)
    return {"wall_s": round(wall, 3), "processor_s": round(usage.ru_utime + usage.ru_stime, 3), "peak_bytes": usage.ru_maxrss * 1024,
            "images": m["images"], "from_cache": m["from_cache"], "unchanged": m["unchanged"]}


def bench(o, root, n):
    data, out, cache = (os.path.join(root, name) for name in ("in", "set", "cache"))
    begin = time.monotonic()
    make(data, n, o.side)
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
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--few", type=int, default=1000)
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
        for n in (o.few, o.files):
            folder = os.path.join(root, str(n))
            os.makedirs(folder)
            rows.append(bench(o, folder, n))
    finally:
        if not o.keep:
            shutil.rmtree(root, ignore_errors=True)
    grown = rows[1]["first"]["peak_bytes"] - rows[0]["first"]["peak_bytes"]
    result = {"side": o.side, "sealed": o.seal, "threads": o.threads, "cores": os.cpu_count(), "load": round(load, 1), "runs": rows,
              "bytes_per_further_file": round(grown / max(1, rows[1]["files"] - rows[0]["files"]))}
    if o.json:
        print(json.dumps(result, indent=1))
        return
    for row in rows:
        print(f"{row['files']} files of {o.side} x {o.side}")
        for name in ("first", "second", "elsewhere"):
            r = row[name]
            print(f"  {name:10} {r['wall_s']:8.2f} s wall {r['processor_s']:8.2f} s processor {r['peak_bytes'] / 2**20:7.1f} MiB")
        print(f"  second import: {100 * row['second_share']:.2f} % of the first's wall time, "
              f"{100 * row['second_share_processor']:.2f} % of its processor time")
    print(f"memory for each further file: {result['bytes_per_further_file']} bytes; load of the machine before: {load:.1f}")


if __name__ == "__main__":
    main()
