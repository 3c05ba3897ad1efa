"""KolektorSDD2: surfaces of a product, some with a defect, in a split of their own.

``{train,test}/<id>.png`` and its mask ``<id>_GT.png``; an image is defective if its mask is not all
zero. The published archive holds a picture of ``train`` twice, ``10301 (copy).png`` and
``10301_GT (copy).png``: copies beside what they are copies of are left out, so that train has 2,331
images, 246 of them defective, and test 1,004, 110 defective, as published.
"""

from collections.abc import Sequence
from pathlib import Path

from camx.evaluators.datasets._defects import called, nothing_else
from camx.evaluators.datasets.dagm import CLASSES, SPLITS, pictures, with_distinct_names
from camx.evaluators.datasets.kolektor import beside
from camx.evaluators.files import below
from camx.evaluators.fingerprints import fingerprint
from camx.evaluators.types import Dataset, Sample

TITLE = "KolektorSDD2, surfaces of a product with defects"
SOURCE = "Božič et al. 2021, Computers in Industry; vicos.si/resources/kolektorsdd2"
TASK = "defects"
LAYOUT = "{train,test}/*.png with masks *_GT.png beside them (KolektorSDD2)"
MASK, COPY = "_GT", " (copy)"  # at the end of a mask's name, of the archive's superfluous files'


def accepts(root: Path) -> bool:
    parts = (part for split in SPLITS for part in below(root, split))
    paths = (path for part in parts for path in pictures(part))
    return any(path.stem.lower().endswith(MASK.lower()) for path in paths)


def _originals(paths: Sequence[Path]) -> list[Path]:
    """The pictures less the copies of one of them."""
    stems = {path.stem for path in paths}
    return [p for p in paths if not (p.stem.endswith(COPY) and p.stem.removesuffix(COPY) in stems)]


def read(root: Path, name: str = "kolektor2", model: str = "resnet50") -> Dataset[Sample]:
    """Every image, train before test. Raises naming what is not as it should be."""
    listed: list[Sample] = []
    files: set[Path] = set()
    for split in SPLITS:
        paths = [path for part in below(root, split) for path in pictures(part)]
        if not paths:
            raise FileNotFoundError(f"{root / split}: no image; expected {LAYOUT}")
        for path, mask in beside(_originals(paths), MASK):
            listed.append(Sample(path.stem, path, int(bool(mask)), mask=mask, split=split))
        files.update(paths)
    nothing_else(root, called(root, SPLITS), files, LAYOUT)
    samples = with_distinct_names(listed, root)
    return Dataset(name, root, CLASSES, samples, fingerprint(samples), model)
