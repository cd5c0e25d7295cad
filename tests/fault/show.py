#!/usr/bin/env python3
"""Five hospitals and a coordinator as real processes on this machine train a model; one hospital and the coordinator are killed on
the way and come back. What `./run federation` starts.

    show.py [DATA] [--masks DIR|COLUMN --recipe FILE] [--model NAME] [--hospitals N] [--rounds R] [--size PIXELS] [--out DIR] [--keep] [--no-kill] [--seed S]

DATA is a folder of images or an .npz file, as docs/guide/data.md has it; without it, phantom images are drawn. With --masks the
hospitals learn to segment (unet2d, or unet3d where the recipe takes no slices): DATA and masks are imported by the recipe, and the job names it."""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

from federation import CLI, ENDED, Federation, Trouble

TTY = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
BOLD, DIM, RED, GREEN, PLAIN = ("\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[0m") if TTY else ("",) * 5
SIGNS = {"idle": ".", "absent": "-", "waiting": ".", "downloading": "v", "training": "t", "encrypting": "e", "uploading": "^",
         "uploaded": "u", "certified": "*", "evaluating": "t", "dropped": "-", "refused": "!", "failed": "!"}


class Screen:
    """Events stay; one line below them moves, on a terminal. Elsewhere it is said where nothing else was for half a minute."""

    def __init__(self):
        self.begin, self.moving = time.monotonic(), ""
        self.said = self.begin

    def say(self, text, color=""):
        self.clear()
        self.said = time.monotonic()
        print(f"{DIM}{time.monotonic() - self.begin:6.1f} s{PLAIN}  {color}{text}{PLAIN if color else ''}", flush=True)

    def move(self, text):
        if TTY and text != self.moving:
            print("\r\033[K" + text[:110], end="", flush=True)
        elif not TTY and time.monotonic() - self.said > 30:
            self.say(text.strip())
        self.moving = text

    def clear(self):
        if TTY and self.moving:
            print("\r\033[K", end="")
        self.moving = ""


def ask(*args):
    # On a terminal its progress is seen.
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    r = subprocess.run([CLI, *args, "--json", *quiet], stdout=subprocess.PIPE, stderr=None if sys.stderr.isatty() else subprocess.PIPE,
                       text=True, timeout=3600)
    if r.returncode != 0:
        sys.exit(r.stderr or 1)
    return json.loads(r.stdout)


def prepare(o):
    """Where the data are, what `data inspect` says of them, and fields of the job that follow."""
    data = o.data if o.data == "phantom" else os.path.abspath(o.data)
    recipe = {}
    if o.recipe:
        masks = ["--masks", os.path.abspath(o.masks) if os.path.isdir(o.masks) else o.masks] if o.masks else []
        made = ask("data", "import", data, "--recipe", o.recipe, *masks, "--out", os.path.join(o.out, "set"))
        data, recipe = os.path.abspath(os.path.join(o.out, "set")), {"recipe": made["recipe_hash"]}
    elif o.masks:
        sys.exit("--masks go with --recipe")
    d = ask("data", "inspect", "--data", data)
    depth = d.get("depth", 1)
    model = o.model or (("unet2d" if depth == 1 else "unet3d") if o.masks else "cnn-small")
    size = {"height": d["height"], "width": d["width"]} if o.recipe else {"height": o.size, "width": o.size}
    if depth > 1:
        size["depth"] = depth
    fields = {**recipe, "name": "chest", "model": model, "input": {**size, "channels": d["channels"]},
              "classes": [c["name"] for c in d["classes"]], "batch": 16, "local_epochs": 3, "learning_rate": 0.002}
    segments = model in ("unet2d", "unet3d")
    if segments and not d["mask_classes"]:
        sys.exit(f"{o.data} has no masks, which {model} learns from: name them with --masks and --recipe, or take an .npz file that has some")
    if segments:
        fields.update(name="structures", batch=8 if depth == 1 else 1, local_epochs=2, learning_rate=0.005, test_fraction=0.2, validation_fraction=0.2,
                      classes=["none", *(f"structure {c}" for c in range(1, d["mask_classes"]))])
    return data, d, fields


