"""Progress of a long job as a pipe, a terminal, a dumb terminal and tmux see it."""
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata

PROGRAM = os.path.abspath(os.path.join(os.path.dirname(os.environ["MSFL_CLI"]), "..", "tests", "cli_test_terminal"))
if not os.path.exists(PROGRAM):
    print("skipped: cli_test_terminal is not built")
    sys.exit(77)


def environment(**extra):
    keep = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "TSAN", "PATH", "HOME"))}
    return {**keep, "TERM": "xterm", "LANG": "C.UTF-8", **extra}


def in_pipe(*arguments):
    run = subprocess.run([PROGRAM, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), check=True)
    assert run.stdout == b"", "prose belongs on standard error"
    return run.stderr


def in_terminal(arguments, width, height, env, kill_after=None):
    """All bytes that reach the terminal; `kill_after` seconds the program is killed."""
    is_ready, ready = os.pipe()
    child, fd = pty.fork()
    if child == 0:
        os.read(is_ready, 1)  # until the window has its size
        os.execve(PROGRAM, [PROGRAM, *arguments], env)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    os.write(ready, b"x")
    os.close(ready)
    os.close(is_ready)
    data, start = b"", time.monotonic()
    while True:
        if kill_after is not None and time.monotonic() - start > kill_after:
            os.kill(child, signal.SIGKILL)
            kill_after = None
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        data += part
    os.close(fd)
    os.waitpid(child, 0)
    return data


def width_of(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Screen:
    """As much of a terminal as the program may use; anything else it sends is an error."""

    def __init__(self, width):
        self.width, self.lines, self.row, self.column, self.has_cursor = width, [""], 0, 0, True
        self.frames, self.colours = 0, 0

    def feed(self, text):
        for match in re.finditer(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|([^\x1b])", text):
            mark, number, letter, char = match.groups()
            if char is not None:
                self.put(char)
            elif mark == "?" and number == "25":
                self.has_cursor = letter == "h"
                self.frames += letter == "h"
            elif letter == "A":
                self.row -= int(number)
                assert self.row >= 0, "the cursor leaves the screen"
            elif letter == "J" and number == "":
                self.lines[self.row] = self.lines[self.row][:self.column]
                del self.lines[self.row + 1:]
            elif letter == "m":
                self.colours += 1
            else:
                raise AssertionError(f"sent {match.group(0)!r}")
        assert "\x1b" not in re.sub(r"\x1b\[\??[0-9;]*[A-Za-z]", "", text), "an unknown sequence"

    def put(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            assert char >= " " and char != "\x7f" and not "\x80" <= char <= "\x9f", f"sent {char!r}"
            assert self.column == len(self.lines[self.row]), "written over"
            self.lines[self.row] += char
            self.column += 1
            if not self.is_scrolled(self.row):
                assert width_of(self.lines[self.row]) < self.width, f"too wide: {self.lines[self.row]}"

    def is_scrolled(self, row):
        return re.match(r"(data|encrypted)( round \d+/\d+)?: ", self.lines[row]) is not None or self.column < 24


LINES = [
    "data: reading images",
    "data: warning: skipped: bad\ufffd]0;owned\ufffd.png: not a PNG file",
    "encrypted: federated, encrypted",
]
for k in (1, 2):
    LINES += [f"encrypted round {k}/2, {name}: 87 kB sent" for name in ("North Hill", "Zürich\ufffd[31m", "St. Anna")]
    LINES += [f"encrypted round {k}/2: validation loss 0.31, AUC 0.95, sum exact"]

# Without a terminal: one line for each thing that happened.
text = in_pipe("show", "3", "0").decode()
assert text == "\n".join(LINES) + "\n", text
text = in_pipe("quiet", "3", "0").decode()
assert text == LINES[1] + "\n", text

# Where nothing else is said for a while, how far it has come: here after no time at all, so of every step.
text = in_pipe("counts", "3", "0").decode().splitlines()
assert [line for line in text if "%" not in line] == LINES, text
counts = [line for line in text if "%" in line]
assert counts[0] == "data: reading images: 0 of 40, 0 %" and counts[40] == "data: reading images: 40 of 40, 100 %"
# The first of three parties has done one step of fifty, the others none.
assert counts[41] == "encrypted round 1/2: 0 % of the round" and counts[43] == "encrypted round 1/2: 2 % of the round"
# The third party ends its rounds at two thirds.
assert counts[-3] == "encrypted round 2/2: 88 % of the round", counts[-3]
# Parties that train alone: together, of all their rounds.
assert counts[-2] == "alone: 4 % of this part", counts[-2:]
assert "%" not in in_pipe("quiet", "3", "0").decode()

# A dumb terminal is told the same.
text = in_terminal(["show", "3", "0"], 80, 24, environment(TERM="dumb")).decode()
assert text.replace("\r\n", "\n") == "\n".join(LINES) + "\n", text

# A real one: at the end only the finished lines stand, the block is gone, the cursor is back.
staying = [line for line in LINES if "sent" not in line]
for width, height in ((90, 20), (60, 24), (30, 10)):
    screen = Screen(width)
    screen.feed(in_terminal(["show", "3", "2"], width, height, environment()).decode())
    assert screen.lines == staying + [""], screen.lines
    assert screen.has_cursor and screen.frames > 4 and screen.colours > 10

data = in_terminal(["show", "3", "2"], 90, 20, environment(NO_COLOR="1"))
assert not re.search(rb"\x1b\[[0-9;]*m", data) and "━".encode() in data
data = in_terminal(["show", "3", "2"], 90, 20, environment(LANG="C"))
assert all(b < 0x80 for b in data) and b"####" in data
data = in_terminal(["show", "30", "2"], 70, 12, environment())
assert re.search(rb"and \d+ more; \d+ of 30 done", data)

# Killed at any moment: the cursor is never left hidden.
for delay in (0.25, 0.4, 0.55):
    screen = Screen(80)
    screen.feed(in_terminal(["show", "3", "20"], 80, 24, environment(), kill_after=delay).decode(errors="replace"))
    assert screen.has_cursor

# The same in a terminal that nobody here wrote.
if shutil.which("tmux") is None:
    print("tmux is not installed: that part is skipped")
else:
    tmux = ["tmux", "-L", f"msfl-{os.getpid()}", "-f", "/dev/null"]
    command = f"env LANG=C.UTF-8 TERM=screen {PROGRAM} show 3 30; sleep 30"
    subprocess.run(tmux + ["-u", "new-session", "-d", "-x", "80", "-y", "20", command], check=True, env=environment())
    try:
        def capture():
            run = subprocess.run(tmux + ["capture-pane", "-p"], check=True, stdout=subprocess.PIPE, env=environment())
            return [line.rstrip() for line in run.stdout.decode().rstrip("\n").split("\n")]

        def wait_for(condition):
            for _ in range(150):
                lines = capture()
                if condition(lines):
                    return lines
                time.sleep(0.1)
            raise AssertionError("\n".join(lines))

        lines = wait_for(lambda s: sum("loss" in line and "%" in line for line in s) == 3)
        assert lines[:3] == staying[:3] and lines[3].startswith("encrypted · round 1 of 2"), lines
        assert [line.split("  ")[1] for line in lines[4:7]] == ["North Hill", "Zürich\ufffd[31m", "St. Anna"], lines
        lines = wait_for(lambda s: len(s) == len(staying) and "2/2" in s[-1])
        assert lines == staying, lines
    finally:
        subprocess.run(tmux + ["kill-server"], check=False, env=environment())

print("progress looks right everywhere")
