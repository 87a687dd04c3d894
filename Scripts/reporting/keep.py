"""Keeps what a reproduction measured in one small folder: figure CSVs, pictures, claims, provenance and a page."""

import csv
import json
import pathlib
import shutil
import subprocess

from . import verdicts
from .sweep import ROOT, ReportError, Sweep

NOT_RUN = "not run"

INTRODUCTION = """# Reference results

What `Scripts/reproduce {mode}` measured: every claim of the two papers, ours beside it, and what came of it.
`Scripts/reproduce {mode} --keep` made this page from the CSVs beside it, which `veclab figures` writes; the same
experiment files give the same bytes on the same instruction set (`provenance.json` names it, and the program's commit).

A verdict says whether our numbers have the claim's direction; whether they have its size stands in its own column.
Intervals are 95 %, over seeds. Verdicts: {meanings}.

| experiment | runs done | processor hours | figures |
|--|--|--|--|
{experiments}

| | claim | ours | seeds | verdict | size | cause or remark |
|--|--|--|--|--|--|--|
{claims}
"""


def keep(files, mode, results, target):
    """Copies the figures of all experiments that have runs into `target` and writes the page of claims there."""
    target = pathlib.Path(target)
    if target.exists() and any(target.iterdir()) and not (target / "claims.csv").is_file():
        raise ReportError(f"{target}: holds other files; name an empty folder, or one that --keep made")
    catalogue = verdicts.claims_of(ROOT / "Experiments" / "claims.yaml")
    staged = target.with_name(target.name + ".new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    experiments, rows, provenance = [], [], {}
    for file in files:
        sweep = Sweep(file, mode, results)
        has_figures = bool(sweep.done) and sweep.figures.is_dir()
        if has_figures:
            copy_figures(sweep, staged / sweep.name, catalogue)
            provenance[sweep.name] = origin(sweep)
            judged, problems = verdicts.verdicts(sweep.figures, catalogue)
            if problems:
                raise ReportError(problems[0])
        else:
            judged = list(unmeasured(file, catalogue))
        experiments.append(summary(sweep, provenance.get(sweep.name), has_figures))
        rows += [(sweep.name, verdict) for verdict in judged]
    write_claims(rows, staged / "claims.csv")
    (staged / "provenance.json").write_text(json.dumps(provenance, indent=2, sort_keys=True) + "\n")
    (staged / "README.md").write_text(page(mode, experiments, rows), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    staged.rename(target)


def copy_figures(sweep, folder, catalogue):
    """CSVs as they are; descriptions without the place of the file; pictures of what figures are about first."""
    folder.mkdir()
    wanted = {f"{claim['figure']}-{claim['metric']}.png" for claim in catalogue}
    for file in sorted(sweep.figures.iterdir()):
        if file.suffix == ".csv":
            shutil.copyfile(file, folder / file.name)
        elif file.suffix == ".json":
            description = json.loads(file.read_text(encoding="utf-8"))
            place = pathlib.Path(description.get("origin", {}).get("file", ""))
            if place.is_relative_to(ROOT):
                description["origin"]["file"] = str(place.relative_to(ROOT))
            wanted.add(f"{file.stem}-{description['y'][0]}.png")
            (folder / file.name).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
    command = [ROOT / "Scripts" / "plot", "--width", "text", "--format", "png", folder]
    drawn = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if drawn.returncode:
        raise ReportError(drawn.stderr.strip())
    # All metrics of all figures would be tens of megabytes.
    for picture in folder.glob("*.png"):
        if picture.name not in wanted:
            picture.unlink()


def origin(sweep):
    """With what the runs were made, without the machine's name and places."""
    records = [run.json("provenance.json") for run in sweep.done]

    def all_of(*path):
        found = set()
        for record in records:
            value = record
            for key in path:
                value = value.get(key, {}) if isinstance(value, dict) else {}
            found.add("unknown" if value == {} else value)
        return sorted(found, key=str)

    return {
        "commits": all_of("program", "commit"), "programHasChanges": all_of("program", "dirty"),
        "swift": all_of("program", "swift"), "processors": all_of("cpu"),
        "instructionSets": all_of("instructionSet"), "runsDone": len(sweep.done), "runsPlanned": len(sweep.runs),
        "cpuSeconds": round(sum(record.get("cpuSeconds", 0) for record in records)),
        "firstStart": min(all_of("start"), default=""), "lastEnd": max(all_of("end"), default=""),
    }  # fmt: skip


def unmeasured(file, catalogue):
    """A row for every claim of an experiment without results."""
    import yaml

    for figure in yaml.safe_load(file.read_text(encoding="utf-8")).get("figures", []):
        paper = "P1" if file.parent.name == "p1" else "P2"
        for claim in figure.get("claims", []):
            known = [
                entry["sentence"] for entry in catalogue
                if (entry["figure"], entry["series"], entry.get("against"))
                == (figure["id"], claim["series"], claim["against"])
            ]  # fmt: skip
            sentence = f"{claim['series']} is {claim['improvement']:g} % better than {claim['against']} " + (
                f"at {figure['x']} = {claim['x']}."
            )
            yield verdicts.Verdict(paper, figure["id"], (known or [sentence])[0], "", "", "", NOT_RUN)
        for entry in catalogue:
            if entry["figure"] == figure["id"] and entry["kind"] != "published":
                yield verdicts.Verdict(
                    entry["paper"], figure["id"], entry["sentence"], "", "", "", NOT_RUN, "", entry.get("note", "")
                )


def summary(sweep, record, has_figures):
    hours = f"{record['cpuSeconds'] / 3600:.2f}" if record else ""
    link = f"[{sweep.name}]({sweep.name})" if has_figures else NOT_RUN
    return f"| {sweep.name} | {len(sweep.done)} of {len(sweep.runs)} | {hours} | {link} |"


def write_claims(rows, file):
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = ["paper", "figure", "sentence", "compared", "ours", "seeds", "verdict", "size", "note"]
        writer.writerow(["experiment", *names])
        writer.writerows([name, *(getattr(verdict, key) for key in names)] for name, verdict in rows)


def page(mode, experiments, rows):
    def cell(text):
        return str(text).replace("|", "\\|").replace("\n", " ")

    lines = [
        f"| {v.paper} {v.figure} | " + " | ".join(
            cell(text) for text in (v.sentence, v.ours, v.seeds, f"**{v.verdict}**", v.size, v.note)
        ) + " |"
        for _, v in rows
    ]  # fmt: skip
    meanings = verdicts.MEANINGS | {NOT_RUN: "the experiment has no results yet"}
    return INTRODUCTION.format(
        mode=mode, meanings="; ".join(f"*{name}*: {text}" for name, text in meanings.items()),
        experiments="\n".join(experiments), claims="\n".join(lines)
    )  # fmt: skip
