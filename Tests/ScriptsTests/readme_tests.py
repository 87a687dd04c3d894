"""What README.md tells to type exists, and its snippet for pandas works."""

import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Scripts"))

from reporting.sweep import program  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")


class ReadmeTests(unittest.TestCase):
    def commands(self):
        """Indented command lines without their comments."""
        return [re.split(r"\s+#", line.strip())[0] for line in README.splitlines() if re.match(r" {4}\S", line)]

    def test_scripts_and_files_are_there(self):
        for name in set(re.findall(r"\b(?:Scripts|Experiments|Traces|Sources)/[\w./-]*\w", README)):
            self.assertTrue((ROOT / name).exists(), f"README.md names {name}")

    def test_options_of_commands_exist(self):
        for command in self.commands():
            words = command.split()
            if words[0] == "veclab":
                text = subprocess.run([program(), "help", words[1]], capture_output=True, text=True).stdout
            elif words[0].startswith("Scripts/"):
                text = subprocess.run([str(ROOT / words[0]), "--help"], capture_output=True, text=True).stdout
            else:
                continue
            for option in re.findall(r"--[a-z-]+", command):
                self.assertIn(option, text, f"README.md: {command}")

    def test_the_snippet_for_pandas_compiles_and_names_columns_that_exist(self):
        snippet = re.search(r"```python\n(.*?)```", README, re.S).group(1)
        compile(snippet, "README.md", "exec")
        source = (ROOT / "Sources" / "Figures" / "FigureFiles.swift").read_text(encoding="utf-8")
        for column in ("series", "x", "metric"):
            self.assertIn(f'"{column}"', source)
        try:
            import pandas
        except ImportError:
            self.skipTest("no module pandas: the snippet is not run")
        file = ROOT / "Results" / "quickstart" / "figures" / "quickstart.csv"
        if not file.exists():
            self.skipTest("Results/quickstart is not there: the snippet is not run")
        self.assertTrue(pandas.__version__)
        done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
