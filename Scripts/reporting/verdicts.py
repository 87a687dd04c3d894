"""The papers' claims beside ours: every verdict is computed from the numbers of the figure CSVs."""

import dataclasses
import math

from drawing.reading import BadCSV, read, table

from .sweep import ReportError

# What a verdict may be, and the sentence that explains it.
MEANINGS = {
    "reproduced": "our interval shows the claimed direction",
    "not shown": "our interval does not exclude the contrary, or the seeds are too few to tell",
    "not reproduced": "our interval, or our means where a claim names an order, say the contrary",
    "not measured": "runs, seeds or rows are missing",
    "contradictory files": "two CSVs disagree: one was changed or is of another sweep",
}


@dataclasses.dataclass
class Verdict:
    """One claim beside our measurement of it."""

    paper: str
    figure: str
    sentence: str
    compared: str
    ours: str
    seeds: str
    verdict: str
    size: str = ""
    note: str = ""


def claims_of(file):
    """The claims that the experiments' catalogue lists."""
    import yaml

    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{file}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ReportError(f"{file}: {error}") from None
    for place, entry in enumerate(entries, 1):
        unknown = entry.get("kind") not in KINDS and entry.get("kind") != "published"
        if unknown or not {"figure", "metric", "series", "sentence", "paper"} <= set(entry):
            raise ReportError(f"{file}: claim {place} lacks a key or has an unknown kind: {entry}")
    return entries


def number(row, column):
    try:
        return float(row[column])
    except (KeyError, ValueError):
        return math.nan


def published(file, pictures, catalogue):
    """Verdicts on the published improvements of `<figure>-claims.csv`."""
    _, rows = table(file)
    verdicts = []
    for _, row in rows:
        known = next(
            (
                entry for entry in catalogue
                if entry["kind"] == "published" and entry["figure"] == row["figure"]
                and (entry["series"], entry.get("against")) == (row["series"], row["against"])
                and entry["metric"] == row["metric"]
            ), {}
        )  # fmt: skip
        claimed, ours = number(row, "published_percent"), number(row, "ours_percent")
        low, high = number(row, "ci95_low"), number(row, "ci95_high")
        pairs = number(row, "n_pairs")
        complete = row.get("complete", "true") != "false"
        verdict = direction(pairs, low, high, complete)
        picture = pictures.get((row["figure"], row["metric"]))
        if contradicts(picture, row, ours, low, high):
            verdict = "contradictory files"
        where = f"{picture.x_name or 'x'} = {row['x']}" if picture else row["x"]
        verdicts.append(
            Verdict(
                paper=known.get("paper", "P1" if row["figure"].startswith("p1") else "P2"),
                figure=row["figure"],
                sentence=known.get("sentence")
                or f"{row['series']} is {claimed:g} % better than {row['against']} at {where}.",
                compared=f"{row['metric']} of {row['series']} and {row['against']} at {where}, "
                f"seed by seed, in percent of {row['against']}",
                ours="" if math.isnan(ours) else interval(ours, low, high, " %"),
                seeds=row["n_pairs"],
                verdict=verdict,
                size=size(claimed, ours, low, high),
                note=known.get("note", ""),
            )
        )
    return verdicts


def direction(pairs, low, high, complete):
    """Whether an interval of an improvement shows it."""
    if not complete or math.isnan(low) or pairs < 2:
        return "not measured"
    if low > 0:
        return "reproduced"
    return "not reproduced" if high < 0 else "not shown"


def size(claimed, ours, low, high):
    """How the published number lies to ours; a wide interval that holds it proves nothing."""
    if math.isnan(low):
        return ""
    if low <= claimed <= high:
        wide = (high - low) / 2 > abs(claimed) / 2
        text = f"{claimed:g} % lies in our interval"
        return text + (", which is too wide to tell" if wide else "")
    return f"{claimed:g} % is {'more' if claimed > high else 'less'} than ours"


def contradicts(picture, row, ours, low, high):
    """Whether the means of the figure say the contrary of the claims file, which was made from the same runs."""
    if picture is None or math.isnan(ours) or math.isnan(low):
        return False
    points = [picture.of(row[key]).get(row["x"]) for key in ("series", "against")]
    if None in points or points[1].mean == 0:
        return False
    series, against = (point.mean for point in points)
    better = row.get("better", "higher" if row["metric"] == "return" else "lower")
    change = 100 * (against - series) / abs(against) * (1 if better == "lower" else -1)
    # A mean of ratios and a ratio of means differ a little; far outside the interval they cannot.
    slack = (high - low) / 2 + 10
    return not low - slack <= change <= high + slack


