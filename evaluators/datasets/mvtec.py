"""MVTec AD: fifteen categories of objects and textures, defects in the test images only.

A category holds ``train/good/NNN.png``, ``test/good/NNN.png``, ``test/<defect>/NNN.png`` and, for
each of the latter, ``ground_truth/<defect>/NNN_mask.png``. It was made for detectors that learn
from good images alone. A classifier needs defects to learn from, so the split is camx's own: of
each kind of defect half trains and half tests (`splits.halves`, category by category); good images
stay where MVTec put them. Its numbers are therefore not those of MVTec's own split.
"""

from collections.abc import Iterator
from pathlib import Path

from camx.evaluators import splits
from camx.evaluators.datasets._defects import MASK, called, nothing_else, one
from camx.evaluators.datasets.dagm import CLASSES, SPLITS, pictures, with_distinct_names
from camx.evaluators.files import below, by_stem, folders
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "MVTec AD, objects and textures with defects: one category or all"
SOURCE = "Bergmann et al. 2019, CVPR; mvtec.com/company/research/datasets/mvtec-ad"
TASK = "defects"
LAYOUT = (
    "[category/]{train/good,test/good,test/<defect>}/*.png with masks in "
    "ground_truth/<defect>/*_mask.png, of each defect half trains and half tests (MVTec AD)"
)
MARKS = ("ground_truth",)
GOOD, TRUTH = "good", "ground_truth"


def _is_category(folder: Path) -> bool:
    """Whether ``train`` holds ``good`` and nothing else, or masks tell that it should."""
    trains = [kind.name.lower() for kind in below(folder, "train") for kind in folders(kind)]
    return trains == [GOOD] or bool(not trains and below(folder, "test") and below(folder, TRUTH))


def _has_part(folder: Path) -> bool:
    parts = called(folder, (*SPLITS, TRUTH))
    return any(pictures(kind) for part in parts for kind in folders(part))


def _categories(root: Path) -> list[Path]:
    """The root or the folders in it, those too of which a part is missing, if any is a category."""
    if _is_category(root):
        return [root]
    inner = folders(root)
    some = any(map(_is_category, inner))
    return [folder for folder in inner if some and _has_part(folder)]


def accepts(root: Path) -> bool:
    return bool(_categories(root))


def _kinds(category: Path, part: str) -> dict[str, dict[str, Path]]:
    """``{good or defect: {stem: picture}}`` of ``test`` or ``ground_truth``. Raises if missing."""
    place = one(category, part)
    if place is None:
        raise FileNotFoundError(f"{category / part}: no such folder; expected {LAYOUT}")
    return {kind.name: by_stem(pictures(kind)) for kind in folders(place)}


def _truth(category: Path) -> dict[str, dict[str, Path]]:
    """``{defect: {stem of the image: mask}}``. `ValueError` for a mask without its suffix."""
    kinds = {}
    for defect, masks in _kinds(category, TRUTH).items():
        for path in masks.values():
            if not path.stem.endswith(MASK):
                raise ValueError(f"{path}: no name of a mask; expected {path.stem}{MASK}.png")
        kinds[defect] = {stem.removesuffix(MASK): path for stem, path in masks.items()}
    return kinds


def _matching(images: dict[str, dict[str, Path]], masks: dict[str, dict[str, Path]]) -> None:
    """Raise `ValueError` for an image with a defect but no mask, or a mask without its image."""
    for kind, paths in images.items():
        if lacking := sorted(set(paths) - set(masks.get(kind, {}))):
            path, count = paths[lacking[0]], f"{len(lacking)} of {len(paths)} have none"
            expected = f"expected {TRUTH}/{kind}/{lacking[0]}{MASK}.png"
            raise ValueError(f"{path}: a defect without its mask ({count}); {expected}")
    for kind, paths in masks.items():
        if orphans := sorted(set(paths) - set(images.get(kind, {}))):
            what = f"a mask of no image with a defect, test/{kind}/{orphans[0]}.png"
            raise ValueError(f"{paths[orphans[0]]}: {what}")


def _samples(category: Path) -> Iterator[Sample]:
    """A category's images: good ones that train, defects, good ones that test."""
    trains = _kinds(category, "train").get(GOOD, {})
    images, masks = _kinds(category, "test"), _truth(category)
    tests = images.pop(GOOD, {})
    for part, paths in zip(SPLITS, (trains, tests)):
        if not paths:
            what = f"no good image; expected {LAYOUT}"
            raise FileNotFoundError(f"{category / part / GOOD}: {what}")
    _matching(images, masks)
    name = category.resolve().name
    defects = [
        Sample(stem, path, 1, mask=masks[kind][stem], group=f"{name}/{kind}")
        for kind, paths in images.items()
        for stem, path in paths.items()
    ]
    for stem, path in trains.items():
        yield Sample(stem, path, 0, split="train", group=f"{name}/{GOOD}")
    yield from splits.halves(defects, category / "test")
    for stem, path in tests.items():
        yield Sample(stem, path, 0, split="test", group=f"{name}/{GOOD}")


def read(root: Path, name: str = "mvtec", model: str = "resnet50") -> Dataset[Sample]:
    """Every image, category by category. Raises naming what is not as it should be."""
    listed: list[Sample] = []
    categories = _categories(root)
    for category in categories:
        images = list(_samples(category))
        files = {s.path for s in images} | {s.mask for s in images if isinstance(s.mask, Path)}
        parts = called(category, (*SPLITS, TRUTH))
        nothing_else(category, parts, files, LAYOUT)
        listed += images
    if root not in categories:
        nothing_else(root, (), (), LAYOUT)
    samples = with_distinct_names(listed, root)
    return Dataset(name, root, CLASSES, samples, fingerprint(samples), model)
