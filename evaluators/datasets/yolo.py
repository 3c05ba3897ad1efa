"""YOLO's text files: a line ``class cx cy w h`` for each object, in shares of the picture's sides.

``data.yaml`` names the classes (`names`, a list or a mapping from 0, or their number `nc`) and the
folders of images, or lists of them, of ``train``, ``val`` and ``test``, relative to `path` or the
file; ``../`` before them, as Roboflow writes it, is taken off. Without it there are ``images`` and
``labels``, perhaps in folders of splits, and ``classes.txt``. An image's labels are at its path
with the last ``images`` made ``labels``. Read by default is val, or else test.

A box is rounded to whole pixels, and at least one wide and high. A line of three or more points,
``class x1 y1 x2 y2 x3 y3 ...``, is a polygon: its box is the smallest around its points, and its
object the pixels whose centres lie inside. Where all of a class's lines are polygons, they are its
mask. Images without labels, or with an empty file of them, are YOLO's background: they are left
out, since nothing is to be localized on them. A picture that its EXIF turns is refused: its labels
may be of either. Labels of poses (`kpt_shape`) are not read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from camx.camcore.image_files import ORIENTATION, PICTURES
from camx.evaluators.datasets._objects import names_of, read_names, samples_of, settled
from camx.evaluators.datasets._paths import inside
from camx.evaluators.datasets._yolo_labels import read_labels
from camx.evaluators.files import (
    below,
    folders,
    listing,
    parse_yaml,
    read_lines,
    read_text,
    regular,
)
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.object_masks import Size
from camx.evaluators.types import Dataset, Sample

TITLE = "YOLO's text files: boxes, or polygons that are masks too"
SOURCE = "Ultralytics' documentation of its data sets; docs.ultralytics.com/datasets/detect"
TASK = "localization"
LAYOUT = (
    "data.yaml (train, val, test, names) or classes.txt, with images/<split>/*.jpg and "
    "labels/<split>/*.txt (YOLO)"
)
MARKS = ("data.yaml", "labels", "classes.txt")
SETTINGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
SPLITS = ("train", "val", "test")
USUAL = ("val", "test")
IMAGES, LABELS, NAMES = "images", "labels", "classes.txt"


@dataclass(frozen=True)
class Layout:
    """Where a data set's classes and splits are, whose entries are folders or lists of images.

    `names` is the file that names the classes, and `origin` what says where the rest is.
    """

    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, list[str]]
    base: Path
    origin: Path
    names: Path


def _settings(root: Path) -> Path | None:
    """The YAML file: `root` itself, or one of its usual names in it."""
    if root.suffix.lower() in (".yaml", ".yml"):
        return root
    return next((root / name for name in SETTINGS if (root / name).exists()), None)


def _names(root: Path) -> Path | None:
    """The file ``classes.txt``, in the folder or, as labelImg writes it, among the labels."""
    places = (root, *below(root, LABELS))
    return next((place / NAMES for place in places if (place / NAMES).exists()), None)


def accepts(root: Path) -> bool:
    return bool(_settings(root)) or bool(
        below(root, IMAGES) and below(root, LABELS) and _names(root)
    )


def _of_yaml(path: Path) -> Layout:
    said = parse_yaml(read_text(path, "YAML file"), str(path))
    if not isinstance(said, dict):
        raise ValueError(f"{path}: expected the keys {', '.join(SPLITS)} and names")
    if "kpt_shape" in said:
        raise ValueError(f"{path}: kpt_shape says that labels are of poses; expected boxes")
    splits = {}
    for split in (split for split in SPLITS if said.get(split)):
        value = said[split]
        splits[split] = [value] if isinstance(value, str) else value
        if not isinstance(splits[split], list) or not all(isinstance(e, str) for e in value):
            raise ValueError(f"{path}: {split} is {value!r}; expected a folder, or a list of such")
    folder = path.parent
    base = _base(said.get("path"), folder, path)
    return Layout(folder, _classes(said, path), splits, base, path, path)


def _base(said: Any, folder: Path, path: Path) -> Path:
    """What entries are relative to: `path`, or the file's folder, which may have been moved."""
    text = str(said or "")
    place = PurePosixPath(text)
    if not place.is_absolute() and ".." not in place.parts and (folder / place).is_dir():
        return folder / place
    if place.name == folder.resolve().name:
        return folder
    what = f"path is {text!r}, which is no folder below {folder} nor called as it"
    raise ValueError(f"{path}: {what}; expected such a one, or no path")


