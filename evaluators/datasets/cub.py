"""CUB-200-2011, birds of 200 species, as it is published.

An image's class and its one box stand in lists by its number. Masks, a separate archive, are used
where their folder is there: grey values that say how many of the annotators marked a pixel, of
which the bird's are those above 127 (of 255; the threshold is from memory).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from camx.evaluators.datasets._luminance import Luminance
from camx.evaluators.datasets._paths import complete, inside
from camx.evaluators.datasets.dagm import with_distinct_names
from camx.evaluators.files import below, folders, read_lines
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample
from camx.evaluators.values import Box, as_box, whole_of

TITLE = "CUB-200-2011: 200 species of birds, a box an image, and masks where they are there"
SOURCE = "Wah et al. 2011, CNS-TR-2011-001; www.vision.caltech.edu/datasets/cub_200_2011"
TASK = "localization"
LAYOUT = (
    "CUB_200_2011/{images,image_class_labels,classes,train_test_split,bounding_boxes}.txt, "
    "images/<class>/*.jpg, and segmentations/<class>/*.png in it or beside it (CUB)"
)
MARKS = ("CUB*", "segmentations", "images.txt", "train_test_split.txt", "bounding_boxes.txt")
LISTS = {
    "images": "id path",
    "image_class_labels": "id class",
    "classes": "id name",
    "train_test_split": "id 1 for training, 0 for test",
    "bounding_boxes": "id x y width height",
}
SPLITS = {"0": "test", "1": "train"}
COLUMNS = {"bounding_boxes": 4}  # behind the number; of the others one
ABOVE = 127  # values of a mask that are the bird's

Table = Mapping[int, tuple[str, list[str]]]  # by number: where it stands, and its values


def _folder(root: Path) -> Path | None:
    places = [root, *below(root, "CUB_200_2011")]
    return next((p for p in places if (p / "image_class_labels.txt").is_file()), None)


def accepts(root: Path) -> bool:
    return _folder(root) is not None


def read_table(folder: Path, name: str) -> Table:
    """A list's lines by the number that they begin with. `ValueError` naming a line of no form."""
    path, table = folder / f"{name}.txt", dict[int, tuple[str, list[str]]]()
    for number, line in read_lines(path):
        where, (first, *values) = f"{path}, line {number}", line.split()
        if whole_of(first) < 0 or len(values) != COLUMNS.get(name, 1):
            raise ValueError(f"{where}: {line!r}; expected {LISTS[name]}")
        if int(first) in table:
            raise ValueError(f"{where}: number {first} stands in {table[int(first)][0]} already")
        table[int(first)] = where, values
    return table


def _alike(folder: Path, tables: Mapping[str, Table]) -> None:
    """Raise `ValueError` for an image that one of the lists lacks."""
    images = tables["images"]
    for name in ("image_class_labels", "train_test_split", "bounding_boxes"):
        if lacking := images.keys() - tables[name].keys():
            image = images[min(lacking)]
            raise ValueError(f"{image[0]}: {image[1][0]} has no line in {folder / name}.txt")
        if beyond := tables[name].keys() - images.keys():
            where, _ = tables[name][min(beyond)]
            raise ValueError(f"{where}: {folder / 'images.txt'} has no image {min(beyond)}")


def _classes(table: Table) -> tuple[str, ...]:
    """The classes' names, which are numbered from 1 on. `ValueError` where they are not."""
    for expected, number in enumerate(sorted(table), 1):
        if number != expected:
            raise ValueError(f"{table[number][0]}: class {number}; expected class {expected} first")
    return tuple(table[number][1][0] for number in sorted(table))


def _label(labels: tuple[str, list[str]], path: Path, classes: Sequence[str]) -> int:
    """An image's label, which its folder bears out."""
    where, (word,) = labels
    if not 1 <= whole_of(word) <= len(classes):
        accepted = f"1 to {len(classes)}, as in classes.txt"
        raise ValueError(f"{where}: class {word!r}; accepted: {accepted}")
    name = classes[int(word) - 1]
    if path.parent.name != name:
        what = f"class {word} is {name} in classes.txt, but the image is {path}"
        raise ValueError(f"{where}: {what}")
    return int(word) - 1


def _box(row: tuple[str, list[str]]) -> Box:
    where, words = row
    try:
        x, y, width, height = map(float, words)
        return as_box((x, y, x + width, y + height))
    except ValueError as error:
        raise ValueError(f"{where}: {error}; expected {LISTS['bounding_boxes']}") from None


def _split(row: tuple[str, list[str]]) -> str:
    where, (word,) = row
    if word not in SPLITS:
        raise ValueError(f"{where}: {word!r}; expected {LISTS['train_test_split']}")
    return SPLITS[word]


def _masks(folder: Path) -> Path | None:
    """The folder of masks, in the data set's or beside it. `ValueError` for two of them."""
    both = (*folders(folder, "segmentations"), *folders(folder.resolve().parent, "segmentations"))
    places = {place.resolve(): place for place in both}
    if len(places) > 1:
        raise ValueError(f"{' and '.join(map(str, places))} are both there; keep one")
    return next(iter(places.values()), None)


def read(root: Path, split: str = "test") -> Dataset[Sample]:
    """The images of a split, ``train`` or ``test``, in the order of their numbers.

    Raises `ValueError` naming the line of a list that is wrong or lacks, `FileNotFoundError` with
    the counts where images or masks lack.
    """
    if split not in SPLITS.values():
        raise ValueError(f"split is {split!r}; accepted: {', '.join(sorted(SPLITS.values()))}")
    folder = _folder(root)
    if folder is None:
        raise FileNotFoundError(f"{root}: no image_class_labels.txt; expected {LAYOUT}")
    tables = {name: read_table(folder, name) for name in LISTS}
    _alike(folder, tables)
    classes, masks, samples = _classes(tables["classes"]), _masks(folder), list[Sample]()
    for number, (where, (name,)) in sorted(tables["images"].items()):
        path = inside(folder / "images", name, where)
        label = _label(tables["image_class_labels"][number], path, classes)
        box = _box(tables["bounding_boxes"][number])
        if _split(tables["train_test_split"][number]) == split:
            place = path.relative_to(folder / "images").with_suffix(".png")
            drawn = masks / place if masks else None
            mask = Luminance((drawn,), ABOVE) if drawn else None
            samples.append(Sample(path.stem, path, label, (box,), mask, split))
    source = f"split {split} of {folder / 'images.txt'}"
    complete([sample.path for sample in samples], "image", source)
    drawn_masks = [s.mask.paths[0] for s in samples if isinstance(s.mask, Luminance)]
    complete(drawn_masks, "mask", source)
    named = with_distinct_names(samples, folder / "images")
    return Dataset("cub", root, classes, named, fingerprint(named))