def number(v, digits=3):
    return "-" if v is None else f"{v:.{digits}f}"


def progress(job):
    hospitals = " ".join(f"{h['name'][-1]}{SIGNS.get(h['state'], '?')}" for h in job["hospitals"])
    done = len(job["history"])
    bar = "#" * done + "." * (job["rounds"] - done)
    return f"          [{bar}] round {job['round']} of {job['rounds']}  {hospitals}  {job['phase_text']}"


def judged(job):
    """By what, and the name of that figure of a round."""
    return ("Dice", "validation_dice") if job["judged_by"] == "dice" else ("AUC", "validation_auc")


def follow(fed, screen, job_id, kill):
    """Until the job has ended: say what happens, and make something happen."""
    victim, seen, lines = fed.names[2], 0, 0
    killed = revived = fallen = not kill
    needed = len(fed.names) <= 3  # for the smallest cohort: it must come back before a sum can be opened
    said = set()
    while True:
        status = fed.status()
        job = next((j for j in status["jobs"] if j["id"] == job_id), None) if status else None
        if job is None:
            screen.move("          the coordinator does not answer")
            time.sleep(0.1)
            continue
        for h in job["history"][seen:]:
            screen.say(f"round {h['round']}: sum of {h['cohort']} hospitals opened; validation loss {number(h['validation_loss'])}, "
                       f"{judged(job)[0]} {number(h[judged(job)[1]])}")
        seen = max(seen, len(job["history"]))
        for a in job["attempts"]:
            if a["number"] not in said:
                said.add(a["number"])
                screen.say(f"round {a['round']}, try {a['number']} was given up: {a['why']}", RED)
        if job["state"] in ENDED:
            screen.clear()
            return job
        screen.move(progress(job))
        state = next((h["state"] for h in job["hospitals"] if h["name"] == victim), "absent")
        if not killed and seen >= 1 and state != "absent": # whatever it does: small rounds pass between two looks
            fed.processes[victim].kill()
            killed = True
            screen.say(f"kill -9 {victim}, which was {state}", RED)
            if needed:
                time.sleep(1)
                fed.start(victim)
                screen.say(f"{victim} is back", GREEN)
        elif killed and not fallen and seen >= 2:
            fed.processes["coordinator"].kill()
            screen.say("kill -9 coordinator, in the middle of round %d" % job["round"], RED)
            time.sleep(1)
            fed.start("coordinator")
            fallen = True
            screen.say("the coordinator is back", GREEN)
        elif fallen and not revived:
            if not needed:
                fed.start(victim)
                screen.say(f"{victim} is back", GREEN)
            revived = True
        time.sleep(0.05)


def table(rows, heads):
    rows = [heads] + [[str(c) for c in r] for r in rows]
    widths = [max(len(r[i]) for r in rows) for i in range(len(heads))]
    for n, r in enumerate(rows):
        line = "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths)))
        print(f"  {BOLD if n == 0 else ''}{line}{PLAIN if n == 0 else ''}")


def megabytes(n):
    return "-" if n is None else f"{n / 1e6:.2f}"


def report(fed, job):
    print(f"\n{BOLD}What happened{PLAIN}")
    rows = []
    for h in job["history"]:
        ms = [h[k] for k in ("ms_collect", "ms_certify", "ms_release", "ms_open")]
        rows.append([h["round"], h["cohort"], number(h["train_loss"]), number(h["validation_loss"]), number(h[judged(job)[1]]),
                     megabytes(h["bytes_in"]), megabytes(h["bytes_out"]), *("-" if m is None else f"{m:.0f}" for m in ms)])
    table(rows, ["round", "cohort", "train loss", "val. loss", judged(job)[0], "MB in", "MB out", "ms collect", "certify", "release", "open"])
    for a in job["attempts"]:
        print(f"  given up: round {a['round']} ({a['kind']}, number {a['number']}): {a['why']}")
    if job["test"]:
        t = job["test"]
        of = ", ".join(f"{s['name']} {number(s['dice'])}" for s in t.get("structures", []))
        print(f"  test, once, of the best model (round {job['best_round']}): {judged(job)[0]} {number(t[judged(job)[0].lower()])}"
              f"{f' ({of})' if of else ''}{'' if of else ', accuracy ' + number(t['accuracy'])} on {t['n']} images")
    for name, p in fed.processes.items():
        if p.lives > 1:
            print(f"  {name}: started {p.lives} times")