def _classes(said: dict[Any, Any], path: Path) -> tuple[str, ...]:
    """The classes' names by index. `ValueError` for a gap, or a number that is not theirs."""
    names, count = said.get("names"), said.get("nc")
    if isinstance(names, dict):
        keys = [str(key) for key in names]
        if sorted(keys) != sorted(map(str, range(len(keys)))):
            raise ValueError(f"{path}: names are of {', '.join(keys)}; expected 0, 1, 2, ...")
        names = [names[key] for key in sorted(names, key=int)]
    if names is None and isinstance(count, int):
        names = [f"class_{index}" for index in range(count)]  # as Ultralytics calls them
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path}: names are {names!r}; expected a list, or a mapping from 0")
    if count is not None and count != len(names):
        raise ValueError(f"{path}: nc is {count}, but there are {len(names)} names")
    return tuple(map(str, names))


def _of_folders(root: Path) -> Layout:
    (images, *_), names = below(root, IMAGES), _names(root)
    assert names, "it was accepted for them"
    splits = {folder.name: [f"{images.name}/{folder.name}"] for folder in folders(images)}
    if listing(images, PICTURES, "image"):
        splits = {"": [images.name]}
    return Layout(root, read_names(names), splits, root, images, names)


def _pictures(entry: str, layout: Layout) -> list[Path]:
    """The images of a folder and of those in it, or of a list of images, one a line."""
    while entry.startswith("../"):
        entry = entry[3:]
    place = inside(layout.base, entry, str(layout.origin))
    if place.suffix == ".txt":
        lines = read_lines(place, "list of images")
        if not lines:
            raise ValueError(f"{place}: lists no image; expected one a line")
        paths = [(inside(place.parent, line, f"{place}, line {n}"), n) for n, line in lines]
        return [regular(path, f"image, though line {n} of {place} names it") for path, n in paths]
    if not place.is_dir():
        raise FileNotFoundError(f"{layout.origin}: no such folder of images {place}")
    return _within(place)


def _within(folder: Path) -> list[Path]:
    deeper = (path for part in folders(folder) for path in _within(part))
    return [*listing(folder, PICTURES, "image"), *deeper]


def _labels(picture: Path, folder: Path) -> Path:
    """Where an image's labels are: its path with the last ``images`` made ``labels``."""
    parts = list(picture.relative_to(folder).parts)
    places = [place for place, part in enumerate(parts[:-1]) if part.lower() == IMAGES]
    if places:
        parts[places[-1]] = LABELS
    return folder.joinpath(*parts).with_suffix(".txt")


def _all_met(files: Iterable[Path]) -> None:
    """Raise `ValueError` for a file of labels beside these that is of no image."""
    met = set(files)
    for folder in sorted({path.parent for path in met}):
        for path in listing(folder, (".txt",), "file of labels"):
            if path not in met and path.name != NAMES:
                raise ValueError(f"{path}: labels without their image; expected one of that name")


def _size(path: Path) -> Size:
    try:
        with Image.open(regular(path, "image")) as image:
            size, turned = image.size, image.getexif().get(ORIENTATION, 1) != 1
    except FileNotFoundError:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ValueError(f"{path}: not a readable image: {error}") from error
    if turned:
        what = "its EXIF turns the picture, and its labels may be of either"
        raise ValueError(f"{path}: {what}; save it upright, without EXIF's orientation")
    return size


def read(root: Path, split: str = "") -> Dataset[Sample]:
    """The images of a split that have labels, a sample for each class on them.

    Raises `ValueError` for a split that is not there, or labels that are none, `FileNotFoundError`
    where no image has any.
    """
    settings = _settings(root)
    layout = _of_yaml(settings) if settings else _of_folders(root)
    whole = "" in layout.splits and not split
    wanted = "" if whole else settled(split, layout.splits, USUAL, str(layout.origin))
    entries = layout.splits[wanted]
    pictures = [path for entry in entries for path in _pictures(entry, layout)]
    files = {path: _labels(path, layout.folder) for path in pictures}
    if not any(path.exists() for path in files.values()):
        first = next(iter(files.values()), layout.folder / LABELS)
        what = f"none of the {len(pictures)} images has labels"
        raise FileNotFoundError(f"{layout.origin}: {what}; expected such as {first}")
    if not any(entry.endswith(".txt") for entry in entries):
        _all_met(files.values())
    ids, samples = names_of(pictures, layout.folder), list[Sample]()
    for path in (path for path, labels in files.items() if labels.exists()):
        objects, masks = read_labels(files[path], _size(path), len(layout.classes), layout.names)
        samples += samples_of(ids[path], path, objects, layout.classes, wanted, masks)
    name, told = layout.folder.resolve().name, fingerprint(samples)
    return Dataset(name, root, layout.classes, tuple(samples), told, images=layout.folder)
