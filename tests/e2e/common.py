"""What the command line tests share: running the program, and finding the real images."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

CLI = os.environ["MSFL_CLI"]
SOURCE = os.environ.get("MSFL_SOURCE", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SANITIZED = os.environ.get("MSFL_SANITIZED", "")


def data_folder():
    """The folder of real images, or None."""
    folder = os.environ.get("MSFL_TEST_DATA") or os.path.join(os.path.dirname(SOURCE), "shared", "data")
    return folder if os.path.isdir(folder) else None


def run(*args, timeout=600, **kwargs):
    """Run the program; the result has returncode, stdout, stderr as text."""
    return subprocess.run([CLI, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, **kwargs)


def is_caught(process, number):
    """Whether a process catches that signal yet; true as well if it has ended."""
    with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as file:
        caught = next((line for line in file if line.startswith("SigCgt:")), None)
    return process.poll() is not None or (caught is not None and int(caught.split()[1], 16) >> (number - 1) & 1 == 1)


class CliTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="msfl-e2e-")
        self.addCleanup(self._folder.cleanup)

    def path(self, *names):
        return os.path.join(self._folder.name, *names)

    def ok(self, *args, **kwargs):
        result = run(*args, **kwargs)
        self.assertEqual(result.returncode, 0, f"{args}\n{result.stdout}\n{result.stderr}")
        return result

    def ok_json(self, *args, **kwargs):
        return json.loads(self.ok(*args, "--json", **kwargs).stdout)

    def fails(self, code, text, *args, **kwargs):
        """The program refuses with this exit status, and its message contains `text`."""
        result = run(*args, **kwargs)
        self.assertEqual(result.returncode, code, f"{args}\n{result.stdout}\n{result.stderr}")
        self.assertIn(text, result.stderr)
        return result


def main():
    program = unittest.main(exit=False)
    result = program.result
    if result.testsRun == len(result.skipped) and result.wasSuccessful():
        print("skipped:", "; ".join(reason for _, reason in result.skipped))
        sys.exit(77)
    sys.exit(0 if result.wasSuccessful() else 1)
