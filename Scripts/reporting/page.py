"""One self-contained HTML page on one or more experiments."""

import base64
import csv
import datetime
import html
import io
import json
import math
import os
import pathlib
import re
import shlex
import statistics
import tempfile

import jinja2
from drawing import picture as pictures
from drawing.reading import BadCSV, label, read, table

from . import verdicts
from .sweep import ROOT, ReportError, ask

SEVERAL = 60  # pictures beyond which the page would grow too large
MOST_ROWS = 400  # rows of a table on the page; the CSV has all


def svg(figure):
    """A matplotlib figure as an SVG element that stands in a page beside others."""
    stream = io.StringIO()
    # Text as text: smaller, and it can be searched and copied.
    with pictures.matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        pictures.save(figure, stream, "svg")
    pictures.pyplot.close(figure)
    return isolated(stream.getvalue())


def isolated(text):
    """An SVG document as an element: without prologue, its identifiers unlike those of any other picture."""
    text = text[text.index("<svg") :]
    isolated.count = getattr(isolated, "count", 0) + 1
    prefix = f"p{isolated.count}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'href="#', f'href="#{prefix}', text)
    text = re.sub(r"url\(#", f"url(#{prefix}", text)
    return text.replace("<svg", '<svg role="img"', 1)


def data_address(file):
    return "data:text/csv;base64," + base64.b64encode(file.read_bytes()).decode()


def shown(text):
    """A cell of a table: numbers with sensible digits and the whole value to sort by."""
    try:
        value = float(text)
    except ValueError:
        return html.escape(text), html.escape(text), False
    if not math.isfinite(value):
        return html.escape(text), html.escape(text), False
    short = f"{value:.5g}" if value != int(value) or abs(value) >= 1e15 else f"{int(value)}"
    return short, text, True


def as_table(file):
    """Header and cells of a CSV for the page."""
    header, rows = table(file)
    constant = {c for c in header if len({row[c] for _, row in rows}) <= 1} - {"series", "x", "metric", "mean"}
    columns = [column for column in header if column not in constant or column == "complete"]
    cells = [[shown(row[column]) for column in columns] for _, row in rows[:MOST_ROWS]]
    same = ", ".join(f"{c} = {rows[0][1][c]}" for c in header if c in constant and c not in columns and rows[0][1][c]) if rows else ""  # fmt: skip
    return {"columns": columns, "rows": cells, "left": max(0, len(rows) - MOST_ROWS), "same": same}


def figures(sweep):
    """The figures of an experiment: pictures, table and files of each CSV."""
    found, problems = [], []
    drawn = 0
    for file in sorted(sweep.figures.glob("*.csv")) if sweep.figures.is_dir() else []:
        if file.name.endswith(("-paired.csv", "-claims.csv")):
            continue
        try:
            parts = read(file)
        except BadCSV as error:
            problems.append(str(error))
            continue
        images = []
        for part in parts:
            drawn += 1
            figure = pictures.make(part) if drawn <= SEVERAL else None
            if figure is not None:
                images.append({"name": label(part.metric), "svg": svg(figure), "partial": part.is_partial})
        files = [f for f in (file, *(file.with_name(file.stem + e) for e in ("-paired.csv", "-claims.csv"))) if f.exists()]
        found.append(
            {
                "id": file.stem, "title": parts[0].title or file.stem, "images": images,
                "partial": any(part.is_partial for part in parts), "table": as_table(file),
                "files": [{"name": f.name, "address": data_address(f)} for f in files],
                "paired": as_table(files[1]) if len(files) > 1 and files[1].stem.endswith("-paired") else None,
            }
        )  # fmt: skip
    return found, problems


def smoothed(points, window):
    """Mean of each value and those before it, at most `window` in all."""
    values = [value for _, value in points]
    return [
        (episode, statistics.fmean(values[max(0, i - window + 1) : i + 1])) for i, (episode, _) in enumerate(points)
    ]


def curves(sweep, column):
    """Training curves: one line a series, a band over its runs; running runs dashed."""
    found = sweep.curves(column)
    if not found:
        return None
    figure, axes = pictures.pyplot.subplots(figsize=(5.6, 3.3))
    for index, (name, (finished, running)) in enumerate(list(found.items())[:24]):
        look = pictures.look_of(index)
        longest = max(len(run) for run in finished + running)
        window = max(1, longest // 30)
        runs = [smoothed(run, window) for run in finished]
        if runs:
            episodes = sorted(set.intersection(*(set(e for e, _ in run) for run in runs)))
            values = [[dict(run)[e] for run in runs] for e in episodes]
            axes.plot(
                episodes, [statistics.fmean(v) for v in values], color=look["color"], linestyle=look["linestyle"],
                linewidth=1.3, label=f"{name} ({len(runs)})"
            )  # fmt: skip
            axes.fill_between(
                episodes, [min(v) for v in values], [max(v) for v in values], color=look["color"], alpha=0.15,
                linewidth=0,
            )  # fmt: skip
        for i, run in enumerate(running):
            run = smoothed(run, window)
            axes.plot(
                [e for e, _ in run], [v for _, v in run], color=look["color"], linewidth=0.8, linestyle=":",
                marker="o", markevery=[len(run) - 1], markersize=3,
                label=f"{name} (running)" if i == 0 else None,
            )  # fmt: skip
    every = [v for pair in found.values() for runs in pair for run in runs for _, v in run]
    if min(every) > 0 and statistics.quantiles(every, n=20)[-1] / statistics.median(every) > 20:
        axes.set_yscale("log")
    axes.set_xlabel("training episode")
    axes.set_ylabel(label(column))
    axes.grid(axis="y", color="0.88", linewidth=0.6)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.02))
    return svg(figure)


