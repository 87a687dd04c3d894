"""What an experiment's folder of results says: its plan, its state, its runs and its figures."""

import collections
import csv
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess

from drawing.reading import label

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ReportError(Exception):
    """Something that keeps the report from being made."""


def program():
    """The veclab to ask: that of VECLAB, of the build folder, of the installation that this is in, or of the PATH."""
    given = os.environ.get("VECLAB")
    built = [ROOT / ".build" / kind / "veclab" for kind in ("release", "debug")]
    # PREFIX/share/veclab is the root of an installation, PREFIX/bin has its program.
    built.append(ROOT.parent.parent / "bin" / "veclab")
    for candidate in [given] if given else [*map(str, built), shutil.which("veclab")]:
        if candidate and os.access(candidate, os.X_OK):
            return str(candidate)
    raise ReportError(
        "there is no veclab: build it (swift build -c release --product veclab), or name it in VECLAB"
    )


def ask(*arguments, accept=(0,)):
    """Standard output and standard error of a veclab command."""
    done = subprocess.run(
        [program(), *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode not in accept:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise ReportError(f"veclab {' '.join(map(str, arguments))}: {said}")
    return done.stdout, done.stderr


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


class Run:
    """One run of the plan and what is on disk of it."""

    def __init__(self, entry, folder):
        self.id = entry["id"]
        self.document = entry["document"]
        self.label = entry["label"]
        self.parameters = self.document["parameters"]
        self.folder = folder / "runs" / self.id
        self.result = self.folder / "result"
        self.is_done = (self.result / "manifest.json").exists()

    @property
    def algorithm(self):
        return self.document["algorithm"]

    @property
    def seed(self):
        return self.parameters.get("seed")

    @property
    def is_learner(self):
        return "episodes" in self.parameters or "trainingTasks" in self.parameters

    def rows(self, name):
        """Rows of a table of the result; none while there is no result."""
        try:
            with open(self.result / name, newline="", encoding="utf-8") as stream:
                return list(csv.DictReader(stream))
        except FileNotFoundError:
            return []

    def json(self, name):
        try:
            return json.loads((self.result / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}

    def progress(self):
        """Rows of the running attempt's curve: the newest attempt that keeps one."""
        attempts = self.folder / "attempts"
        if self.is_done or not attempts.is_dir():
            return []
        for attempt in sorted(attempts.iterdir(), key=lambda p: int(p.name) if p.name.isdigit() else -1)[::-1]:
            try:
                with open(attempt / "progress.csv", newline="", encoding="utf-8") as stream:
                    rows = list(csv.DictReader(stream))
            except FileNotFoundError:
                continue
            # The last line may be half written.
            return [row for row in rows if None not in row.values() and None not in row]
        return []


class Sweep:
    """An experiment file with one of its profiles, and its results."""

    def __init__(self, file, profile=None, results="Results"):
        self.file, self.profile, self.results = file, profile, results
        self.options = [str(file), "--results", results] + (["--profile", profile] if profile else [])
        plan = json.loads(ask("plan", *self.options, "--json")[0])
        self.name = plan["experiment"]
        self.dimensions = plan["dimensions"]
        self.folder = pathlib.Path(results) / self.name
        self.runs = [Run(entry, self.folder) for entry in plan["runs"]]
        # What the grid sets at the first point that a run stands for.
        self.values = {}
        for point in plan["points"]:
            self.values.setdefault(self.runs[point["run"]].id, point["values"])
        self.estimate = plan.get("estimate") or {}
        self.model = self.runs[0].document["model"]
        self.state = self._state()
        self.notes = []

    def _state(self):
        try:
            lines = ask("status", self.file, "--results", self.results, "--json", accept=(0, 1))[0]
            return json.loads(lines)
        except (ReportError, ValueError):
            return {}

    @property
    def done(self):
        return [run for run in self.runs if run.is_done]

    @property
    def missing(self):
        return [run for run in self.runs if not run.is_done]

    @property
    def is_partial(self):
        return bool(self.missing)

    @property
    def figures(self):
        return self.folder / "figures"

    def make_figures(self):
        """Writes the figure CSVs unless those there are newer than every result that they are made from."""
        files = list(self.figures.glob("*.csv")) if self.figures.is_dir() else []
        newest = max((f.stat().st_mtime for f in (r.result / "manifest.json" for r in self.done)), default=0)
        if not self.done or (files and min(f.stat().st_mtime for f in files) > newest and self._covers()):
            return
        try:
            ask("figures", *self.options, "--allow-partial", accept=(0, 1))
        except ReportError as error:
            self.notes.append(str(error))

    def _covers(self):
        """Whether the figures there belong to this file and profile, as far as their companions say."""
        for file in self.figures.glob("*.json"):
            try:
                about = json.loads(file.read_text(encoding="utf-8"))
            except ValueError:
                return False
            wanted = self.profile or about.get("profile")
            if about.get("profile") not in (None, wanted):
                return False
        return True

    # What stands in the runs

    def series(self, run):
        """Name of a run's curve: the algorithm, and what varies between its runs but the seed."""
        alike = [other for other in self.runs if other.algorithm == run.algorithm]
        parts = []
        for key in self.dimensions:
            if key == "seed":
                continue
            values = [self.values.get(other.id, {}).get(key) for other in alike]
            own = self.values.get(run.id, {}).get(key)
            varies = any(value != own for value in values)
            if own is None or not (key in ("algorithm", "variant") or varies):
                continue
            if key in run.parameters or key in ("algorithm", "trace", "variant"):
                parts.append(text(own) if key in ("algorithm", "variant") else f"{label(key)} = {text(own)}")
        return ", ".join(parts) or run.algorithm

    def measure(self):
        """The column by which algorithms are compared: never the return."""
        return "mean_delay_s" if self.model == "single-rsu" else "mean_cost"

    def bound(self):
        """The algorithm that every other one is measured against, if the experiment has it."""
        names = {run.algorithm for run in self.runs}
        for name in ("exact", "myopic-optimum"):
            if name in names:
                return name
        return None

    def means(self, column):
        """Mean of a column over the evaluation of each finished run."""
        found = {}
        for run in self.done:
            values = [number(row.get(column)) for row in run.rows("episodes.csv") if row["phase"] == "eval"]
            values = [value for value in values if not math.isnan(value)]
            if values:
                found[run.id] = statistics.fmean(values)
        return found

    def gaps(self):
        """For each algorithm (runs, mean, least, greatest) of its distance to the bound in percent, run by run."""
        bound = self.bound()
        if bound is None:
            return []
        means = self.means(self.measure())
        groups = collections.defaultdict(dict)
        for run in self.done:
            shared = {k: v for k, v in self._setting(run).items() if k != "algorithm"}
            groups[json.dumps(shared, sort_keys=True)].setdefault(run.algorithm, []).append(run)
        gaps = collections.defaultdict(list)
        for group in groups.values():
            base = [means[run.id] for run in group.get(bound, []) if run.id in means]
            if not base or base[0] == 0:
                continue
            for algorithm, runs in group.items():
                gaps[algorithm] += [100 * (means[r.id] / base[0] - 1) for r in runs if r.id in means]
        return [
            (name, len(values), statistics.fmean(values), min(values), max(values))
            for name, values in sorted(gaps.items(), key=lambda item: statistics.fmean(item[1]))
        ]

    def _setting(self, run):
        """Grid values of the model that a run shares with the bound's run."""
        values = self.values.get(run.id, {})
        bound = next((r for r in self.runs if r.algorithm == self.bound()), None)
        return {k: v for k, v in values.items() if k in ("seed", "trace") or bound and k in bound.parameters}

    def timing(self):
        """For each algorithm mean seconds of a decision and of a gradient step, and processor hours."""
        found = collections.defaultdict(lambda: ([], [], 0.0))
        for run in self.done:
            decisions, steps, seconds = found[run.algorithm]
            rows = run.rows("timing.csv")
            decisions += [number(row["mean_decision_s"]) for row in rows if row["phase"] == "eval"]
            steps += [number(r["mean_train_step_s"]) for r in rows if r["mean_train_step_s"]]
            seconds += number(run.json("provenance.json").get("cpuSeconds", 0))
            found[run.algorithm] = (decisions, steps, seconds)
        return [
            (
                name,
                statistics.fmean(decisions) if decisions else math.nan,
                statistics.fmean(steps) if steps else math.nan,
                seconds / 3600,
            )
            for name, (decisions, steps, seconds) in found.items()
        ]

    def curves(self, column):
        """Training curves: series -> (finished, running), each a list of runs as lists of (episode, value)."""
        found = collections.defaultdict(lambda: ([], []))
        for run in self.runs:
            if not run.is_learner:
                continue
            rows = run.rows("episodes.csv") if run.is_done else run.progress()
            points = [
                (int(row["episode"]), number(row.get(column)))
                for row in rows if row.get("phase", "train") == "train" and row.get("episode", "").isdigit()
            ]  # fmt: skip
            points = [point for point in points if not math.isnan(point[1])]
            if points:
                found[self.series(run)][0 if run.is_done else 1].append(points)
        return dict(found)

    def provenance(self):
        """Distinct facts on where and when the finished runs were made."""
        facts = [run.json("provenance.json") for run in self.done]
        times = sorted(fact[key] for fact in facts for key in ("start", "end") if fact.get(key))

        def distinct(*path):
            values = []
            for fact in facts:
                for key in path:
                    fact = fact.get(key) if isinstance(fact, dict) else None
                if fact is not None and fact not in values:
                    values.append(fact)
            return values

        return {
            "hosts": distinct("host"), "processors": distinct("cpu"), "sets": distinct("instructionSet"),
            "commits": distinct("program", "commit"), "versions": distinct("program", "version"),
            "first": times[0] if times else None, "last": times[-1] if times else None,
            "hours": sum(number(fact.get("cpuSeconds", 0)) for fact in facts) / 3600,
        }  # fmt: skip

    def failed(self):
        """Failed runs: (label, what happened)."""
        found = []
        for entry in self.state.get("failed", []):
            if isinstance(entry, dict):
                name = entry.get("label") or entry.get("run") or entry.get("id") or "a run"
                found.append((name, entry.get("cause") or entry.get("message") or json.dumps(entry)))
            else:
                found.append((str(entry), ""))
        return found

    def traces(self):
        """A finished run and its drawn constants for each trace of the plan."""
        found = {}
        for run in self.done:
            if run.document["trace"] not in found:
                found[run.document["trace"]] = (run, run.json("run.json").get("constants", {}))
        return list(found.values())


def text(value):
    """A value of the grid as the experiment file has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
