"""The threshold that an earlier run found for a cell, on pictures whose truth is told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camx.evaluators import fields, records
from camx.evaluators.earlier import completed
from camx.evaluators.predictions.rules import PROTOCOLS, SPAN, Rule
from camx.evaluators.records import Run
from camx.evaluators.tasks.defects import masks
from camx.evaluators.types import Cell

# Of a localization run, those of a measure's curves that say which pixels, or which box, is right.
CURVES = (("pxap", "IoU"), ("maxboxacc", "largest contour, IoU >= 0.5"))
IRRELEVANT = ("name", "threshold", "iou")  # of a protocol: what moves no map


@dataclass(frozen=True)
class Wanted:
    """What a run must have measured; `protocols` are those asked for, by task, where any is."""

    model: str
    sha256: str
    layers: Mapping[str, Any]
    cell: Cell
    tasks: Sequence[str]
    protocols: Mapping[str, Mapping[str, Any]]

    def __str__(self) -> str:
        told = f"`camx {'` or `camx '.join(self.tasks)}`"
        asked = {protocol["name"] for protocol in self.protocols.values()}
        words = "".join(f", protocol {name}" for name in sorted(asked))
        return f"{told} of {self.cell} with {self.model}'s weights {self.sha256[:12]}{words}"


def candidates(runs: Path, weights: str | None) -> list[Run]:
    """The runs below a folder and those in folders beside the weights, the newest first."""
    folders = [run.folder for run in records.find(runs)] if runs.is_dir() else []
    if weights and Path(weights).is_file():
        home = Path(weights).resolve().parent
        folders += [p.parent for place in (home, home.parent) for p in place.glob("*/run.json")]
    unique = {folder.resolve(): folder for folder in reversed(folders)}
    return sorted(map(records.load, unique.values()), key=lambda run: run.newest, reverse=True)


def first(runs: Iterable[Run], wanted: Wanted) -> Run:
    """The first of the runs that suits. `ValueError` naming what was looked for."""
    unsuited = []
    for run in runs:
        if run.command not in PROTOCOLS:
            continue
        if not (fault := differing(run, wanted)):
            return run
        unsuited.append(f"{run.folder} {fault}")
    told = f" ({unsuited[0]})" if unsuited else ""
    repair = "measure it, name a run (--from RUN), or give a number (--threshold 0.3)"
    raise ValueError(f"--threshold auto: no run of {wanted}{told}; {repair}")


def named(run: Run, wanted: Wanted) -> Run:
    """A run that was named, if it suits. `ValueError` saying why it does not."""
    if fault := differing(run, wanted):
        raise ValueError(f"--from {run.folder} {fault}; expected a run of {wanted}")
    return run


def differing(run: Run, wanted: Wanted) -> str:
    """Why a run has no threshold for what is wanted; empty if it has one."""
    if run.command not in wanted.tasks:
        return f"is of `camx {run.command}`"
    if run.model != wanted.model:
        return f"is of {run.model}"
    if run.identity.get("weights_sha256") != wanted.sha256:
        return f"is of weights {str(run.identity.get('weights_sha256'))[:12]}"
    if run.identity.get("layers", wanted.layers) != wanted.layers:
        return f"is of {run.model} with other layers"
    made, asked = completed(run.protocol), wanted.protocols.get(run.command, {})
    for name in asked.keys() - set(IRRELEVANT):
        if made.get(name) != asked[name]:
            return f"has {name} {made.get(name)!r}, not {asked[name]!r}"
    if threshold(run, wanted.cell) is None:
        cells = [cell for cell in records.done(run.folder) if cell.layers]
        if wanted.cell not in cells:
            listed = ", ".join(sorted(map(str, cells))) or "nothing"
            return f"did not measure {wanted.cell} (but {listed})"
        return "found no threshold, which `--measure pxap` or `--measure maxboxacc` does"
    return ""


def rule(run: Run, cell: Cell) -> Rule:
    """A run's protocol and the threshold that it found for a cell."""
    kind, file = PROTOCOLS[run.command], str(run.folder / "run.json")
    protocol = fields.built(kind, completed(run.protocol), file)
    told = threshold(run, cell)
    assert told is not None
    value, scale, about = told
    return Rule(run.command, protocol, value, scale, f"{about} of {run.folder}")


def threshold(run: Run, cell: Cell) -> tuple[float, str, str] | None:
    """A cell's threshold in a run, its scale, and what it is best by; None without one."""
    return (_of_defects if run.command == "defects" else _of_measures)(run, cell)


def _of_defects(run: Run, cell: Cell) -> tuple[float, str, str] | None:
    """That of the highest mean IoU on the test images."""
    frame = records.read(run.folder, [*records.KEY, "split", "inside", "outside"])
    held = (frame[records.CELL] == list(cell.key)).all(axis=1) & (frame["split"] == "test")
    if not held.any():
        return None
    counts = [np.stack(frame.loc[held, part].to_list()) for part in ("inside", "outside")]
    grid = masks.grid(run.protocol["thresholds"])
    value = float(grid[masks.best(counts[0], counts[1], grid)])
    return value, "255", f"the best mean IoU of {int(held.sum())} images"


def _of_measures(run: Run, cell: Cell) -> tuple[float, str, str] | None:
    """That of the pixels' highest IoU, or else of the most right boxes."""
    import pandas as pd

    path = run.folder / "thresholds.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path, keep_default_na=False)
    for measure, curve in CURVES:
        of_curve = (table["measure"] == measure) & (table["curve"] == curve)
        rows = table[of_curve & (table[records.CELL] == list(cell.key)).all(axis=1)]
        if len(rows):
            return float(rows["threshold"].iloc[0]), SPAN, f"the best {curve} ({measure})"
    return None
