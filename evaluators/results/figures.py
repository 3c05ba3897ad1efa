"""Declarative figures, YAML files of what is drawn; the paper's are 1 and 4 to 10.

What a file's columns and rows are, ``{method: layercam, layer: S5}``, is as in the tables' files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from camx.camcore.suggestions import near
from camx.evaluators.fields import finite
from camx.evaluators.files import parse_yaml, read_text
from camx.evaluators.results.tables import CELL, task_of
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell

_FOLDER = resources.files("camx.configs") / "figures"
KINDS = ("maps", "gradients", "masks")
SHOWN = ("boxes", "truth")
NEEDED = ("title", "source", "command", "kind", "images")
KNOWN = (*NEEDED, "columns", "rows", "shows", "maps")
MOST = 1000  # images
Place = tuple[int, int]  # a row and a column


@dataclass(frozen=True)
class Figure:
    """A declarative figure: its `name` (the file's), and what is drawn.

    `kind` is ``maps`` over their images, ``gradients``, whose variances are drawn, or ``masks`` of
    segmentation. Each of so many `images` has the `rows`, of which there is one at least, and the
    `columns`; `cells` says what is at a row and a column. `shows` are ``boxes``, true and
    predicted, and ``truth``, true masks. `maps` is how many feature maps of each stage are drawn.
    """

    name: str
    title: str
    source: str
    task: Task
    kind: str
    images: int
    rows: tuple[str, ...] = ("",)
    columns: tuple[str, ...] = ()
    cells: Mapping[Place, Cell] = ()  # type: ignore[assignment]  # an empty mapping
    shows: tuple[str, ...] = ()
    maps: int = 0

    @property
    def label(self) -> str:
        """What it is called: ``Figure 5``."""
        return f"Figure {self.name}"


def names() -> list[str]:
    """The shipped figures, in the paper's order."""
    stems = {Path(e.name).stem for e in _FOLDER.iterdir() if e.name.endswith(".yaml")}
    return sorted(stems, key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() else 0, n))


def load(name: str) -> Figure:
    """Figure `name`, or the user's own ``FILE.yaml``, whose task's file is relative to it.

    Raises `ValueError` saying what is wrong where.
    """
    folder = None
    if name.endswith((".yaml", ".yml")):
        text, origin, folder = read_text(Path(name), "figure file"), name, Path(name).parent
    elif name in names():
        text, origin = (_FOLDER / f"{name}.yaml").read_text("utf-8"), f"figure {name}"
    else:
        accepted = f"{', '.join(names())} (or FILE.yaml){near(name, names())}"
        raise ValueError(f"unknown figure {name!r}; known: {accepted}")
    content = parse_yaml(text, origin)
    if not isinstance(content, dict):
        raise ValueError(f"{origin}: expected a mapping with {', '.join(NEEDED)}")
    _check(content, origin)
    task = task_of(content["command"], folder, origin)
    _suits(content, task, origin)
    rows = {str(row["row"]): row.get("cell") for row in content.get("rows", [])} or {"": {}}
    columns = {str(name): part for name, part in content.get("columns", {}).items()}
    cells = {
        (at, column): _cell(part, other, task, f"{origin}: {row or 'row'}, {name}")
        for at, (row, other) in enumerate(rows.items())
        for column, (name, part) in enumerate(columns.items())
    }
    return Figure(
        Path(name).stem, content["title"], content["source"], task, content["kind"],
        content["images"], tuple(rows), tuple(columns), cells,
        tuple(content.get("shows", ())), content.get("maps", 0),
    )  # fmt: skip


def _check(content: Mapping[Any, Any], origin: str) -> None:
    """Raise `ValueError` naming what of a figure is missing, unknown or of another kind."""
    for key in (key for key in NEEDED if key not in content):
        raise ValueError(f"{origin}: {key!r} is missing; a figure needs {', '.join(NEEDED)}")
    if strange := [key for key in content if key not in KNOWN]:
        accepted = f"{', '.join(KNOWN)}{near(strange[0], KNOWN)}"
        raise ValueError(f"{origin}: unknown {strange[0]!r}; known: {accepted}")
    for key in ("title", "source"):
        if not isinstance(content[key], str) or not content[key]:
            raise ValueError(f"{origin}: {key} is {content[key]!r}; expected a text")
    if content["kind"] not in KINDS:
        what = f"kind is {content['kind']!r}{near(content['kind'], KINDS)}"
        raise ValueError(f"{origin}: {what}; accepted: {', '.join(KINDS)}")
    for key, least in (("images", 1), ("maps", 0)):
        value = content.get(key, least)
        if not finite(value) or value != int(value) or not least <= value <= MOST:
            what = f"{key} is {value!r}; expected a whole number from {least} to {MOST}"
            raise ValueError(f"{origin}: {what}")
    shows = content.get("shows", [])
    if not isinstance(shows, list) or not all(word in SHOWN for word in shows):
        raise ValueError(f"{origin}: shows is {shows!r}; expected a list of {', '.join(SHOWN)}")
    columns, rows = content.get("columns", {}), content.get("rows", [])
    if not isinstance(columns, dict) or not (columns or content["kind"] == "gradients"):
        raise ValueError(f"{origin}: columns is {columns!r}; expected titles and their cells")
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "row" in r for r in rows):
        expected = "expected a list such as - {row: LayerCAM, cell: {method: layercam}}"
        raise ValueError(f"{origin}: rows is {rows!r}; {expected}")


def _suits(content: Mapping[str, Any], task: Task, origin: str) -> None:
    """Raise `ValueError` for what the figure shows that its command knows nothing of."""
    masks, shows = content["kind"] == "masks", content.get("shows", ())
    if masks and task.command != "segment":
        what = f"kind is masks, but the command is {task.name}"
        raise ValueError(f"{origin}: {what}; expected segment")
    if not masks and not task.network:
        what = f"kind is {content['kind']}, but the command {task.name} makes none"
        raise ValueError(f"{origin}: {what}; expected kind masks")
    if "boxes" in shows and not {"box", "threshold"} <= {f.name for f in fields(task.protocol)}:
        raise ValueError(f"{origin}: shows boxes, but `camx {task.name}` measures none")
    if "truth" in shows and task.data == "localization":
        raise ValueError(f"{origin}: shows truth, but `camx {task.name}` knows no masks")


def _cell(column: Any, row: Any, task: Task, where: str) -> Cell:
    """The cell at a row and a column as records name it. `ValueError` for what makes none."""
    if not isinstance(column, dict | None) or not isinstance(row, dict | None):
        raise ValueError(f"{where}: expected a mapping such as {{method: layercam, layer: S5}}")
    words = {"variant": "", **(column or {}), **(row or {})}
    if strange := [key for key in words if key not in CELL]:
        raise ValueError(f"{where}: unknown {strange[0]!r}; a cell has {', '.join(CELL)}")
    for key in (key for key in CELL if not isinstance(words.get(key), str)):
        raise ValueError(f"{where}: {key} is {words.get(key)!r}; a cell has {', '.join(CELL)}")
    try:
        return task.canonical(Cell.of(*(words[key] for key in CELL)))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def file_name(figure: Figure, suffix: str) -> str:
    """``figure_05.png`` for Figure 5; a user's own keeps its name."""
    number = f"{int(figure.name):02d}" if figure.name.isdecimal() else figure.name
    return f"figure_{number}.{suffix}"


def layers(figure: Figure) -> Sequence[str]:
    """Every layer that the figure's cells are read at, once."""
    return list(dict.fromkeys(name for cell in figure.cells.values() for name in cell.layers))
