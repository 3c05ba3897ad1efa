"""A recorded run's network, protocol and data again, so that its maps can be drawn."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from camx.camcore import networks
from camx.evaluators import fields, grids, tasks
from camx.evaluators.grids import Plan
from camx.evaluators.records import Run
from camx.evaluators.types import Cell, Dataset, completed


def plan(run: Run, cells: Sequence[Cell], device: str = "cpu") -> Plan:
    """How the run's maps of `cells` are made.

    Raises `ValueError` or `FileNotFoundError` in one line where its network, weights or methods are
    not what they were, or not there.
    """
    asked, task = run.last["options"] or {}, tasks.load(run.task or run.command)
    model, weights = asked.get("model") or run.model, asked.get("weights")
    preprocessing = str(run.protocol.get("preprocessing", "paper"))
    network = networks.load(str(model), weights, preprocessing, device)
    if network.sha256 != run.identity.get("weights_sha256"):
        raise ValueError(f"{weights or network.weights}: not the weights that {run.folder} is of")
    values = {**completed(run.protocol)}
    protocol = fields.built(task.protocol, values, str(run.folder / "run.json"))
    methods = [m for call in run.invocations for m in (call["options"] or {}).get("methods", ())]
    ours = {cell.method for cell in cells}
    named = [m for m in dict.fromkeys(methods) if "." in m or ":" in m or m in ours]
    made = grids.plan(network, protocol, cells, named, device)
    return replace(made, batch_size=made.view.crops)  # of one picture


def dataset(run: Run) -> Dataset[Any]:
    """The run's data set. `ValueError` or `FileNotFoundError` where it is another, or gone."""
    task = tasks.load(run.task or run.command)
    options = run.last["options"] or {}
    told = {f: options[f] for f in fields.of(task.options) if f in options}
    read = task.read(str(options["data"]), task.options(**told), int(options.get("seed") or 0))
    if read.fingerprint != run.fingerprint:
        raise ValueError(f"{read.root}: not the data that {run.folder} is of, or changed since")
    return read
