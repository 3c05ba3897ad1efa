"""The protocol audit: the task `localize` under many conventions in one pass (docs/audit.md).

Records of the base protocol are a run's of `camx localize`; those of a convention lie beside them,
in ``records-<field>=<value>/``, so that any set of conventions may be added to a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from camx.evaluators import tasks
from camx.evaluators.audit import conventions
from camx.evaluators.fields import Checked, text
from camx.evaluators.records import Writer
from camx.evaluators.tasks import Task
from camx.evaluators.tasks.localize import Protocol
from camx.evaluators.types import Cell

if TYPE_CHECKING:
    from camx.evaluators.grids import Missing
    from camx.evaluators.loop import Measurement, Tick

HELP = """Say how far each convention moves each number and each rank, in one pass.

Why is my number different? A convention is one field of the protocol at another value; all else
stays as the base protocol has it. Its numbers are those of `camx localize --set FIELD=VALUE`.

\b
camx audit                                                 the usual conventions, on the miniature
camx audit --over interpolation,iou                        two fields, each at its other values
camx audit --over threshold=0.2:0.3 --protocol single      these values, of another base
camx audit --data ILSVRC --weights vgg16.pth --sample 1000 on your data
"""  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What `camx audit` is told besides."""

    split: str = text(
        default="",
        help="The data set's split, where it has any, as val or test.  [default: the reader's]",
    )
    over: tuple[str, ...] = text(
        many="iou", default=(), metavar="FIELDS",
        help="The fields to audit, by commas, each at all that it accepts or at the values named, "
        "as threshold=0.2:0.3; repeats.  [default: contours,interpolation,iou,threshold,view,"
        "gradient]",
    )  # fmt: skip


def task() -> Task:
    """The task `localize` as an audit measures it."""
    return replace(
        tasks.load("localize"), options=Options, out="audit", help=HELP, nulls=(), loop=_loop,
        check=_check, cells=_cells, unsaved=_unsaved, judges=lambda *_: (), others=lambda *_: None,
        identity=lambda _: {},
    )  # fmt: skip


def asked(job: "Measurement[Protocol, Options]") -> tuple[conventions.Convention, ...]:
    """The conventions that a job measures."""
    return conventions.asked(job.options.over, job.protocol)


def _check(options: Options, _given: Sequence[str]) -> None:
    """Refuse a convention that is none, before anything is loaded."""
    conventions.read(options.over)


def _cells(cells: Sequence[Cell], options: Options, protocol: Protocol) -> list[Cell]:
    """The cells as they are. `ValueError` for conventions that do not go with the protocol."""
    conventions.asked(options.over, protocol)
    return list(cells)


def _unsaved(job: "Measurement[Protocol, Options]") -> Mapping[str, set[Cell]]:
    """The cells that any convention has no record of, by image."""
    unsaved: dict[str, set[Cell]] = {}
    for convention in asked(job):
        for image_id, cells in job.lacking(convention.kind).items():
            unsaved.setdefault(image_id, set()).update(cells)
    return unsaved


def _loop(
    job: "Measurement[Protocol, Options]",
    samples: Sequence[Any],
    missing: "Missing",
    writer: Writer,
    tick: "Tick",
) -> None:
    """Measure what is missing; see `turns`."""
    from camx.evaluators.audit import turns

    turns.measure(job, samples, missing, writer, tick)
