"""Tests of Scripts/report: verdicts follow the CSVs, and a page of a small sweep, half done and done."""

import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Scripts"))

try:
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
    import yaml  # noqa: F401
except ImportError as error:
    raise unittest.SkipTest(f"{error}; Debian's modules are those of /usr/bin/python3")

from reporting import page, verdicts  # noqa: E402
from reporting.keep import keep  # noqa: E402
from reporting.sweep import ReportError, program  # noqa: E402

FIGURE = "figure,series,x,metric,n_seeds,mean,ci95_low,ci95_high,complete,x_name"
CLAIMS = "figure,series,against,x,metric,published_percent,n_pairs,ours_percent,ci95_low,ci95_high,verdict"

SWEEP = """
experiment: report-test
model: single-rsu
trace: {trace}
parameters: {{serviceVehicles: 2, slots: 10, evaluationEpisodes: 2}}
grid:
  product: {{clients: [2, 3], algorithm: [greedy, exact]}}
  seeds: 2
figures:
  - id: report-delay
    x: clients
    y: mean_delay_s
    reference: exact
    claims:
      - {{series: exact, against: greedy, x: 3, improvement: 10}}
"""


class VerdictTests(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def figure(self, name, metric, series, seeds=3, complete="true"):
        """Writes a figure CSV; series: name -> {x: (mean, low, high)}."""
        rows = [
            f"{name},{label},{x},{metric},{seeds},{mean},{low},{high},{complete},x"
            for label, points in series.items() for x, (mean, low, high) in points.items()
        ]  # fmt: skip
        (self.folder / f"{name}.csv").write_text("\n".join([FIGURE, *rows]) + "\n")

    def claim(self, ours, low, high, published=20, pairs=3):
        row = f"p1-fig8a,mad2rl,greedy,3,mean_delay_s,{published},{pairs},{ours},{low},{high},reproduced"
        (self.folder / "p1-fig8a-claims.csv").write_text(f"{CLAIMS}\n{row}\n")

    def judged(self):
        found, problems = verdicts.verdicts(self.folder, page.catalogue())
        self.assertEqual(problems, [])
        return found

    def test_a_published_improvement_is_judged_by_our_interval_not_by_the_verdict_column(self):
        for numbers, expected in (
            ((50, 40, 60), "reproduced"), ((5, -10, 20), "not shown"), ((-30, -40, -20), "not reproduced"),
            (("", "", ""), "not measured"),
        ):  # fmt: skip
            self.claim(*numbers)
            self.assertEqual([v.verdict for v in self.judged()], [expected], numbers)
        self.claim(50, 40, 60, pairs=1)
        self.assertEqual(self.judged()[0].verdict, "not measured")

    def test_size_is_said_apart_and_a_wide_interval_proves_nothing(self):
        for published, (ours, low, high), expected in (
            (20, (21, 15, 27), "20 % lies in our interval"),
            (20, (21, 1, 41), "20 % lies in our interval, which is too wide to tell"),
            (54.59, (30, 25, 35), "54.59 % is more than ours"),
            (10, (30, 25, 35), "10 % is less than ours"),
        ):
            self.claim(ours, low, high, published)
            self.assertEqual(self.judged()[0].size, expected)

    def test_a_figure_that_says_the_contrary_of_its_claims_is_noticed(self):
        self.claim(50, 40, 60)
        good = {"mad2rl": {3: (2, 1.9, 2.1)}, "greedy": {3: (4, 3.9, 4.1)}}
        self.figure("p1-fig8a", "mean_delay_s", good)
        self.assertEqual(self.judged()[0].verdict, "reproduced")
        self.figure("p1-fig8a", "mean_delay_s", {**good, "mad2rl": {3: (6, 5.9, 6.1)}})
        self.assertEqual(self.judged()[0].verdict, "contradictory files")

    def of(self, sentence):
        return next(v.verdict for v in self.judged() if sentence in v.sentence)

    def test_lowest_and_highest_at_every_x(self):
        def series(rtd):
            return {"rtd": {5: (rtd, rtd - 0.1, rtd + 0.1), 10: (2, 1.9, 2.1)},
                    "leo": {5: (4, 3.9, 4.1), 10: (4, 3.9, 4.1)}, "reo": {5: (3, 2.9, 3.1), 10: (3, 2.9, 3.1)}}  # fmt: skip

        for rtd, expected in ((2, "reproduced"), (2.9, "not shown"), (3.5, "not reproduced")):
            self.figure("p2-fig6", "mean_cost", series(rtd))
            self.assertEqual(self.of("RTD has the lowest cost"), expected)
        self.assertEqual(self.of("LEO has the highest cost"), "reproduced")
        self.figure("p2-fig6", "mean_cost", series(2), complete="false")
        self.assertEqual(self.of("RTD has the lowest cost"), "not measured")

    def test_trends_and_best_points(self):
        def line(*means):
            return {"mad2rl": {x: (m, m - 0.1, m + 0.1) for x, m in zip((1, 5, 7, 9), means)}}

        self.figure("p1-fig9a", "backlog_rsu_gflop", line(1, 2, 3, 4))
        self.assertEqual(self.of("backlog rises with V (Fig. 9a, RSU)"), "reproduced")
        self.figure("p1-fig9a", "backlog_rsu_gflop", line(4, 3, 2, 1))
        self.assertEqual(self.of("backlog rises with V (Fig. 9a, RSU)"), "not reproduced")
        self.figure("p1-fig9b", "mean_delay_s", line(1, 2, 3, 4))
        self.assertEqual(self.of("delay does not rise with V"), "not reproduced")
        self.figure("p1-fig6a-evaluation", "return", line(1, 2, 3, 2))
        self.assertEqual(self.of("M = 7 denoising steps are best (Fig. 6a, return)"), "reproduced")
        self.assertEqual(self.of("rises with M up to 7 and then falls"), "reproduced")
        self.figure("p1-fig6a-evaluation", "return", line(3, 2, 1, 2))
        self.assertEqual(self.of("M = 7 denoising steps are best (Fig. 6a, return)"), "not reproduced")
        self.assertEqual(self.of("rises with M up to 7 and then falls"), "not reproduced")
        self.figure("p1-fig8b", "mean_delay_s", {"mad2rl discount=0.99": {x: (m, m - 0.1, m + 0.1) for x, m in zip((3, 5, 7), (6, 3, 2.5))}})
        self.assertEqual(self.of("delay flattens"), "reproduced")
        self.figure("p1-fig8b", "mean_delay_s", {"mad2rl discount=0.99": {x: (m, m - 0.1, m + 0.1) for x, m in zip((3, 5, 7), (6, 5, 2))}})
        self.assertEqual(self.of("delay flattens"), "not reproduced")

    def test_flattest_growth_is_compared_with_both_intervals(self):
        def series(rtd_last):
            return {
                name: {5: (1, 0.9, 1.1), 25: (last, last - 0.1, last + 0.1)}
                for name, last in (("rtd", rtd_last), ("reo", 3), ("gbs", 2.5), ("disdqn", 2), ("leo", 1))
            }

        # Half the width of a difference of two such means is 0.1 times the root of 2.
        for last, expected in ((1.7, "reproduced"), (1.8, "not shown"), (2.3, "not reproduced")):
            self.figure("p2-fig5", "mean_delay_s", series(last))
            self.assertEqual(self.of("grows least"), expected, last)

    def test_every_kind_of_the_catalogue_says_how_it_compares(self):
        self.assertEqual(set(verdicts.KINDS), set(verdicts.HOW))
        self.assertTrue(page.catalogue())


class ReportTests(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.file = self.folder / "sweep.yaml"
        self.file.write_text(SWEEP.format(trace=ROOT / "Traces" / "motorway.fcd.xml.gz"))
        self.results = self.folder / "Results"
        self.page = self.folder / "report.html"

    def veclab(self, *arguments):
        done = subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def report(self, *arguments, code=0):
        command = [str(ROOT / "Scripts" / "report"), *map(str, arguments), "-o", str(self.page)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "VECLAB": program()}
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return self.page.read_text() if code == 0 else done.stderr

    def test_a_page_half_done_and_done(self):
        given = (self.file, "--results", self.results)
        self.veclab("run", *given, "--workers", "1", "--only", "seed=1")
        half = self.report(*given)
        self.assertIn("Partial: 4 of 8 runs are done", half)
        self.assertIn("PARTIAL DATA", half)
        self.veclab("run", *given, "--workers", "1")
        text = self.report(*given)
        self.assertNotIn("Partial", text)
        for part in (
            "8 of 8 done", "exact is 10 % better than greedy at clients = 3", "Distance to exact", "Time of a decision",
            "Trace and RSU", "veclab run", 'download="report-delay.csv"', 'download="report-delay-paired.csv"',
        ):  # fmt: skip
            self.assertIn(part, text)
        # One file: nothing is fetched.
        self.assertEqual(re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', text), [])
        self.assertLess(self.page.stat().st_size, 5e6)
        self.assertIn('class="verdict v-reproduced"', text)

        claims = self.results / "report-test" / "figures" / "report-delay-claims.csv"
        header, row = claims.read_text().splitlines()
        cells = dict(zip(header.split(","), row.split(",")))
        cells |= {"ours_percent": "-30", "ci95_low": "-40", "ci95_high": "-20"}
        claims.write_text(header + "\n" + ",".join(cells.values()) + "\n")
        changed = self.report(*given)
        self.assertNotIn('class="verdict v-reproduced"', changed)

    def test_kept_results_have_every_claim_and_no_place_of_the_machine(self):
        given = (self.file, "--results", self.results)
        self.veclab("run", *given, "--workers", "1")
        self.veclab("figures", *given)
        other = self.folder / "other.yaml"
        other.write_text(self.file.read_text().replace("report-test", "other-test").replace("report-delay", "other-delay"))
        target = self.folder / "reference"
        for _ in range(2):
            keep([self.file, other], None, str(self.results), target)
            with open(target / "claims.csv", newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
            self.assertEqual([(row["experiment"], row["verdict"]) for row in rows],
                             [("report-test", "reproduced"), ("other-test", "not run")])  # fmt: skip
            text = (target / "README.md").read_text()
            self.assertIn("| report-test | 8 of 8 |", text)
            self.assertIn("| other-test | 0 of 8 |", text)
            for row in rows:
                self.assertIn(row["sentence"], text)
                self.assertIn(row["ours"], text)
        kept = {file.name for file in (target / "report-test").iterdir()}
        self.assertIn("report-delay.csv", kept)
        self.assertIn("report-delay-mean_delay_s.png", kept)
        self.assertEqual(
            (target / "report-test" / "report-delay.csv").read_bytes(),
            (self.results / "report-test" / "figures" / "report-delay.csv").read_bytes(),
        )
        origin = json.loads((target / "provenance.json").read_text())["report-test"]
        self.assertEqual((origin["runsDone"], origin["runsPlanned"]), (8, 8))
        self.assertNotIn(str(ROOT), (target / "provenance.json").read_text())
        (self.folder / "full").mkdir()
        (self.folder / "full" / "thesis.txt").write_text("mine")
        with self.assertRaises(ReportError):
            keep([self.file], None, str(self.results), self.folder / "full")
        self.assertTrue((self.folder / "full" / "thesis.txt").exists())

    def test_errors_are_sentences(self):
        said = self.report(self.folder / "absent.yaml", code=1)
        self.assertIn("absent.yaml: no such file", said)
        self.file.write_text("experiment: [")
        self.assertIn("sweep.yaml", self.report(self.file, code=1))


if __name__ == "__main__":
    unittest.main()
