"""Tests of what a picture shows: scales, names, marks at the edge, coinciding lines, footnotes, sizes."""

import pathlib
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "Scripts"
sys.path.insert(0, str(SCRIPTS))

try:
    import matplotlib  # noqa: F401
except ImportError:
    raise unittest.SkipTest(f"{sys.executable} has no matplotlib; Debian's is that of /usr/bin/python3")

from drawing import picture as pictures  # noqa: E402
from drawing.reading import read, series_label  # noqa: E402

HEADER = "figure,series,x,metric,n_seeds,mean,ci95_low,ci95_high,pooled_over,complete,x_name,series_name,load"


def picture(rows, json=None):
    """The picture of rows of (series, x, mean, low, high[, pooled, series key, load])."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "f.csv"
        lines = [HEADER]
        for series, x, mean, low, high, *rest in rows:
            pooled, key, load = (*rest, "", "", "")[:3]
            lines.append(f"f,{series},{x},mean_delay_s,3,{mean},{low},{high},{pooled},true,clients,{key},{load}")
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if json:
            file.with_suffix(".json").write_text(json, encoding="utf-8")
        return read(file)[0]


class DrawingTests(unittest.TestCase):
    def setUp(self):
        pictures.set_up()
        self.addCleanup(pictures.pyplot.close, "all")

    def axes(self, rows, json=None, **options):
        return pictures.make(picture(rows, json), **options).axes[0]

    def test_a_logarithmic_x_where_values_keep_better_distances_on_it(self):
        for values, expected in (
            ([0.1, 1, 10, 50, 150, 1000], "log"),
            ([0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.3], "log"),
            ([3, 4, 5, 6, 7], "linear"),
            ([1, 3, 5, 7, 9, 12], "linear"),
            ([0, 1, 10, 100], "linear"),
        ):
            axes = self.axes([("a", x, 2, 1, 3) for x in values])
            self.assertEqual(axes.get_xscale(), expected, values)

    def test_a_logarithmic_y_only_for_means_of_different_size(self):
        near = [("a", x, 2 + x, 1, 9) for x in (3, 4, 5)] + [("b", x, 3 + x, 1, 9) for x in (3, 4, 5)]
        far = [("a", x, 2, 1, 3) for x in (3, 4, 5)] + [("b", x, 200, 190, 210) for x in (3, 4, 5)]
        self.assertEqual(self.axes(near).get_yscale(), "linear")
        self.assertEqual(self.axes(far).get_yscale(), "log")

    def test_series_say_which_key_their_number_is_of(self):
        self.assertEqual(series_label("7", "clients"), "clients = 7")
        self.assertEqual(series_label("p-qmix", "algorithm"), "p-qmix")
        self.assertEqual(series_label("p-qmix clients=3", "algorithm clients"), "p-qmix, clients = 3")
        self.assertEqual(
            series_label("0.05 algorithm=leo", "releaseRate algorithm"),
            "release rate (tasks/s per vehicle) = 0.05, leo",
        )
        self.assertEqual(series_label("a name of several words"), "a name of several words")
        axes = self.axes([("3", x, 2, 1, 3, "", "clients") for x in (1, 2, 3)] + [("5", 1, 2, 1, 3, "", "clients")])
        self.assertEqual([t.get_text() for t in axes.get_legend().get_texts()], ["clients = 3", "clients = 5"])

    def test_an_interval_beyond_the_axis_is_marked_at_its_edge(self):
        rows = [("a", 3, 2, 1.5, 2.5), ("a", 4, 2.2, -900, 900), ("a", 5, 2.4, 2, 3)]
        axes = self.axes(rows)
        bottom, top = axes.get_ylim()
        self.assertLess(top, 20)
        marks = [(line.get_marker(), line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata()) == 1]
        self.assertIn(("^", top), marks)
        self.assertIn(("v", bottom), marks)
        self.assertTrue(any("goes on beyond the axis" in text.get_text() for text in axes.texts))
        inside = self.axes([row for row in rows if row[1] != 4] + [("a", 4, 2.2, 2, 3)])
        self.assertFalse(any("beyond" in text.get_text() for text in inside.texts))

    def test_coinciding_lines_differ_in_width_and_are_named(self):
        rows = [(name, x, mean, mean - 0.1, mean + 0.1) for x in (3, 4, 5)
                for name, mean in (("exact", 1.5 + x), ("genetic", 1.501 + x), ("greedy", 4.0 + x))]  # fmt: skip
        axes = self.axes(rows)
        widths = {bar.get_label(): bar.lines[0].get_linewidth() for bar in axes.containers}
        self.assertGreater(widths["exact"], 2 * widths["genetic"])
        self.assertEqual(widths["greedy"], 1.4)
        self.assertTrue(any("coincide: exact, genetic" in text.get_text() for text in axes.texts))

    def test_footnotes_say_seeds_pooling_and_load(self):
        rows = [("a", 3, 2, 1, 3, "V", "", 0.63), ("a", 7, 2, 1, 3, "V", "", 1.171)]
        note = self.axes(rows).texts[-1].get_text()
        self.assertIn("mean over 3 seeds", note)
        self.assertIn("each seed a mean over V", note)
        self.assertIn("offered work over capacity: 0.63 at 3, 1.17 at 7", note)

    def test_the_companion_or_an_option_asks_for_bars(self):
        rows = [(name, x, 2, 1, 3) for name in ("a", "b") for x in (3, 4, 5)]
        self.assertEqual(len(self.axes(rows).patches), 0)
        self.assertEqual(len(self.axes(rows, json='{"style": "bars"}').patches), 6)
        self.assertEqual(len(self.axes(rows, style="bars").patches), 6)

    def test_widths_of_a_two_column_paper(self):
        rows = [(f"series{i}", x, 2 + i, 1 + i, 3 + i) for i in range(8) for x in (3, 4, 5)]
        for width, inches in (("column", 3.5), ("text", 7.16)):
            figure = pictures.make(picture(rows), width=width)
            self.assertEqual(figure.get_figwidth(), inches)

    def test_no_two_of_24_series_look_alike(self):
        looks = {str(pictures.look_of(index)) for index in range(24)}
        self.assertEqual(len(looks), 24)
        # In grey, what is left are marker and dashes.
        grey = {str({**pictures.look_of(index), "color": ""}) for index in range(12)}
        self.assertEqual(len(grey), 12)


if __name__ == "__main__":
    unittest.main()