def interval(mean, low, high, unit=""):
    if math.isnan(low):
        return f"{mean:.4g}{unit}"
    return f"{mean:.4g}{unit} ({low:.4g} to {high:.4g})"


def others(figures, catalogue):
    """Verdicts on the catalogue's claims whose figure is there; `figures` maps (figure, metric) to pictures."""
    verdicts = []
    for claim in catalogue:
        picture = figures.get((claim["figure"], claim["metric"]))
        if picture is None or claim["kind"] == "published":
            continue
        verdict, ours, compared = judge(picture, claim)
        seeds = sorted({point.seeds for point in picture.points()})
        verdicts.append(
            Verdict(
                claim["paper"], claim["figure"], claim["sentence"], compared, ours,
                "-".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1]))), verdict,
                note=claim.get("note", ""),
            )
        )  # fmt: skip
    return verdicts


def judge(picture, claim):
    """(verdict, ours, what was compared) of one claim."""
    compared = f"{claim['metric']} of {claim['figure']}"
    series = picture.of(claim["series"])
    if not series:
        return "not measured", "", f"{compared} has no series {claim['series']}"
    points = sorted(
        (p for p in series.values() if p.x is not None and not math.isnan(p.mean)), key=lambda p: p.x
    )
    if len(points) < 2 and claim["kind"] != "between":
        return "not measured", "", f"{compared} has fewer than two points of {claim['series']}"
    if any(not p.complete for p in points):
        return "not measured", "runs are missing", compared
    return *KINDS[claim["kind"]](picture, points, claim), f"{compared}: {HOW[claim['kind']]}"


def extreme(picture, points, claim, sign):
    """Whether a series lies below (sign 1) or above (-1) all others at every x."""
    rivals = claim.get("others") or [name for name in picture.names if name != claim["series"]]
    worst, verdict = [], "reproduced"
    measured = 0
    for point in points:
        for name in rivals:
            rival = next((p for p in picture.of(name).values() if p.x == point.x), None)
            if rival is None or math.isnan(rival.mean):
                continue
            measured += 1
            if sign * (rival.mean - point.mean) < 0:
                verdict = "not reproduced"
                worst.append(f"{name} is {'lower' if sign > 0 else 'higher'} at {point.x:g}")
            elif overlap(point, rival) and verdict == "reproduced":
                verdict = "not shown"
                worst.append(f"{name} overlaps at {point.x:g}")
    if not measured:
        return "not measured", ""
    return verdict, "; ".join(worst[:4]) + (f" and {len(worst) - 4} more" if len(worst) > 4 else "")


def overlap(a, b):
    """Whether two intervals overlap; true where there is none to tell by."""
    if math.isnan(a.low) or math.isnan(b.low):
        return True
    return a.low <= b.high and b.low <= a.high


def rise(picture, points, claim):
    first, last = points[0], points[-1]
    ours = f"{first.mean:.4g} at {first.x:g}, {last.mean:.4g} at {last.x:g}"
    if last.mean <= first.mean and not overlap(first, last):
        return "not reproduced", ours
    return ("reproduced" if last.mean > first.mean and not overlap(first, last) else "not shown"), ours


def level(picture, points, claim):
    verdict, ours = rise(picture, points, claim)
    # What is not shown to rise is not shown to be level either, unless it falls.
    return {"reproduced": "not reproduced", "not reproduced": "reproduced"}.get(verdict, verdict), ours


def flatten(picture, points, claim):
    before = [p for p in points if p.x <= claim["from"]]
    after = [p for p in points if p.x >= claim["from"]]
    if len(before) < 2 or len(after) < 2:
        return "not measured", ""

    def slope(part):
        return abs(part[-1].mean - part[0].mean) / (part[-1].x - part[0].x)

    early, late = slope(before), slope(after)
    ours = f"{early:.3g} a step up to {claim['from']:g}, {late:.3g} from there on"
    if overlap(before[0], before[-1]):
        return "not shown", ours
    return ("reproduced" if late <= claim["share"] * early else "not reproduced"), ours


def best_at(picture, points, claim):
    sign = -1 if claim["better"] == "higher" else 1
    best = min(points, key=lambda p: sign * p.mean)
    claimed = next((p for p in points if p.x == claim["at"]), None)
    if claimed is None:
        return "not measured", f"there is no point at {claim['at']:g}"
    ours = f"best at {best.x:g} ({best.mean:.4g}); {claimed.mean:.4g} at {claim['at']:g}"
    if best is claimed:
        rivals = [p for p in points if p is not claimed]
        return ("not shown" if any(overlap(p, claimed) for p in rivals) else "reproduced"), ours
    return ("not shown" if overlap(best, claimed) else "not reproduced"), ours


