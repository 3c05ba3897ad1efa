"""COCO's instances, and data sets of one's own in its form: one sample for each class on an image.

Labels are the places of the sorted ids of categories, 0 to 79 of COCO's. A class's mask is all its
regions together, those of crowds too, as TorchRay's pointing game has it; its boxes are those of
its instances, or of the crowds where it has nothing else. Of an annotation whose width or height is
0, as train2017 has two, nothing is used. A box of less than a pixel is the pixels that it touches.

Without any region in the file, as detectors are trained on, boxes say where objects are. Images
that show nothing are left out.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from camx.evaluators.datasets._paths import complete, inside
from camx.evaluators.datasets._regions import NUMBERS, Region, Regions, read_region
from camx.evaluators.files import listing, parse_json, read_text
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.object_masks import Size
from camx.evaluators.types import Dataset, Sample
from camx.evaluators.values import Box, as_box

TITLE = "COCO's instances: val2014, val2017 or one's own, with boxes and masks"
SOURCE = "Lin et al. 2014, Microsoft COCO; cocodataset.org, format-data"
TASK = "localization"
LAYOUT = (
    "annotations/instances_<split>.json with images in <split>, images/<split> or images, "
    "or FILE.json with images beside it, in <split> or in images (COCO)"
)
MARKS = ("annotations", "train20??", "val20??")
LISTS = ("images", "annotations", "categories")
PIXELS = 1 << 28  # of an image at most: Pillow reads none of more
FAR = 1e9  # pixels from the origin that are nobody's, nor what is not a number


@dataclass(frozen=True)
class Picture:
    """An image as the file lists it."""

    name: str
    size: Size


@dataclass(frozen=True)
class Annotation:
    """An object, or a crowd of objects; without a region its box is all that is told."""

    image: int
    label: int
    box: Box
    region: Region | None
    crowd: bool


def _files(root: Path) -> dict[str, Path]:
    """The files of instances by split."""
    paths = listing(root / "annotations", (".json",), "list of instances")
    names = ((path.stem.removeprefix("instances_"), path) for path in paths)
    return {name: path for name, path in names if path.stem != name}


def accepts(root: Path) -> bool:
    return (root.suffix.lower() == ".json" and root.is_file()) or bool(_files(root))


def _file(root: Path, split: str) -> Path:
    """The file of a split; by default that of validation, or the only one."""
    files = {_split(root): root} if root.is_file() else _files(root)
    accepted = ", ".join(files)
    if split:
        if split not in files:
            raise ValueError(f"split is {split!r}; accepted: {accepted} (of {root})")
        return files[split]
    vals = [name for name in files if name.startswith("val")] or list(files)
    if len(vals) > 1:
        what = f"it has the splits {', '.join(vals)}; expected one of them"
        raise ValueError(f"{root}: {what}: --split {vals[0]}")
    if not vals:
        raise FileNotFoundError(f"{root}: no annotations/instances_<split>.json; expected {LAYOUT}")
    return files[vals[0]]


def _split(path: Path) -> str:
    return path.stem.removeprefix("instances_")


def _entries(content: Any, kind: str, path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """``(where, id, entry)`` of a list of the file.

    `ValueError` for an id that is no whole number, or stands twice.
    """
    entries = content.get(kind) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError(f"{path}: no list of {kind}; expected {', '.join(LISTS)}, as COCO's")
    singular, seen = {"categories": "category"}.get(kind, kind[:-1]), set[int]()
    for place, entry in enumerate(entries):
        number = entry.get("id") if isinstance(entry, dict) else None
        if type(number) is not int:
            what = f"{kind}[{place}] has the id {number!r}"
            raise ValueError(f"{path}: {what}; expected a mapping with a whole number")
        where = f"{path}: {singular} {number}"
        if number in seen:
            raise ValueError(f"{where}: the id stands twice; expected one of its own")
        seen.add(number)
        yield where, number, entry


def read_categories(content: Any, path: Path) -> tuple[dict[int, int], tuple[str, ...]]:
    """Labels by category id, and names by label."""
    names: dict[int, str] = {}
    for where, number, entry in _entries(content, "categories", path):
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip() or name in names.values():
            raise ValueError(f"{where}: its name is {name!r}; expected one of its own")
        names[number] = name
    labels = {number: label for label, number in enumerate(sorted(names))}
    return labels, tuple(names[number] for number in labels)


def read_pictures(content: Any, path: Path) -> dict[int, Picture]:
    """Images by id. `ValueError` for one without a name of its own, or without a size."""
    pictures: dict[int, Picture] = {}
    names: dict[str, str] = {}
    for where, number, entry in _entries(content, "images", path):
        name, sides = entry.get("file_name"), (entry.get("width"), entry.get("height"))
        if not isinstance(name, str):
            raise ValueError(f"{where}: file_name is {name!r}; expected a path below the images")
        if not all(type(side) is int and side > 0 for side in sides):
            raise ValueError(f"{where}: width and height are {sides}; expected whole pixels")
        if math.prod(sides) > PIXELS:  # type: ignore[arg-type]
            raise ValueError(
                f"{where}: width and height are {sides}; expected at most {PIXELS} pixels"
            )
        images = Path("images")
        place = inside(images, name, where).relative_to(images).as_posix()
        if names.setdefault(place, where) != where:
            raise ValueError(f"{where}: {name} is that of {names[place]} already")
        pictures[number] = Picture(place, sides)  # type: ignore[arg-type]
    return pictures


def read_annotations(
    content: Any, path: Path, pictures: Mapping[int, Picture], labels: Mapping[int, int]
) -> list[Annotation]:
    """Those that have a size. `ValueError` naming one that is wrong, by its id.

    So it is where some have a region, and some have none.
    """
    annotations = []
    bare: list[str] = []
    for where, _, entry in _entries(content, "annotations", path):
        image, category = entry.get("image_id"), entry.get("category_id")
        if type(image) is not int or image not in pictures:
            what = f"image_id {image!r} is not one of the {len(pictures)} images"
            raise ValueError(f"{where}: {what}")
        if type(category) is not int or category not in labels:
            what = f"category_id {category!r} is not one of the {len(labels)} categories"
            raise ValueError(f"{where}: {what}")
        crowd, told = entry.get("iscrowd", 0), entry.get("segmentation")
        if crowd not in (0, 1):
            raise ValueError(f"{where}: iscrowd is {crowd!r}; accepted: 0, 1")
        try:
            box = read_box(entry.get("bbox"))
            region = read_region(told, pictures[image].size) if told else None
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if box:
            annotations.append(Annotation(image, labels[category], box, region, bool(crowd)))
            if region is None:
                bare.append(where)
    if 0 < len(bare) < len(annotations):
        count = f"{len(annotations) - len(bare)} of {len(annotations)} have one"
        raise ValueError(f"{bare[0]}: no segmentation, but {count}; expected all of them, or none")
    return annotations


def read_box(told: Any) -> Box | None:
    """A box from ``[x, y, width, height]``, rounded; None of one without width or height."""
    if not isinstance(told, list) or len(told) != 4 or not all(type(v) in NUMBERS for v in told):
        raise ValueError(f"bbox is {told!r}; expected [x, y, width, height]")
    x, y, width, height = told
    if not all(abs(number) < FAR for number in told) or width < 0 or height < 0:
        raise ValueError(f"bbox is {told!r}; expected pixels, a width and a height from 0 on")
    if not width or not height:
        return None
    (x0, x1), (y0, y1) = _pixels(x, x + width), _pixels(y, y + height)
    return as_box((x0, y0, x1, y1))


def _pixels(first: float, last: float) -> tuple[int, int]:
    """From where to where, rounded; or all the pixels that it touches, if that were none."""
    if round(first) < round(last):
        return round(first), round(last)
    return math.floor(first), max(math.ceil(last), math.floor(first) + 1)


def _images(path: Path, names: Sequence[str]) -> Path:
    """The folder that holds images of these names: the one with most of them, which must be all."""
    split, beside = _split(path), path.parent
    places = [beside, beside / split, beside / "images"]
    if beside.name == "annotations":
        above = beside.parent
        places = [above / split, above / "images" / split, above / "images", *places]
    counts = [sum(os.path.isfile(place / name) for name in names) for place in places]
    place = places[counts.index(max(counts))]
    complete([place / name for name in names], "image", str(path))
    return place


def _samples(
    annotations: Sequence[Annotation], pictures: Mapping[int, Picture], classes: Sequence[str],
    place: Path, split: str,
) -> Iterator[Sample]:  # fmt: skip
    """Each image's classes, ascending; an image is called by its stem, or where two share one by
    its path, and by its class where it shows several."""
    groups: dict[int, dict[int, list[Annotation]]] = {}
    for annotation in annotations:
        groups.setdefault(annotation.image, {}).setdefault(annotation.label, []).append(annotation)
    stems = {PurePosixPath(pictures[image].name).stem for image in groups}
    for image in filter(groups.__contains__, pictures):
        picture, present = pictures[image], len(groups[image])
        plain = PurePosixPath(picture.name).with_suffix("")
        name = plain.name if len(stems) == len(groups) else plain.as_posix()
        for label, objects in sorted(groups[image].items()):
            kind = classes[label].replace("/", "_")
            boxes = [a.box for a in objects if not a.crowd] or [a.box for a in objects]
            regions = tuple(a.region for a in objects if a.region)
            yield Sample(
                f"{name}/{kind}" if present > 1 else name, place / picture.name, label,
                tuple(boxes), Regions(picture.size, regions) if regions else None, split,
                present=present,
            )  # fmt: skip


def read(root: Path, split: str = "") -> Dataset[Sample]:
    """Each class of each image of a split, by default of the one whose name begins with ``val``.

    Raises `ValueError` naming the entry that is wrong by its id, `FileNotFoundError` with the
    counts where images lack.
    """
    path = _file(root, split)
    content = parse_json(read_text(path, "list of instances"), str(path))
    labels, classes = read_categories(content, path)
    pictures = read_pictures(content, path)
    annotations = read_annotations(content, path, pictures, labels)
    used = {annotation.image for annotation in annotations}
    place = _images(path, [picture.name for image, picture in pictures.items() if image in used])
    samples = tuple(_samples(annotations, pictures, classes, place, _split(path)))
    return Dataset("coco", root, classes, samples, fingerprint(samples))
