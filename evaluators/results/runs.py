"""Recorded runs reduced to numbers, and which of them is preferred."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from camx.evaluators import records, tasks
from camx.evaluators.records import Run
from camx.evaluators.results import measures, tables
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell

_reduced: dict[Any, pd.DataFrame] = {}


@dataclass(frozen=True)
class Measured:
    """One run reduced: the numbers of each cell and metric (`measures.numbers`)."""

    run: Run
    numbers: pd.DataFrame

    @property
    def folder(self) -> Path:
        return self.run.folder

    @property
    def cells(self) -> list[Cell]:
        return list(dict.fromkeys(Cell.of(*map(str, key[:3])) for key in self.numbers.index))

    def rank(self, cell: Cell, metric: str | None = None) -> tuple[bool, int]:
        """How runs are preferred: the unchanged ``paper`` protocol, then most images of it."""
        held = self._counts[cell.key]
        return self.run.protocol["name"] != "paper", -(
            held[metric] if metric else max(held.values())
        )

    @cached_property
    def _counts(self) -> dict[tuple[str, str, str], dict[str, int]]:
        """How many images each cell has of each metric."""
        counts: dict[tuple[str, str, str], dict[str, int]] = {}
        for (method, layer, variant, metric), n in self.numbers["n"].items():
            counts.setdefault((method, layer, variant), {})[metric] = int(n)
        return counts


def measured(runs: Path, task: Task) -> list[Measured]:
    """Every run below `runs` that has records of the task, reduced; the newest first."""
    reduced = []
    for run in records.find(runs):
        if made(run, task) and len(numbers := _numbers(run.folder, task)):
            reduced.append(Measured(run, numbers))
    return sorted(reduced, key=lambda m: m.run.newest, reverse=True)


def _numbers(folder: Path, task: Task) -> pd.DataFrame:
    """`measures.numbers` of a run, reduced once for as long as its files are the same."""
    paths = sorted(path for path in (*folder.glob("*.*"), *folder.glob("records*/*")))
    states = ((str(path), path.stat()) for path in paths)
    files = tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)
    key = task.reference, task.plugin.sha256(), files
    if key not in _reduced:
        _reduced[key] = measures.numbers(measures.outcomes(folder, task), task)
    return _reduced[key]


def made(run: Run, task: Task) -> bool:
    """Whether the run holds the task's records: of its name, and of its file as it is."""
    digest = run.last.get("plugins", {}).get(task.name)
    same = task.plugin.shipped or not task.writes_records or digest == task.plugin.sha256()
    return run.command == task.command and same


def by_task(
    wanted: Iterable[Task], runs: Path, data: str | None = None
) -> dict[str, list[Measured]]:
    """The runs of each task by its name, newest first.

    Those of commands that read the same data are on one data set: `data` (name or folder), or the
    newest run's. Raises `ValueError` when runs were found, but none on `data`.
    """
    unique: dict[str, Task] = {}
    for task in wanted:
        other = unique.setdefault(task.name, task).reference
        if other != task.reference:
            raise ValueError(f"two tasks are named {task.name!r}: {other} and {task.reference}")
    reduced = {name: measured(runs, task) for name, task in unique.items()}
    names = {m.run.dataset["name"] for group in reduced.values() for m in group}
    kept = {}
    for name, group in reduced.items():
        kind = _kind(unique[name])
        alike = [m for other, ms in reduced.items() if _kind(unique[other]) == kind for m in ms]
        accepted = {data}
        if data is None:
            newest = max(alike, key=lambda m: m.run.newest, default=None)
            accepted = {newest.run.fingerprint} if newest else set()
        kept[name] = [m for m in group if {m.run.fingerprint, *m.run.dataset.values()} & accepted]
    if data is not None and names and not any(kept.values()):
        raise ValueError(f"no run on data {data!r}; the runs are on: {', '.join(sorted(names))}")
    return kept


def _kind(task: Task) -> tuple[str, str]:
    """What tasks have in common that read the same images: the kind of data, and the split."""
    return task.data, str(getattr(task.options, "split", ""))


def shipped() -> list[Task]:
    """camx's own tasks in the order of the paper's tables."""
    loaded, order = [tasks.load(name) for name in tasks.names()], tables.names()
    return sorted(loaded, key=lambda t: min(map(order.index, t.tables), default=len(order)))


def foreign(runs: Path) -> dict[str, Path]:
    """How the tasks of a user's that made runs can be loaded, and a run of each."""
    return {run.task: run.folder for run in records.find(runs) if run.task}
