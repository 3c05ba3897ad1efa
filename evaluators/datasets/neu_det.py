"""NEU-DET, hot-rolled steel with six kinds of defects and their boxes.

As published, ``IMAGES/<class>_<k>.jpg`` and ``ANNOTATIONS/<class>_<k>.xml`` (from memory), without
a split; or as on Kaggle, ``{train,validation}/images/<class>/*.jpg`` and
``{train,validation}/annotations/*.xml``, of which ``validation`` is read by default. An image
belongs where its file lies: Kaggle's copy has the XML of ``crazing_240`` in the other part. An
image is measured once for each class that its XML names, which need not be the one in its name.
"""

from collections.abc import Iterable
from pathlib import Path

from camx.evaluators.datasets._objects import samples_of, settled
from camx.evaluators.datasets.dagm import pictures
from camx.evaluators.datasets.voc_boxes import read_annotation
from camx.evaluators.files import below, by_stem, folders, listing
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "NEU-DET: surfaces of steel, six kinds of defects with their boxes"
SOURCE = "Song and Yan 2013, Applied Surface Science; He et al. 2020 for the boxes"
TASK = "localization"
LAYOUT = (
    "IMAGES/*.jpg and ANNOTATIONS/*.xml, or {train,validation}/{images/<class>/*.jpg,"
    "annotations/*.xml} (NEU-DET)"
)
MARKS = ("NEU-DET", "IMAGES", "ANNOTATIONS")
CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
USUAL = ("validation", "")


def _parts(root: Path) -> dict[str, Path]:
    """The folders with images and annotations by split; ``{"": root}`` without one."""
    inner = {
        part.name.lower(): part for name in ("train", "validation") for part in below(root, name)
    }
    places = {"": root, **inner}
    return {
        split: p for split, p in places.items() if below(p, "images") and below(p, "annotations")
    }


def _images(part: Path) -> list[Path]:
    """The pictures of a part, in ``images`` or in a class's folder in it."""
    places = [place for top in below(part, "images") for place in (top, *folders(top))]
    return [path for place in places for path in pictures(place)]


def _class(path: Path) -> str:
    return path.stem.rpartition("_")[0].lower()


def accepts(root: Path) -> bool:
    return any(_class(path) in CLASSES for part in _parts(root).values() for path in _images(part))


def _named(images: Iterable[Path]) -> dict[str, Path]:
    """The images by stem. `ValueError` naming one whose name begins with no class."""
    named = by_stem(images)
    for path in named.values():
        if _class(path) not in CLASSES:
            accepted = f"accepted: <class>_<number>, of {', '.join(CLASSES)}"
            raise ValueError(f"{path}: the name begins with no class; {accepted}")
    return named


def read(root: Path, split: str = "") -> Dataset[Sample]:
    """The images of a part, or all of them, a sample for each class on them.

    Raises `ValueError` for an image or an annotation without the other, one without an object, an
    unknown class or a part that is not there.
    """
    parts = _parts(root)
    if "" in parts and len(parts) > 1:
        raise ValueError(f"{root}: images in it and in {', '.join(parts)[2:]}; expected {LAYOUT}")
    wanted = settled(split, parts, USUAL, str(root))
    every = {name: _images(part) for name, part in parts.items()}
    images = _named(path for paths in every.values() for path in paths)
    places = [place for part in parts.values() for place in below(part, "annotations")]
    annotations = by_stem(path for place in places for path in listing(place, (".xml",)))
    for name, there, others in (
        ("annotation", images, annotations),
        ("image", annotations, images),
    ):
        if lacking := sorted(set(there) - set(others)):
            path, count = there[lacking[0]], f"{len(lacking)} of {len(there)} have none"
            raise ValueError(f"{path}: no {name} of that name ({count}); expected {LAYOUT}")
    samples: list[Sample] = []
    for path in every[wanted]:
        objects = read_annotation(annotations[path.stem], CLASSES, images)
        if not objects:
            raise ValueError(f"{annotations[path.stem]}: names no object; expected one or more")
        samples += samples_of(path.stem, path, objects, CLASSES, wanted)
    return Dataset("neu-det", root, CLASSES, tuple(samples), fingerprint(samples), "resnet50")
