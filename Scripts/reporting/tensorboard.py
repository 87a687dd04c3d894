"""Training curves for TensorBoard."""

import math
import re

from .sweep import ReportError, number


def writer_class():
    try:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter
    except ImportError:
        pass
    try:
        from tensorboardX import SummaryWriter

        return SummaryWriter
    except ImportError:
        raise ReportError(
            "--tensorboard needs a writer of event files: pip install tensorboardX (or torch and tensorboard)"
        ) from None


def write(sweeps, folder):
    """One folder of events for each run, named by its label; returns the number of curves."""
    make = writer_class()
    count = 0
    for sweep in sweeps:
        for run in sweep.runs:
            rows = run.rows("episodes.csv") if run.is_done else run.progress()
            rows = [row for row in rows if row.get("phase", "train") == "train"]
            if not rows or not run.is_learner:
                continue
            name = re.sub(r"[^A-Za-z0-9=._-]+", "_", run.label)
            with make(str(folder / sweep.name / name)) as events:
                for column in rows[0]:
                    if column in ("episode", "phase", "window_start_s"):
                        continue
                    values = [(int(row["episode"]), number(row[column])) for row in rows]
                    values = [(step, value) for step, value in values if not math.isnan(value)]
                    count += bool(values)
                    for step, value in values:
                        events.add_scalar(column, value, step)
    return count
