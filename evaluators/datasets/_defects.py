"""What readers of defect data that lies in folders share."""

from collections.abc import Collection, Iterator
from pathlib import Path

from camx.evaluators.datasets.dagm import pictures
from camx.evaluators.files import folders

MASK = "_mask"  # at the end of a mask's name


def called(parent: Path, names: Collection[str]) -> list[Path]:
    """The folders in a folder that bear one of the names, in any case."""
    return [folder for folder in folders(parent) if folder.name.lower() in names]


def one(parent: Path, *names: str) -> Path | None:
    """The folder that bears one of the names, or None. `ValueError` naming the second of two."""
    places = called(parent, names)
    if len(places) > 1:
        raise ValueError(f"{places[1]}: {places[0]} stands beside it for the same; keep one")
    return places[0] if places else None


def everything(folder: Path) -> Iterator[Path]:
    """The pictures in a folder and in all folders below it."""
    yield from pictures(folder)
    for inner in folders(folder):
        yield from everything(inner)


def nothing_else(root: Path, parts: Collection[Path], read: Collection[Path], layout: str) -> None:
    """Raise `ValueError` naming a picture that is none of those `read`.

    Looked at are `root`, its folders, and everything below its `parts`. What lies deeper elsewhere,
    such as the pictures of runs in ``results/``, is nobody's.
    """
    for folder in (root, *folders(root)):
        places = everything(folder) if folder in parts else pictures(folder)
        for path in places:
            if path not in read:
                what = "a picture that is neither an image nor a mask of this data set"
                raise ValueError(f"{path}: {what}; expected {layout}")
