"""Drawing of one figure and metric with matplotlib, as a paper would print it."""

import math
import os
import statistics
import tempfile

# A fixed time instead of now, for whatever matplotlib would stamp into its files.
os.environ["SOURCE_DATE_EPOCH"] = "0"

import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot  # noqa: E402
import matplotlib.ticker as ticker  # noqa: E402
import matplotlib.transforms as transforms  # noqa: E402

from .reading import label  # noqa: E402

# Okabe and Ito's colours, which people with any common colour blindness can tell apart, without
# the yellow, which is too light on white.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h"]
# Dashes go round at another pace than colours and markers: lines also differ in grey.
DASHES = ["-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (8, 2))]
HATCHES = ["", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oooo"]

BAND_FROM = 16  # points in a series
LEGEND_OUTSIDE_FROM = 4  # series
DODGE = 9  # points (1/72 inch) over which the error bars of all series at the same x are spread
COINCIDING = 0.008  # of the height of the axis: lines nearer than that cannot be told apart

# Inches: one and two columns of a two-column paper, and what fits a screen.
WIDTHS = {"screen": 4.6, "column": 3.5, "text": 7.16}

FORMATS = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


def set_up():
    """Settings of every picture, whatever the user's own are."""
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(
        {
            "font.size": 8.5,
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "hatch.linewidth": 0.5,
            "hatch.color": "white",
            "legend.fontsize": 7.5,
            # Text stays text, with its font in the file.
            "pdf.fonttype": 42,
            "svg.hashsalt": "veclab",
            "savefig.dpi": 300,
            "axes.formatter.use_mathtext": True,
        }
    )


def look_of(index):
    """Colour, marker and dashes of the series at `index`: no two of the first 24 are alike."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index % len(DASHES)],
    }


def wide_range(values, factor):
    """Whether positive values span so much that only a logarithmic axis shows all of them."""
    return min(values) > 0 and max(values) / min(values) >= factor


def series_far_apart(picture):
    """Whether lines at typically the same x are so far apart that some would lie on the axis."""
    at = {}
    for point in picture.points():
        if not math.isnan(point.mean):
            at.setdefault(point.x, []).append(point.mean)
    return min(map(min, at.values())) > 0 and statistics.median(
        max(means) / min(means) for means in at.values()
    ) >= 8


def log_spaced(values):
    """Whether increasing positive numbers keep a better distance on a logarithmic axis."""
    if len(values) < 3 or not wide_range(values, 10):
        return False

    def least_gap(places):
        return min(b - a for a, b in zip(places, places[1:])) / (places[-1] - places[0])

    return least_gap([math.log(value) for value in values]) > 1.15 * least_gap(values)


def intervals(points):
    """Lengths of the error bars below and above the means; 0 where there is no interval."""
    below = [0 if math.isnan(p.low) else max(p.mean - p.low, 0) for p in points]
    above = [0 if math.isnan(p.high) else max(p.high - p.mean, 0) for p in points]
    return [below, above]


def vertical_limits(points, logarithmic, foot):
    """Ends of the vertical axis; an interval much longer than the means are apart does not stretch it.

    From 0 for bars (`foot`) and where that flattens nothing.
    """
    means = [p.mean for p in points]
    lows = [p.mean if math.isnan(p.low) else p.low for p in points]
    highs = [p.mean if math.isnan(p.high) else p.high for p in points]
    if logarithmic:
        reach = max(4, (max(means) / min(means)) ** 0.5)
        bottom = max(min(low if low > 0 else 0 for low in lows), min(means) / 4)
        return bottom / 1.3, min(max(highs), max(means) * reach) * 1.3
    reach = 1.2 * max(max(means) - min(means + ([0] if foot else [])), 0.4 * max(map(abs, means)))
    reach = reach or 1
    bottom, top = max(min(lows), min(means) - reach), min(max(highs), max(means) + reach)
    margin = 0.06 * (top - bottom) or 0.06 * abs(top) or 1
    if foot or (min(means) >= 0 and bottom < 0.6 * top):
        return min(0, bottom - margin if min(means) < 0 else 0), max(0, top + margin)
    return bottom - margin, top + margin


def coinciding(picture, limits, logarithmic):
    """Groups of series that lie on each other at all x that they share."""

    def place(value):
        bottom, top = limits
        if logarithmic:
            return math.log(value / bottom) / math.log(top / bottom)
        return (value - bottom) / (top - bottom)

    def same(a, b):
        shared = [
            (p.mean, b[text].mean) for text, p in a.items()
            if text in b and not math.isnan(p.mean + b[text].mean)
        ]  # fmt: skip
        return bool(shared) and all(abs(place(x) - place(y)) < COINCIDING for x, y in shared)

    groups = []
    for name, series in picture.series.items():
        for group in groups:
            if same(picture.series[group[0]], series):
                group.append(name)
                break
        else:
            groups.append([name])
    return [group for group in groups if len(group) > 1]


class Drawing:
    """One picture on its way: what all kinds of marks need to know."""

    def __init__(self, picture, axes):
        self.picture, self.axes = picture, axes
        self.points = [p for p in picture.points() if not math.isnan(p.mean)]
        self.texts = picture.texts()
        self.is_numeric = all(point.x is not None for point in picture.points())
        self.is_single = len(self.texts) == 1
        self.has_bars = self.is_single or not self.is_numeric or picture.style == "bars"
        means = [p.mean for p in self.points]
        # Shares end at 1 and are compared by their differences.
        self.is_logarithmic = "share" not in picture.metric.split("_") and (
            wide_range(means, 50) or (not self.has_bars and series_far_apart(picture))
        )
        self.limits = vertical_limits(self.points, self.is_logarithmic, self.has_bars)
        self.groups = [] if self.has_bars else coinciding(picture, self.limits, self.is_logarithmic)
        self.leaves = False

    def draw(self):
        if self.is_logarithmic:
            self.axes.set_yscale("log", nonpositive="clip")
        self.axes.set_ylim(*self.limits)
        if self.is_single:
            self.draw_single()
        elif self.has_bars:
            self.draw_groups()
        else:
            self.draw_lines()

    def mark_leaving(self, places, points, colour, transform=None):
        """A small triangle at the edge of the axis where an interval goes on beyond it."""
        bottom, top = self.limits
        for x, p in zip(places, points):
            for end, edge, marker in ((p.high, top, "^"), (p.low, bottom, "v")):
                # Bars stand on 0, and logarithmic axes have none: an end there has left.
                if math.isnan(end) or not (end > top if marker == "^" else end < bottom):
                    continue
                self.leaves = True
                self.axes.plot(
                    [x], [edge], linestyle="none", marker=marker, color=colour, markersize=4,
                    clip_on=False, zorder=5, transform=transform or self.axes.transData
                )  # fmt: skip

    # Lines

    def line_look(self, index, name):
        """The look of a line; of lines on each other the first is broad and pale, the last thin."""
        look = {**look_of(index), "linewidth": 1.4, "markersize": 4.5, "zorder": 3}
        for group in self.groups:
            if name in group:
                rank, last = group.index(name), len(group) - 1
                look["linewidth"] = 1.1 + 2.4 * (last - rank) / last
                look["markersize"] = 4 + 3.5 * (last - rank) / last
                look["zorder"] = 3 + rank / (last + 1)
                if rank < last:
                    look["alpha"] = 0.55
                    look["linestyle"] = "-"
        return look

    def draw_lines(self):
        """One line for each series over a numeric x."""
        longest = max(len(series) for series in self.picture.series.values())
        for index, (name, series) in enumerate(self.picture.series.items()):
            points = sorted(
                (p for p in series.values() if not math.isnan(p.mean)), key=lambda p: p.x
            )
            if longest >= BAND_FROM:
                self.draw_band(index, name, points)
            else:
                self.draw_error_bars(index, name, points)
        self.set_numbers(has_bands=longest >= BAND_FROM)

    def draw_band(self, index, name, points):
        x, mean = [p.x for p in points], [p.mean for p in points]
        look = self.line_look(index, name)
        # A few markers, at other places for each series, keep the lines apart in grey.
        step = max(len(x) // 8, 1)
        self.axes.plot(x, mean, markevery=(index * 3 % step, step), label=name, **look)
        low = [p.mean if math.isnan(p.low) else p.low for p in points]
        high = [p.mean if math.isnan(p.high) else p.high for p in points]
        self.axes.fill_between(x, low, high, color=look["color"], alpha=0.18, linewidth=0)
        bottom, top = self.limits
        self.leaves = self.leaves or min(low) < bottom or max(high) > top

    def draw_error_bars(self, index, name, points):
        axes, count = self.axes, len(self.picture.series)
        x, mean = [p.x for p in points], [p.mean for p in points]
        shift = (index - (count - 1) / 2) * min(DODGE / count, DODGE / 5) / 72
        moved = axes.transData + transforms.ScaledTranslation(shift, 0, axes.figure.dpi_scale_trans)
        look = self.line_look(index, name)
        axes.errorbar(
            x, mean, yerr=intervals(points), capsize=2, elinewidth=0.9, label=name,
            transform=moved, **look
        )  # fmt: skip
        partial = [p for p in points if not p.complete]
        axes.plot(
            [p.x for p in partial], [p.mean for p in partial], linestyle="none",
            marker=look["marker"], markersize=4.5, markeredgecolor=look["color"],
            markerfacecolor="white", transform=moved, zorder=4
        )  # fmt: skip
        self.mark_leaving(x, points, look["color"], moved)

    def set_numbers(self, has_bands):
        """Scale and ticks of a numeric horizontal axis."""
        axes = self.axes
        every = sorted({point.x for point in self.picture.points()})
        if not has_bands and log_spaced(every):
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(ticker.NullLocator())
        if len(every) <= 12:
            axes.xaxis.set_major_locator(ticker.FixedLocator(every))
            axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axes.tick_params(axis="x", which="minor", bottom=False)
        elif all(value == int(value) for value in every) and axes.get_xscale() == "linear":
            axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        if has_bands:
            axes.set_xlim(every[0], every[-1])
        elif axes.get_xscale() == "log":
            margin = (every[-1] / every[0]) ** 0.05
            axes.set_xlim(every[0] / margin, every[-1] * margin)
        else:
            margin = 0.05 * (every[-1] - every[0])
            axes.set_xlim(every[0] - margin, every[-1] + margin)

    # Bars

    def draw_groups(self):
        """A group of bars for each x (of marks on a logarithmic axis, where a bar has no foot)."""
        count = len(self.picture.series)
        width = 0.8 / count
        for index, (name, series) in enumerate(self.picture.series.items()):
            places, points = [], []
            for group, text in enumerate(self.texts):
                if text in series and not math.isnan(series[text].mean):
                    places.append(group + (index - (count - 1) / 2) * width)
                    points.append(series[text])
            self.draw_marks(places, points, look_of(index), index, width, name)
        self.set_categories(self.texts)
        for edge in range(1, len(self.texts) if count > 1 else 0):
            self.axes.axvline(edge - 0.5, color="0.9", linewidth=0.8, zorder=0)
        self.axes.set_xlim(-0.5, len(self.texts) - 0.5)

    def draw_single(self):
        """One bar for each series, when there is only one x."""
        for index, series in enumerate(self.picture.series.values()):
            points = [p for p in series.values() if not math.isnan(p.mean)]
            # All bars in one colour: the axis names them.
            self.draw_marks([index] * len(points), points, look_of(0), 0, 0.65, None)
        self.set_categories(list(self.picture.series))
        self.axes.set_xlim(-0.6, len(self.picture.series) - 0.4)

    def draw_marks(self, places, points, look, index, width, name):
        mean, lengths = [p.mean for p in points], intervals(points)
        if self.is_logarithmic:
            self.axes.errorbar(
                places, mean, yerr=lengths, linestyle="none", color=look["color"],
                marker=look["marker"], markersize=5, capsize=2.5, elinewidth=0.9, label=name,
                zorder=3
            )  # fmt: skip
        else:
            self.axes.bar(
                places, mean, width=width * 0.94, color=look["color"], edgecolor="white",
                yerr=lengths if any(map(any, lengths)) else None, linewidth=0.4,
                hatch=HATCHES[index % len(HATCHES)],
                error_kw={"elinewidth": 0.9, "capsize": 2, "ecolor": "0.2"}, label=name, zorder=2
            )  # fmt: skip
        self.mark_leaving(places, points, look["color"] if self.is_logarithmic else "0.2")

    def set_categories(self, names):
        axes = self.axes
        axes.set_xticks(range(len(names)))
        room = 13 * axes.figure.get_figwidth()
        slanted = sum(len(name) + 2 for name in names) > room
        axes.set_xticklabels(
            names,
            rotation=30 if slanted else 0,
            ha="right" if slanted else "center",
            rotation_mode="anchor" if slanted else "default",
        )
        axes.tick_params(axis="x", length=0)

    # Around the marks

    def label_axes(self, x_label):
        axes, picture = self.axes, self.picture
        axes.set_ylabel(label(picture.metric) + (", log scale" if self.is_logarithmic else ""))
        if self.is_logarithmic:
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            if self.limits[1] / self.limits[0] < 2000:
                axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_formatter(ticker.NullFormatter())
        largest = max(map(abs, self.limits))
        if largest >= 1e5 and not self.is_logarithmic:
            exponent = math.floor(math.log10(largest))

            def scaled(value, _):
                return f"{value / 10**exponent:g}".replace("-", "\N{MINUS SIGN}")

            axes.yaxis.set_major_formatter(ticker.FuncFormatter(scaled))
            axes.set_ylabel(axes.get_ylabel() + rf" / $10^{exponent}$")
        name = x_label or label(picture.x_name or ("x" if self.is_numeric else ""))
        if self.is_single and name:
            name = f"{name} = {self.texts[0]}" if self.texts[0] else name
        axes.set_xlabel(name)
        axes.grid(axis="y", color="0.88", linewidth=0.6)
        axes.set_axisbelow(True)

    def add_legend(self):
        """Beside the axes where it could cover data, below them where a column leaves no room beside."""
        count = len(self.picture.series)
        if count == 1 or self.is_single:
            return
        text = {"handlelength": 2.8, "borderaxespad": 0.4, "labelspacing": 0.5}
        if not self.has_bars and count < LEGEND_OUTSIDE_FROM and not self.is_crowded:
            place = {"loc": "best", "framealpha": 0.85}
        elif self.axes.figure.get_figwidth() < 4:
            longest = max(map(len, self.picture.series))
            columns = max(1, min(count, 3, 64 // (longest + 6)))
            place = {
                "loc": "lower left", "bbox_to_anchor": (-0.12, 1.02), "ncols": columns,
                "frameon": False, "columnspacing": 1.2,
            }  # fmt: skip
        else:
            place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02), "frameon": False}
        self.axes.legend(edgecolor="none", **text, **place)

    @property
    def is_crowded(self):
        """Whether marks stand in all four corners, so that a legend inside would cover some."""
        bottom, top = self.axes.transData.transform([(0, v) for v in self.limits])[:, 1]
        left, right = self.axes.get_xlim()
        corners = set()
        for p in self.points:
            x = (p.x - left) / (right - left)
            for value in (p.low, p.mean, p.high):
                if math.isnan(value):
                    continue
                y = (self.axes.transData.transform((p.x, value))[1] - bottom) / (top - bottom)
                if x < 0.42 or x > 0.58:
                    corners.add((x > 0.5, y > 0.6 if y > 0.5 else y >= 0.4))
        return len(corners) == 4

    def footnotes(self):
        """What the marks mean: of how many seeds they are means, over what, at which load."""
        points = self.picture.points()
        seeds = sorted({point.seeds for point in points})
        notes = []
        if seeds[-1] == 1:
            notes.append("one seed, no interval")
        elif seeds[-1] > 1:
            some = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
            notes.append(f"mean over {some} seeds with 95 % interval")
        pooled = dict.fromkeys(
            label(word) for point in points for word in point.pooled.replace("+", " ").split()
        )
        if pooled:
            notes.append(f"each seed a mean over {', '.join(pooled)}")
        loads = self.loads()
        if loads:
            notes.append(f"offered work over capacity: {loads}")
        for group in self.groups:
            notes.append(f"coincide: {', '.join(group)}")
        if self.leaves:
            notes.append("triangles at the edge: the interval goes on beyond the axis")
        return notes

    def loads(self):
        """Loads by x, or one load where it does not depend on x; empty where the CSV has none."""
        by_text = {}
        for series in self.picture.series.values():
            for text, point in series.items():
                if point.load:
                    by_text.setdefault(text, []).append(float(point.load))
        means = {text: f"{statistics.fmean(values):.2f}" for text, values in by_text.items()}
        if len(set(means.values())) <= 1 or len(means) > 12:
            return " to ".join(sorted({min(means.values()), max(means.values())})) if means else ""
        return ", ".join(f"{load} at {text}" for text, load in means.items())


def make(picture, x_label="", width="screen", style=None):
    """The matplotlib figure of a picture; None when the CSV holds no value for it."""
    if style:
        picture.style = style
    if all(math.isnan(point.mean) for point in picture.points()):
        return None
    inches = WIDTHS[width]
    figure, axes = pyplot.subplots(figsize=(inches, min(0.72 * inches, 3.3)))
    drawing = Drawing(picture, axes)
    if width == "screen" and drawing.has_bars:
        count = len(picture.series)
        bars = count if drawing.is_single else count * len(drawing.texts)
        figure.set_figwidth(inches + max(0, min(bars - 12, 24)) * 0.1)
    drawing.draw()
    drawing.label_axes(x_label)
    drawing.add_legend()
    if picture.is_partial:
        frame = {"facecolor": "#FFF1F1", "edgecolor": "#B00020", "linewidth": 0.8, "pad": 2.5}
        axes.annotate(
            "PARTIAL DATA: some runs are missing", (0.01, 0.985), xycoords="axes fraction",
            fontsize=7.5, color="#B00020", fontweight="bold", va="top", bbox=frame, zorder=10
        )  # fmt: skip

    # Below whatever the axis has by now: its labels may be slanted.
    figure.canvas.draw()
    labels = axes.xaxis.get_tightbbox(figure.canvas.get_renderer())
    below = (labels.y0 - axes.bbox.y0) / figure.dpi * 72 - 3
    axes.annotate(
        "\n".join(drawing.footnotes()), (1, 0), xycoords="axes fraction", xytext=(0, below),
        textcoords="offset points", ha="right", va="top", fontsize=6.5, color="0.35", wrap=True
    )  # fmt: skip
    return figure


def save(figure, target, kind):
    """Writes a figure to a file or stream in one of FORMATS, the same bytes each time."""
    figure.savefig(
        target, format=kind, metadata=FORMATS[kind], bbox_inches="tight", pad_inches=0.04
    )


def write(figure, folder, name, kinds=("png", "pdf")):
    """Writes a figure into a folder, each file whole or not at all, and closes it; returns the files."""
    written = []
    for kind in kinds:
        file = folder / f"{name}.{kind}"
        handle, temporary = tempfile.mkstemp(prefix=".plot-", suffix=f".{kind}", dir=folder)
        os.close(handle)
        try:
            save(figure, temporary, kind)
            os.chmod(temporary, 0o644)
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
        written.append(file)
    pyplot.close(figure)
    return written