def verify(fed, job_id):
    print(f"\n{BOLD}The record{PLAIN}")
    for party in ["coordinator", *fed.names]:
        # who was away need not have heard of every round; the coordinator has no excuse
        away = ["--allow-gaps"] if party != "coordinator" else []
        r = fed.run("audit", "verify", os.path.join(fed.state(party), "audit", job_id), "--kit", fed.kit(party), *away, code=None)
        last = (r.stdout.strip() or r.stderr.strip()).splitlines()
        print(f"  {party:12} {GREEN + 'verified' if r.returncode == 0 else RED + 'NOT verified'}{PLAIN}  {last[0] if last else ''}")
        if r.returncode != 0:
            raise Trouble(r.stdout + r.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="phantom")
    parser.add_argument("--masks", help="a folder with masks named as the images, or a column that names them")
    parser.add_argument("--recipe", help="by which the images are imported: examples/recipes")
    parser.add_argument("--model", help="cnn-small, or where there are masks unet2d, of whole volumes unet3d")
    parser.add_argument("--hospitals", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--images", type=int, default=2000, help="of a phantom")
    parser.add_argument("--out", default=time.strftime("out/federation-%Y%m%d-%H%M%S"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="serve the dashboard until Ctrl-C")
    parser.add_argument("--no-kill", action="store_true")
    o = parser.parse_args()
    os.makedirs(o.out)
    data, facts, fields = prepare(o)
    out, screen = os.path.abspath(o.out), Screen()
    def site(i, n):
        more = f"  phantom_images: {o.images}\n" if data == "phantom" else ""
        return f"data:\n  path: {data}\n{more}  share: {{of: {n}, index: {i}, seed: {o.seed}, partition: iid}}\nthreads: 1\n"
    images = o.images if data == "phantom" else facts["images"]
    screen.say(f"{o.hospitals} hospitals share {images} images ({', '.join(fields['classes'])}); keys and certificates are made")
    with Federation(out, n=o.hospitals, seed=o.seed, sites=site, proxied=False, patience=120) as fed:
        fed.start()
        url = f"http://127.0.0.1:{fed.local}/"
        screen.say(f"{len(fed.processes)} processes run; the dashboard is on {BOLD}{url}{PLAIN}")
        job_id = fed.submit(rounds=o.rounds, target_cohort=max(3, o.hospitals - 1), deadline_s=600 if data == "phantom" else 3600, samples_max=max(64, images),
                            seed=o.seed, test=True, **fields)
        screen.say(f"job {job_id}: {o.rounds} rounds; every update leaves its hospital encrypted")
        job = follow(fed, screen, job_id, not o.no_kill)
        screen.say(f"{job['state']}{': ' + job['why'] if job['why'] else ''}", GREEN if job["state"] == "done" else RED)
        report(fed, job)
        if job["state"] == "done":
            verify(fed, job_id)
            fed.run("job", "fetch", job_id, "--kit", fed.kit("ops"), "--out", os.path.join(out, "result"))
            print(f"\n{BOLD}The model{PLAIN}\n  {os.path.relpath(os.path.join(out, 'result', 'agg_model.h5'))} (best round), "
                  f"agg_model_last.h5, result.json beside it; logs in {os.path.relpath(fed.logs)}")
        if o.keep:
            print(f"\nThe dashboard stays on {BOLD}{url}{PLAIN} until Ctrl-C.")
            try:
                signal.pause()
            except KeyboardInterrupt:
                print()
        codes = fed.stop()
        bad = {n: c for n, c in codes.items() if c != 0}
        if bad:
            raise Trouble(f"processes ended with {bad}\n{fed.logs_text()}")
    return 0 if job["state"] == "done" else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as e:
        print(f"{RED}{e}{PLAIN}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
