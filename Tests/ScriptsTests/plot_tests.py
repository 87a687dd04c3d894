"""Tests of Scripts/plot: which files it writes, that they are reproducible, and its errors."""

import pathlib
import subprocess
import tempfile
import unittest

PLOT = pathlib.Path(__file__).resolve().parents[2] / "Scripts" / "plot"
HEADER = "figure,series,x,metric,n_seeds,mean,ci95_low,ci95_high,iqm,pooled_over"
GOOD = "fig8a,greedy,3,mean_delay_s,5,2.5,2.25,2.75,2.5,vehicle"


class PlotTests(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def write(self, *rows, header=HEADER, name="fig8a.csv"):
        file = self.folder / name
        file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return file

    def plot(self, *arguments):
        command = [str(PLOT), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd="/")

    def assert_error(self, file, *parts):
        done = self.plot(file)
        self.assertEqual(done.returncode, 1, done.stderr)
        for part in (str(file), *parts):
            self.assertIn(part, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(sorted(self.folder.glob("*.p??")), [])
        self.assertEqual(sorted(self.folder.glob(".plot-*")), [])

    def test_one_picture_for_each_figure_and_metric_with_the_same_bytes(self):
        rows = [
            f"fig8a,{series},{x},{metric},5,{mean + x},{mean + x - 0.2},{mean + x + 0.3},{mean},"
            for metric in ("mean_delay_s", "return")
            for mean, series in enumerate(("greedy", "exact", "P-QMIX"), 1)
            for x in (3, 4, 5)
        ]
        file = self.write(*rows)
        self.write("a,b", header="figure,other", name="fig8a-paired.csv")
        for out in ("once", "twice"):
            done = self.plot("--out", self.folder / out, self.folder if out == "once" else file)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        names = sorted(f.name for f in (self.folder / "once").iterdir())
        self.assertEqual(
            names,
            [f"fig8a-{m}.{kind}" for m in ("mean_delay_s", "return") for kind in ("pdf", "png")],
        )
        for name in names:
            once, twice = ((self.folder / out / name).read_bytes() for out in ("once", "twice"))
            self.assertEqual(once, twice, name)
            self.assertTrue(once.startswith(b"\x89PNG" if name.endswith("png") else b"%PDF"), name)

    def test_partial_data_change_the_picture(self):
        pictures = set()
        for complete in ("true", "false"):
            self.write(f"{GOOD},{complete}", header=f"{HEADER},complete")
            self.assertEqual(self.plot(self.folder).returncode, 0)
            pictures.add((self.folder / "fig8a-mean_delay_s.png").read_bytes())
        self.assertEqual(len(pictures), 2)

    def test_text_in_x_missing_intervals_and_empty_means_are_drawn(self):
        self.write(
            "fig,a,AlexNet,mean_delay_s,1,2,,,2,",
            "fig,b,AlexNet,mean_delay_s,1,,,,,",
            "fig,a,VGG16,mean_delay_s,1,300,,,3,",
            "fig,b,VGG16,mean_delay_s,1,4,1,5,3,",
        )
        done = self.plot(self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_errors_name_file_line_and_column(self):
        bad = GOOD.replace("2.5,2.25", "two,2.25")
        self.assert_error(self.write(GOOD, bad), ":3: column 'mean': 'two' is not a number")
        bad = GOOD.replace("2.25", "inf")
        self.assert_error(self.write(bad), ":2: column 'ci95_low': 'inf' is not finite")
        bad = GOOD.replace("2.25", "2.9")
        self.assert_error(self.write(bad), ":2: column 'ci95_low': 2.9 is above ci95_high, 2.75")
        self.assert_error(self.write(GOOD, GOOD), ":3: column 'x': '3' is there twice")
        self.assert_error(self.write(GOOD + ",1"), ":2: 11 fields, but 10 in the header")
        bad = GOOD.replace("fig8a", "../fig8a")
        self.assert_error(self.write(bad), ":2: column 'figure'", "cannot be part of a file name")
        self.assert_error(self.write(GOOD, header=HEADER.replace("n_seeds", "seeds")), "'n_seeds'")
        bad = self.write(f"{GOOD},maybe", header=f"{HEADER},complete")
        self.assert_error(bad, ":2: column 'complete': 'maybe'")
        self.assert_error(self.write(), "there is a header but no row")

    def test_unreadable_files_are_errors(self):
        self.assert_error(self.folder / "absent.csv", "No such file")
        file = self.folder / "binary.csv"
        file.write_bytes(b"")
        self.assert_error(file, "the file is empty")
        file.write_bytes(HEADER.encode() + b"\n\xff\xfe")
        self.assert_error(file, "not UTF-8")
        file.unlink()
        self.assert_error(self.folder, "no figure CSV in this folder")


if __name__ == "__main__":
    unittest.main()
