"""What an experiment has measured, as pandas data frames."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import VeclabError

if TYPE_CHECKING:
    import pandas

_SHORT = 12


@dataclass
class Results:
    """An experiment's folder of results. Tables are read when they are asked for.

    Every row of a run's table begins with `run` (first digits of the run's id), `algorithm` and every parameter in which the finished
    runs differ; parameters that an algorithm does not have are empty.
    """

    folder: Path
    _documents: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def parameters(self) -> list[str]:
        """Parameters in which the runs differ, and `seed`."""
        seen: dict[str, set[str]] = {}
        counts: dict[str, int] = {}
        for document in self._documents.values():
            for key, value in document["run"]["parameters"].items():
                seen.setdefault(key, set()).add(json.dumps(value))
                counts[key] = counts.get(key, 0) + 1
        total = len(self._documents)
        differing = [key for key, values in seen.items() if len(values) > 1 or (0 < counts[key] < total)]
        return sorted(set(differing) | {"seed"})

    def _head(self, id: str) -> dict[str, Any]:
        run = self._documents[id]["run"]
        values = run["parameters"]
        head = {"run": id[:_SHORT], "algorithm": run["algorithm"]}
        if len({document["run"]["trace"] for document in self._documents.values()}) > 1:
            head["trace"] = run["trace"][:_SHORT]
        for key in self.parameters:
            value = values.get(key)
            head[key] = json.dumps(value) if isinstance(value, list) else value
        return head

    @cached_property
    def runs(self) -> pandas.DataFrame:
        """One row a finished run, in the order of algorithm and parameters; `folder` holds its files."""
        import pandas

        rows = [
            {**self._head(id), "folder": str(self.folder / "runs" / id / "result")} for id in self._documents
        ]
        return pandas.DataFrame(rows)

    def table(self, name: str) -> pandas.DataFrame:
        """A CSV file of every run that has it, such as `backlogs.csv`, below each other.

        Raises:
            VeclabError: if no run has it.
        """
        import pandas

        frames = []
        for id in self._documents:
            path = self.folder / "runs" / id / "result" / name
            if not path.exists():
                continue
            frame = pandas.read_csv(path, float_precision="round_trip")
            head = {key: value for key, value in self._head(id).items() if key not in frame.columns}
            repeated = pandas.DataFrame({key: [value] * len(frame) for key, value in head.items()})
            frames.append(pandas.concat([repeated, frame], axis=1))
        if not frames:
            known = sorted(
                {p.name for id in self._documents for p in (self.folder / "runs" / id / "result").glob("*.csv")}
            )
            raise VeclabError(f"{self.folder}: no run has a table '{name}'. There are {', '.join(known)}.")
        # Columns without any value would lose their type in the union.
        return pandas.concat([f.dropna(axis=1, how="all") for f in frames], ignore_index=True).reindex(
            columns=list(dict.fromkeys(column for f in frames for column in f.columns))
        )

    @cached_property
    def episodes(self) -> pandas.DataFrame:
        """`episodes.csv` of every run: measures of every episode."""
        return self.table("episodes.csv")

    @cached_property
    def slots(self) -> pandas.DataFrame:
        """`slots.csv` of every run (model 1 with `record: slots`): one row a client and slot."""
        return self.table("slots.csv")

    @cached_property
    def tasks(self) -> pandas.DataFrame:
        """`tasks.csv` of every run (model 2 with `record: slots`): one row a task."""
        return self.table("tasks.csv")

    @cached_property
    def figures(self) -> dict[str, pandas.DataFrame]:
        """The figure files by name without `.csv`, as `veclab figures` has written them."""
        import pandas

        return {
            path.stem: pandas.read_csv(path, float_precision="round_trip")
            for path in sorted((self.folder / "figures").glob("*.csv"))
        }


def results(folder: str | os.PathLike[str]) -> Results:
    """The results of an experiment, such as `veclab.results("Results/p1-fig8a")`.

    Only published runs count; what they hold is as `veclab run` left it.

    Raises:
        VeclabError: if it is no folder of results, or no run is finished.
    """
    root = Path(folder)
    if not (root / "runs").is_dir():
        raise VeclabError(f"{root}: is not the folder of an experiment's results: it has no folder 'runs'")
    documents: dict[str, dict[str, Any]] = {}
    for path in sorted((root / "runs").glob("*/result/run.json")):
        if (path.parent / "manifest.json").exists():
            with open(path, encoding="utf-8") as file:
                documents[path.parent.parent.name] = json.load(file)
    if not documents:
        raise VeclabError(f"{root}: has no finished run. 'veclab status' tells how far it is.")
    order = sorted(
        documents,
        key=lambda id: (documents[id]["run"]["algorithm"], json.dumps(documents[id]["run"], sort_keys=True)),
    )
    return Results(root, {id: documents[id] for id in order})
