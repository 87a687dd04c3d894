"""The faults of Tests/Mutations are still faults of this program: each can be put in."""

import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class MutationDataTests(unittest.TestCase):
    def test_every_fault_can_be_put_in(self):
        done = subprocess.run(
            [sys.executable, "-B", str(ROOT / "Scripts" / "mutate"), "--check"],
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^\d\d+ faults can be put in")


if __name__ == "__main__":
    unittest.main()