def rise_then_fall(picture, points, claim):
    top = max(points, key=lambda p: p.mean)
    ours = ", ".join(f"{p.mean:.4g} at {p.x:g}" for p in points)
    up = all(a.mean <= b.mean for a, b in zip(points, points[1:]) if b.x <= claim["at"])
    down = all(a.mean >= b.mean for a, b in zip(points, points[1:]) if a.x >= claim["at"])
    if not (up and down and top.x == claim["at"]):
        return "not reproduced", ours
    return ("not shown" if overlap(points[0], top) or overlap(points[-1], top) else "reproduced"), ours


def settle(picture, points, claim):
    if points[-1].x < claim["at"]:
        return "not measured", f"the curve ends at {points[-1].x:g}"
    final = points[-1].mean
    span = max(abs(p.mean - final) for p in points) or 1
    outside = [p.x for p in points if abs(p.mean - final) > claim["within"] * span]
    last = max(outside, default=points[0].x)
    ours = f"within {100 * claim['within']:g} % of its range from {last:g} on"
    return ("reproduced" if last <= claim["at"] else "not reproduced"), ours


def between(picture, points, claim):
    means = [p.mean for p in points]
    ours = f"{min(means):.3g} to {max(means):.3g}"
    inside = claim["low"] <= min(means) and max(means) <= claim["high"]
    return ("reproduced" if inside else "not reproduced"), ours


def steadiest(picture, points, claim):
    def swing(series):
        late = [p for p in series if p.x is not None and p.x >= claim["at"] and not math.isnan(p.mean)]
        late.sort(key=lambda p: p.x)
        if len(late) < 3:
            return math.nan
        mean = sum(p.mean for p in late) / len(late)
        return math.sqrt(sum((p.mean - mean) ** 2 for p in late) / (len(late) - 1))

    swings = {name: swing(series.values()) for name, series in picture.series.items()}
    swings = {name: value for name, value in swings.items() if not math.isnan(value)}
    own = swing(points)
    if math.isnan(own) or len(swings) < 2:
        return "not measured", ""
    ours = ", ".join(f"{value:.3g} ({name})" for name, value in swings.items())
    return ("reproduced" if own <= min(swings.values()) else "not reproduced"), ours


def flattest(picture, points, claim):
    def growth(series):
        series = sorted((p for p in series if p.x is not None), key=lambda p: p.x)
        first, last = series[0], series[-1]
        half = math.hypot((first.high - first.low) / 2, (last.high - last.low) / 2)
        return last.mean - first.mean, half

    own = growth(points)
    rivals = {name: growth(picture.series[name].values()) for name in claim["others"] if name in picture.series}
    if not rivals or any(math.isnan(value) for value in own):
        return "not measured", ""
    ours = ", ".join(f"{value:.3g} ± {half:.2g} ({name})" for name, (value, half) in [("own", own), *rivals.items()])
    if any(value + half < own[0] - own[1] for value, half in rivals.values()):
        return "not reproduced", ours
    shown = all(own[0] + own[1] < value - half for value, half in rivals.values())
    return ("reproduced" if shown else "not shown"), ours


KINDS = {
    "lowest": lambda *given: extreme(*given, 1),
    "highest": lambda *given: extreme(*given, -1),
    "rises": rise,
    "level": level,
    "flattens": flatten,
    "flattest": flattest,
    "best-at": best_at,
    "rises-then-falls": rise_then_fall,
    "settles": settle,
    "between": between,
    "steadiest": steadiest,
}

HOW = {
    "lowest": "means and 95 % intervals at every x",
    "highest": "means and 95 % intervals at every x",
    "rises": "first and last x, shown when their intervals do not overlap",
    "level": "first and last x, rising when their intervals do not overlap",
    "flattens": "mean change a step before and after",
    "flattest": "change from the first to the last x, with the intervals of both, shown when none overlaps",
    "best-at": "means, shown when no other interval overlaps",
    "rises-then-falls": "order of the means",
    "settles": "distance from the last value",
    "between": "least and greatest mean",
    "steadiest": "standard deviation of the curve's late part",
}


def verdicts(folder, catalogue):
    """All verdicts that the figure CSVs of one folder allow, and what was wrong with files."""
    figures, problems, found = {}, [], []
    for file in sorted(folder.glob("*.csv")):
        if file.name.endswith(("-paired.csv", "-claims.csv")):
            continue
        try:
            figures |= {(p.figure, p.metric): p for p in read(file)}
        except BadCSV as error:
            problems.append(str(error))
    for file in sorted(folder.glob("*-claims.csv")):
        try:
            found += published(file, figures, catalogue)
        except (BadCSV, KeyError) as error:
            problems.append(f"{file}: {error}")
    return found + others(figures, catalogue), problems
