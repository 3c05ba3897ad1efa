"""ImageNet-S, masks of ImageNet's validation images and of ten training images a class.

A mask's pixel is of class i, from 1, of the sorted list of categories where i is its red + 256
times its green; 1000 is ignored and 0 anything else. An image is measured for the class of its
folder, which is that of the object that was drawn: of the 12,419 validation images 1,652 lie in the
folder of another class than ILSVRC has them in. Five of ILSVRC's synsets are merged into others
there, such as sunglasses into sunglass. Objects of other classes count as background.

Labels and names are those of ILSVRC's thousand classes, as its networks have them, if all
categories are of these; else they are the categories' places and synsets.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camx.evaluators.datasets import ilsvrc
from camx.evaluators.datasets.dagm import with_distinct_names
from camx.evaluators.files import by_stem, folders, listing, read_lines
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.object_masks import ObjectMask, Size, nearest, opened
from camx.evaluators.types import Dataset, Sample

TITLE = "ImageNet-S: masks of ImageNet's images, of 919, 300 or 50 classes"
SOURCE = "Gao et al. 2022, Large-scale Unsupervised Semantic Segmentation; LUSSeg/ImageNet-S"
TASK = "localization"
LAYOUT = (
    "ImageNetS919/{validation,train-semi}/<wnid>/*.JPEG with masks in "
    "{validation,train-semi}-segmentation/<wnid>/*.png (ImageNet-S; also S300 and S50)"
)
MARKS = ("ImageNetS*", "*-segmentation", "train-semi")
MASKS = "-segmentation"  # at the end of the name of a split's folder of masks
SPLITS = ("validation", "train", "test")  # how their names begin
IGNORED = 1000
COUNTS = (919, 300, 50)  # of categories
LIST = re.compile(r"ImageNetS_categories_im(\d+)\.txt", re.IGNORECASE)


@dataclass(frozen=True)
class ClassMask(ObjectMask):
    """The pixels of class number `id`, from 1, of `count`: one part."""

    path: Path
    id: int
    count: int

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def rule(self) -> str:
        return f"red + 256 green is {self.id}, and {IGNORED} what is ignored"

    def parts(self, size: Size) -> list[np.ndarray]:
        ids = self._ids()
        if not (ids == self.id).any():
            there = ", ".join(map(str, np.unique(ids).tolist()))
            what = f"nothing is of the folder's class, number {self.id}"
            raise ValueError(f"{self.path}: {what}; the mask holds {there}")
        return [nearest(ids, size) == self.id]

    def ignored(self, size: Size) -> np.ndarray:
        marked: np.ndarray = nearest(self._ids(), size) == IGNORED
        return marked

    def _ids(self) -> np.ndarray:
        """``(H,W) int32`` of classes' numbers. `ValueError` for one that there is none of."""
        pixels = opened(self.path).astype(np.int32)
        if pixels.ndim != 3:
            raise ValueError(f"{self.path}: a mask without colours; expected RGB")
        ids: np.ndarray = pixels @ np.array([1, 256, 1 << 16], np.int32)
        strange = (ids > self.count) & (ids != IGNORED)
        if strange.any():
            what = f"the mask holds the number {ids[strange][0]} (red + 256 green + 65536 blue)"
            accepted = f"0 to {self.count} and {IGNORED}"
            raise ValueError(f"{self.path}: {what}; accepted: {accepted}")
        return ids


def splits(folder: Path) -> list[str]:
    """The splits that have images and masks."""
    names = {place.name for place in folders(folder)}
    return sorted(n for n in names if n.startswith(SPLITS) and f"{n}{MASKS}" in names)


def _places(root: Path) -> list[Path]:
    """The data set's folder, `root` or one below it; several where it holds several."""
    if splits(root):
        return [root]
    below = (folder for folder in folders(root) if "imagenets" in folder.name.lower())
    return [folder for folder in below if splits(folder)]


def accepts(root: Path) -> bool:
    return bool(_places(root))


