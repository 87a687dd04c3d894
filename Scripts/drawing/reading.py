"""Figure CSVs, checked while they are read."""

import csv
import json
import math
import re

REQUIRED = ["figure", "series", "x", "metric", "n_seeds", "mean", "ci95_low", "ci95_high"]
STYLES = ("auto", "bars", "lines")

UNITS = {
    "gflops": "GFLOP/s",
    "gflop": "GFLOP",
    "flop": "FLOP",
    "bps": "bit/s",
    "bits": "bit",
    "bytes": "byte",
    "hz": "Hz",
    "mib": "MiB",
    "ms": "ms",
    "s": "s",
    "m": "m",
    "j": "J",
    "percent": "%",
}
LABELS = {
    "return": "episode return",
    "loss": "training loss",
    "backlog_client_gflop": "backlog of client vehicles (GFLOP)",
    "backlog_rsu_gflop": "backlog of the RSU (GFLOP)",
    "backlog_service_gflop": "backlog of service vehicles (GFLOP)",
    "share_local": "share of local tasks",
    "share_rsu": "share of tasks at the RSU",
    "share_service": "share of tasks at service vehicles",
    "missed": "share of missed deadlines",
    "releaseRate": "release rate (tasks/s per vehicle)",
    "denoisingSteps": "denoising steps M",
    "V": "V",
    "M": "M",
}
WORDS = {"rsu": "RSU", "dnn": "DNN", "p95": "95th-percentile", "v2v": "V2V", "v2i": "V2I"}

# Keys whose values say by themselves what they are.
SELF_EXPLAINING = ("", "algorithm", "variant", "trace", "queue")


class BadCSV(Exception):
    """Something in a file that cannot be used."""

    def __init__(self, file, problem, line=None, column=None):
        place = str(file) + (f":{line}" if line else "")
        super().__init__(f"{place}: " + (f"column '{column}': " if column else "") + problem)


class Point:
    """One row: a mean over seeds at one x."""

    def __init__(self, x, mean, low, high, seeds, complete, pooled="", load=""):
        self.x, self.mean, self.low, self.high = x, mean, low, high
        self.seeds, self.complete = seeds, complete
        self.pooled, self.load = pooled, load


class Picture:
    """All series of one figure and metric."""

    def __init__(self, figure, metric):
        self.figure, self.metric = figure, metric
        self.title = ""
        self.x_name = ""
        self.style = "auto"  # or bars, lines: what the figure's companion asks for
        self.series = {}  # name -> {x text: Point}, in the order of the file
        self.names = {}  # as the file has it -> name

    def of(self, series):
        """The points of a series as the file names it; none where there is no such series."""
        return self.series.get(self.names.get(series), {})

    def points(self):
        return [point for series in self.series.values() for point in series.values()]

    def texts(self):
        """The distinct x as written, in the order of the file."""
        return list(dict.fromkeys(text for series in self.series.values() for text in series))

    @property
    def is_partial(self):
        return any(not point.complete for point in self.points())


def label(name):
    """`mean_delay_s` -> `mean delay (s)`, `clientVehicles` -> `client vehicles`."""
    if name in LABELS:
        return LABELS[name]
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).split("_")
    unit = UNITS.get(words[-1]) if len(words) > 1 else None
    if unit:
        words.pop()
    text = " ".join(
        WORDS.get(word.lower(), word if word.isupper() else word.lower()) for word in words
    )
    return f"{text} ({unit})" if unit else text


def series_label(name, key=""):
    """`7` of the key `clients` -> `clients = 7`, `p-qmix clients=3` -> `p-qmix, clients = 3`."""

    def spread(part):
        head, sign, value = part.partition("=")
        return f"{label(head)} = {value}" if sign and head not in SELF_EXPLAINING else value or head

    keys = [word for word in re.split(r"[ ,+]+", key) if word]
    first, *rest = name.split(" ")
    if any("=" not in part for part in rest):
        return name
    if "=" not in first and keys and keys[0] not in SELF_EXPLAINING:
        first = f"{keys[0]}={first}"
    return ", ".join(map(spread, [first, *rest]))


