"""The pages for man: one for every command, with nothing of Markdown left, and groff has no complaint."""
import os
import re
import shutil
import subprocess
import unittest

from common import CLI, SOURCE, main, run

FOLDER = os.path.join(os.path.dirname(CLI), "man")


class Man(unittest.TestCase):
    def test_every_command_has_a_page(self):
        commands = re.findall(r"^  ([a-z-]+)  ", run("--help").stdout, re.M)
        self.assertGreater(len(commands), 20)
        self.assertEqual(sorted(os.listdir(FOLDER)), sorted(["medsecurefl.1"] + [f"medsecurefl-{c}.1" for c in commands]))
        for command in commands:
            with open(os.path.join(FOLDER, f"medsecurefl-{command}.1"), encoding="utf-8") as f:
                page = f.read()
            self.assertTrue(page.startswith(f".TH MEDSECUREFL-{command} 1 "), command)
            prose = re.sub(r"(?s)\n\.nf\n.*?\n\.fi\n", "\n", page)
            self.assertNotIn("`", prose, command)
            self.assertNotIn("**", prose, command)
            # Every word of the Markdown is there, but for marks of headings, lists, tables and spans.
            with open(os.path.join(SOURCE, "docs", "man", command + ".md"), encoding="utf-8") as f:
                words = re.findall(r"[A-Za-z]{3,}", f.read())
            there = iter(re.findall(r"[A-Za-z]{3,}", re.sub(r"\\f[BR]", "", page.replace("\\-", "-").replace("\\e", "\\"))))
            title = ["medsecurefl", *re.findall(r"[A-Za-z]{3,}", command)]
            for word in words[len(title):]:
                self.assertTrue(any(word == w for w in there), f"{command}: {word}")

    @unittest.skipIf(shutil.which("groff") is None, "groff is not installed")
    def test_groff_understands_them(self):
        for name in os.listdir(FOLDER):
            result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(FOLDER, name)],
                                    capture_output=True, text=True)
            self.assertEqual((result.returncode, result.stderr), (0, ""), name)


if __name__ == "__main__":
    main()