def read_categories(folder: Path, split: str) -> list[str]:
    """The sorted categories, of the list in the data set's folder or beside it.

    Without one they are the split's folders, if these are as many as a published list has, since
    each that lacks would shift the numbers of others. `ValueError` where that cannot be said.
    """
    name = Path(os.path.abspath(folder)).name
    number = re.search(r"imagenets(\d+)$", name, re.IGNORECASE)
    places = (folder, Path(os.path.abspath(folder)).parent)
    paths = [p for place in places for p in listing(place, (".txt",)) if LIST.fullmatch(p.name)]
    if number:
        paths = [path for path in paths if path.stem.lower().endswith(f"_im{number[1]}")]
    if len({path.name for path in paths}) > 1:
        names = ", ".join(path.name for path in paths)
        raise ValueError(f"{folder}: which of {names} is its own? Call it ImageNetS50, say")
    if paths:
        return _listed(paths[0])
    wnids = [place.name for place in folders(folder / split)]
    expected = int(number[1]) if number else len(wnids)
    if len(wnids) != expected or expected not in COUNTS:
        accepted = f"{number[1] if number else '919, 300 or 50'}, or ImageNetS_categories_im<N>.txt"
        what = f"{len(wnids)} folders do not say the numbers of all classes"
        raise ValueError(f"{folder / split}: {what}; expected {accepted} beside {name}")
    return wnids


def _listed(path: Path) -> list[str]:
    wnids = [line for _, line in read_lines(path)]
    count = int(LIST.fullmatch(path.name)[1])  # type: ignore[index]
    if len(wnids) != count or len(set(wnids)) != count:
        what = f"{len(wnids)} categories, {len(set(wnids))} of them different"
        raise ValueError(f"{path}: {what}; expected {count}, one a line")
    return sorted(wnids)


def _labels(wnids: Sequence[str], place: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Labels by category and names by label: ILSVRC's if all categories are of it."""
    thousand = ilsvrc.read_classes(place)
    if set(wnids) <= thousand.keys():
        return {w: thousand[w][0] for w in wnids}, tuple(words for _, words in thousand.values())
    return {wnid: label for label, wnid in enumerate(wnids)}, tuple(wnids)


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Images of a class with their masks. Raises `FileNotFoundError` for one without the other."""
    pictures = by_stem(listing(images, ilsvrc.PICTURES, "image"))
    drawn = by_stem(listing(masks, (".png",), "mask"))
    counts = f"{len(pictures.keys() & drawn.keys())} of {len(pictures)} images have a mask"
    if lacking := sorted(pictures.keys() - drawn.keys()):
        raise FileNotFoundError(f"{masks / lacking[0]}.png: no such mask; in {images} {counts}")
    if orphans := sorted(drawn.keys() - pictures.keys()):
        path = images / f"{orphans[0]}.JPEG"
        raise FileNotFoundError(f"{path}: no such image of the mask {drawn[orphans[0]]}; {counts}")
    return [(pictures[stem], drawn[stem]) for stem in sorted(pictures)]


def read(root: Path, split: str = "validation") -> Dataset[Sample]:
    """The images of a split, by class. `ValueError` for a folder of no category, or a split that
    has no masks; `FileNotFoundError` for an image without its mask, or a mask without its image.
    """
    places = _places(root)
    if not places:
        raise FileNotFoundError(f"{root}: no folder of images and masks; expected {LAYOUT}")
    if len(places) > 1:
        several = ", ".join(place.name for place in places)
        raise ValueError(f"{root}: several data sets, {several}; expected one: --data {places[0]}")
    (folder,) = places
    if split not in splits(folder):
        accepted = ", ".join(splits(folder))
        raise ValueError(f"split is {split!r}; accepted, having masks in {folder}: {accepted}")
    wnids = read_categories(folder, split)
    labels, names = _labels(wnids, folder / split)
    samples = []
    for wnid in sorted({p.name for s in (split, f"{split}{MASKS}") for p in folders(folder / s)}):
        if wnid not in labels:
            what = f"the folder is of none of the {len(wnids)} categories"
            told = f"ImageNetS_categories_im{len(wnids)}.txt: {', '.join(wnids[:3])}, ..."
            raise ValueError(f"{folder / split / wnid}: {what} ({told})")
        number = wnids.index(wnid) + 1
        for path, mask in _pairs(folder / split / wnid, folder / f"{split}{MASKS}" / wnid):
            drawn = ClassMask(mask, number, len(wnids))
            samples.append(Sample(path.stem, path, labels[wnid], mask=drawn, split=split))
    named = with_distinct_names(samples, folder / split)
    return Dataset(f"imagenet-s{len(wnids)}", root, names, named, fingerprint(named))
