"""Experiments/REFERENCE.md is what the program says."""

import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ReferenceTests(unittest.TestCase):
    def test_the_reference_is_up_to_date(self):
        done = subprocess.run([str(ROOT / "Scripts" / "make-reference"), "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