def table(file):
    """Header and rows (line, dictionary) of a CSV file, each row as wide as the header."""
    reader = None
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, None)
            if header is None:
                raise BadCSV(file, "the file is empty; expected a header")
            repeated = [column for column in header if header.count(column) > 1]
            if repeated:
                raise BadCSV(file, "appears twice in the header", 1, repeated[0])
            rows = []
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    problem = f"{len(fields)} fields, but {len(header)} in the header"
                    raise BadCSV(file, problem, reader.line_num)
                rows.append((reader.line_num, dict(zip(header, fields))))
            return header, rows
    except OSError as error:
        raise BadCSV(file, error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise BadCSV(file, f"not UTF-8 (byte {error.start})") from None
    except csv.Error as error:
        raise BadCSV(file, str(error), reader.line_num) from None


def number(file, line, row, column, empty_allowed=True):
    """A finite number of a row; NaN where it is empty and may be."""
    text = row[column].strip()
    if text == "" and empty_allowed:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise BadCSV(file, f"'{text}' is not a number", line, column) from None
    if not math.isfinite(value):
        raise BadCSV(file, f"'{text}' is not finite", line, column)
    return value


def companion(file):
    """What `veclab figures` wrote beside a CSV about its figure; empty if there is nothing."""
    try:
        with open(file.with_suffix(".json"), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read(file):
    """The pictures of one figure CSV."""
    header, rows = table(file)
    missing = [column for column in REQUIRED if column not in header]
    if missing:
        raise BadCSV(file, f"no column {', '.join(map(repr, missing))} in the header", 1)
    about = companion(file)
    pictures = {}
    for line, row in rows:
        for column in ("figure", "metric"):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", row[column]):
                problem = f"'{row[column]}' cannot be part of a file name"
                raise BadCSV(file, problem, line, column)
        key = (row["figure"], row["metric"])
        picture = pictures.get(key)
        if picture is None:
            picture = pictures[key] = Picture(*key)
            picture.title = str(about.get("title", ""))
            style = about.get("style", "auto")
            picture.style = style if style in STYLES else "auto"
        picture.x_name = picture.x_name or row.get("x_name", "")
        name = series_label(row["series"], row.get("series_name", ""))
        picture.names[row["series"]] = name
        series = picture.series.setdefault(name, {})
        text = row["x"].strip()
        found = point(file, line, row, text)
        if text in series:
            problem = f"'{text}' is there twice for this figure, metric and series"
            raise BadCSV(file, problem, line, "x")
        series[text] = found
    if not pictures:
        raise BadCSV(file, "there is a header but no row")
    return list(pictures.values())


def point(file, line, row, text):
    """The point of one row."""
    seeds = number(file, line, row, "n_seeds", False)
    if seeds != int(seeds) or seeds < 0:
        raise BadCSV(file, f"'{row['n_seeds']}' is not a count", line, "n_seeds")
    complete = row.get("complete", "true").strip().lower()
    if complete not in ("true", "false"):
        raise BadCSV(file, f"'{complete}' is neither true nor false", line, "complete")
    mean = number(file, line, row, "mean")
    low, high = number(file, line, row, "ci95_low"), number(file, line, row, "ci95_high")
    if math.isnan(low) != math.isnan(high):
        raise BadCSV(file, "only one end of the interval is given", line, "ci95_low")
    if low > high:
        raise BadCSV(file, f"{low:g} is above ci95_high, {high:g}", line, "ci95_low")
    try:
        x = float(text)
        x = x if math.isfinite(x) else None
    except ValueError:
        x = None
    return Point(
        x, mean, low, high, int(seeds), complete == "true",
        row.get("pooled_over", "").strip(), row.get("load", "").strip(),
    )  # fmt: skip
