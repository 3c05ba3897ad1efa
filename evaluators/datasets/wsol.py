"""CUB, ILSVRC and OpenImages30k in the layout of wsolevaluation, and data sets of that form.

``train`` is what networks learn from, ``val`` what thresholds are sought on (CUBv2, ImageNetV2) and
``test`` what is reported (of ILSVRC its validation images). Boxes are in pixels of the original
image; OpenImages has masks of its objects, and of what is ignored. A split whose
``localization.txt`` is empty or missing, as ``train`` of ILSVRC and OpenImages, has neither.

Labels are those of ``class_labels.txt``. Names of classes are the folders that their images lie in,
of ILSVRC those of its thousand synsets, and else the labels.
"""

from collections.abc import Mapping
from pathlib import Path

from camx.evaluators.datasets import _wsol, ilsvrc
from camx.evaluators.datasets._luminance import Luminance
from camx.evaluators.datasets._paths import complete, inside
from camx.evaluators.datasets.dagm import with_distinct_names
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "wsolevaluation's CUB, ILSVRC and OpenImages30k: splits train, val and test"
SOURCE = "Choe et al. 2020, Evaluating Weakly Supervised Object Localization Methods Right"
TASK = "localization"
LAYOUT = (
    "metadata/<NAME>/{train,val,test}/{image_ids,class_labels,image_sizes,localization}.txt "
    "and the images in dataset/<NAME> (wsolevaluation)"
)
MARKS = ("metadata", "dataset")
BY_FOLDER = ("CUB", "OpenImages")  # whose images lie in a folder a class


def accepts(root: Path) -> bool:
    return bool(_wsol.metadata(root))


def _place(root: Path) -> tuple[Path, Path]:
    """A data set's folders of lists and of images.

    Of several data sets it is the one whose images are there: the lists come together. `ValueError`
    if that is not one.
    """
    pairs = [(f, f.parents[1] / "dataset" / f.name) for f in _wsol.metadata(root)]
    if not pairs:
        what = f"no metadata/<NAME>/<split>/{_wsol.IDS}"
        raise FileNotFoundError(f"{root}: {what}; expected {LAYOUT}")
    there = [pair for pair in pairs if pair[1].is_dir()]
    if not there:
        raise FileNotFoundError(f"{pairs[0][1]}: no such folder of images; expected {LAYOUT}")
    if len(there) > 1:
        names = ", ".join(folder.name for folder, _ in there)
        what = f"several data sets, {names}; expected one of them"
        raise ValueError(f"{root}: {what}: --data {there[0][0]}")
    return there[0]


def _classes(folder: Path, images: Path) -> tuple[str, ...]:
    """Names by label, of all of a data set's splits, which may differ in the classes they have.

    `ValueError` if an image of CUB or OpenImages lies in the folder of another class.
    """
    if folder.name == "ILSVRC":
        return tuple(words for _, words in ilsvrc.read_classes(folder).values())
    names: dict[int, str] = {}
    labels: dict[str, int] = {}
    apart = True
    for split in _wsol.splits(folder):
        path = folder / split / "class_labels.txt"
        ids = _wsol.read_ids(path.with_name(_wsol.IDS))
        for image, label in _wsol.read_labels(path, ids).items():
            name = inside(images, image, ids[image]).parent.name
            first = names.setdefault(label, name), labels.setdefault(name, label)
            if first != (name, label) and folder.name in BY_FOLDER:
                told = f"label {label} is that of folder {first[0]}, and {name} has {first[1]}"
                raise ValueError(f"{path}: {image} has label {label}, but {told}")
            apart = apart and first == (name, label)
    count = max(names) + 1
    return tuple(names.get(at, str(at)) if apart else str(at) for at in range(count))


def _mask(images: Path, truth: _wsol.Truth) -> Luminance | None:
    paths = tuple(inside(images, name, where) for name, where in truth.masks.items())
    ignored = [inside(images, name, where) for name, where in truth.ignore.items()]
    return Luminance(paths, ignore=next(iter(ignored), None)) if paths else None


def _samples(folder: Path, images: Path, classes: int) -> list[Sample]:
    """A split's images, in the order of its list."""
    ids = _wsol.read_ids(folder / _wsol.IDS)
    labels = _wsol.read_labels(folder / "class_labels.txt", ids)
    if beyond := next((image for image in labels if labels[image] >= classes), None):
        what = f"label {labels[beyond]} of {beyond} is none of the {classes} classes"
        raise ValueError(f"{folder / 'class_labels.txt'}: {what}, 0..{classes - 1}")
    truths: Mapping[str, _wsol.Truth] = _wsol.read_truth(folder, ids)
    if not truths and folder.name != "train":
        path, forms = folder / "localization.txt", f"{_wsol.BOXES} or {_wsol.MASKS}"
        raise FileNotFoundError(f"{path}: no line; expected {forms} of every image")
    samples = []
    for image, where in ids.items():
        path, truth = inside(images, image, where), truths.get(image, _wsol.Truth())
        boxes, mask = tuple(truth.boxes), _mask(images, truth)
        samples.append(Sample(path.stem, path, labels[image], boxes, mask, folder.name))
    return samples


def read(root: Path, split: str = "test") -> Dataset[Sample]:
    """The images of a split, in the order of its list; `images` is where score maps' names begin.

    Raises `ValueError` naming the line of a list that is wrong or lacks, `FileNotFoundError` with
    the counts where images or masks lack.
    """
    folder, images = _place(root)
    if split not in _wsol.splits(folder):
        there = ", ".join(_wsol.splits(folder))
        raise ValueError(f"split is {split!r}; accepted: {there} (of {folder})")
    classes = _classes(folder, images)
    samples = _samples(folder / split, images, len(classes))
    complete([s.path for s in samples], "image", str(folder / split / _wsol.IDS))
    masks = [path for s in samples if isinstance(s.mask, Luminance) for path in s.mask.files]
    complete(masks, "mask", str(folder / split / "localization.txt"))
    named = with_distinct_names(samples, images)
    name = f"wsol-{folder.name.lower()}"
    return Dataset(name, root, classes, named, fingerprint(named), images=images)