def backlogs(sweep):
    """Mean backlogs while training, and of the evaluation."""
    if sweep.model != "single-rsu":
        return [("queue length of the RSUs", curves(sweep, "mean_queue_length"))]
    return [
        (label(column), curves(sweep, column))
        for column in ("backlog_client_gflop", "backlog_rsu_gflop", "backlog_service_gflop")
    ]


def maps(sweep):
    """Drawings of the traces with the RSU, as `veclab inspect` makes them."""
    found = []
    for run, constants in sweep.traces():
        place = constants.get("rsu_m")
        file = trace_file(sweep, run)
        if file is None:
            continue
        options = []
        parameters = run.parameters
        if isinstance(place, list) and len(place) == 2 and not isinstance(place[0], list):
            options += [f"--rsu={place[0]},{place[1]}"]
        for key, option in (("coverage", "--coverage"), ("slots", "--slots"), ("slotLength", "--slot-length")):
            if key in parameters and sweep.model == "single-rsu":
                options += [option, str(parameters[key])]
        if "clients" in parameters:
            options += ["--vehicles", str(parameters.get("windowVehicles") or parameters["clients"] + parameters["serviceVehicles"])]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "trace.svg"
            try:
                said, _ = ask("inspect", file, *options, "--plot", target)
                found.append({"svg": isolated(target.read_text(encoding="utf-8")), "text": said, "file": file.name})
            except (ReportError, OSError, ValueError) as error:
                found.append({"svg": "", "text": str(error), "file": file.name})
    return found


def trace_file(sweep, run):
    """The imported trace of a run's plan."""
    for plan in sorted((sweep.folder / "plans").glob("*.json")):
        try:
            entries = json.loads(plan.read_text(encoding="utf-8"))["runs"]
        except (ValueError, KeyError):
            continue
        for entry in entries:
            if entry["id"] == run.id:
                file = pathlib.Path(entry["trace"])
                return file if file.is_absolute() else sweep.folder / file
    return None


def commands(sweep):
    """What makes all of it again."""
    profile = f" --profile {shlex.quote(sweep.profile)}" if sweep.profile else ""
    file = shlex.quote(str(sweep.file))
    results = "" if sweep.results == "Results" else f" --results {shlex.quote(sweep.results)}"
    return [
        f"veclab run {file}{profile}{results}",
        f"veclab figures {file}{profile}{results}",
        f"Scripts/plot {shlex.quote(str(sweep.figures))}",
        f"Scripts/report {file}{profile}{results} -o report.html",
    ]


def section(sweep, catalogue):
    """Everything that the page says of one experiment."""
    sweep.make_figures()
    drawn, problems = figures(sweep)
    judged, more = verdicts.verdicts(sweep.figures, catalogue) if sweep.figures.is_dir() else ([], [])
    measure = sweep.measure()
    return {
        "name": sweep.name, "file": str(sweep.file), "profile": sweep.profile, "model": sweep.model,
        "total": len(sweep.runs), "done": len(sweep.done), "partial": sweep.is_partial,
        "running": len(sweep.state.get("running", []) or []), "left": time_text(sweep.state.get("secondsLeft")),
        "failed": sweep.failed(), "facts": sweep.provenance(), "figures": drawn, "verdicts": judged,
        "learning": [(label(c), s) for c, s in ((c, curves(sweep, c)) for c in (measure, "return", "loss")) if s],
        "backlogs": [(name, image) for name, image in backlogs(sweep) if image],
        "bound": sweep.bound(), "gaps": sweep.gaps(), "measure": label(measure), "timing": sweep.timing(),
        "maps": maps(sweep), "commands": commands(sweep), "problems": sweep.notes + problems + more,
        "missing": [run.label for run in sweep.missing][:40], "dimensions": sweep.dimensions,
    }  # fmt: skip


def time_text(seconds):
    if seconds is None:
        return ""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else "under a minute"


def seconds_text(value):
    if math.isnan(value):
        return ""
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def render(sweeps, catalogue, refresh=None):
    """The page on some sweeps; with `refresh` seconds after which a browser loads it again."""
    pictures.set_up()
    isolated.count = 0
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    environment.filters["seconds"] = seconds_text
    return environment.get_template("page.html").render(
        sections=[section(sweep, catalogue) for sweep in sweeps],
        meanings=verdicts.MEANINGS,
        made=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        refresh=refresh,
    )


def write(text, file):
    """Writes the page whole or not at all."""
    handle, temporary = tempfile.mkstemp(prefix=".report-", suffix=".html", dir=file.parent)
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def catalogue():
    return verdicts.claims_of(ROOT / "Experiments" / "claims.yaml")


def verdict_rows(sections):
    """All verdicts as CSV text, for who wants them in a table of their own."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["experiment", "paper", "figure", "claim", "compared", "ours", "seeds", "verdict", "size", "note"])
    for name, judged in sections:
        for v in judged:
            writer.writerow([name, v.paper, v.figure, v.sentence, v.compared, v.ours, v.seeds, v.verdict, v.size, v.note])
    return stream.getvalue()
