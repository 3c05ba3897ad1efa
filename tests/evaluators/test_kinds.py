from dataclasses import replace
from pathlib import Path

import pytest

from camx.evaluators import datasets, kinds
from camx.evaluators.datasets import ilsvrc, voc
from camx.evaluators.types import Dataset, Sample, Scene


def of(name, classes, *samples):
    return Dataset(name, Path("nowhere"), classes, samples, "f")


@pytest.mark.parametrize("task", ["localization", "defects", "segmentation"])
def test_the_miniature_is_itself(task):
    assert kinds.kind(datasets.load("mini", task)) == "mini"
    assert kinds.kind(of("mini", ("a",))) == "own"  # a reader of one's own may call its data so


def test_ilsvrc_is_its_synsets_and_its_images(tmp_path):
    names = tuple(name for _, name in ilsvrc.read_classes(tmp_path).values())
    true = Sample("ILSVRC2012_val_00000001", Path("a"), 0)
    assert kinds.kind(of("ilsvrc", names, true)) == "ilsvrc"
    assert kinds.kind(of("ilsvrc", names, Sample("mine", Path("a"), 0))) == "own"
    mini = ilsvrc.read(datasets.load("mini").root)  # rendered elsewhere, it is the miniature too
    assert kinds.kind(mini) == "mini"
    assert kinds.kind(replace(mini, classes=tuple("abcdefghij"))) == "own"
    one, *others = mini.samples
    mixed = (replace(one, image_id="mine"), *others)
    assert kinds.kind(replace(mini, samples=mixed)) == "own"


def test_dagm_and_voc_are_theirs():
    good = ("good", "defective")
    assert kinds.kind(of("dagm", good, Sample("1", Path("a"), 0, group="Class10"))) == "dagm"
    assert kinds.kind(of("dagm", good, Sample("1", Path("a"), 0, group="bolts"))) == "own"
    assert kinds.kind(of("pictures", good, Sample("1", Path("a"), 0, group="Class1"))) == "own"
    assert kinds.kind(of("voc", voc.CLASSES, Scene("2007_000032", Path("a")))) == "voc"
    assert kinds.kind(of("voc", voc.CLASSES, Scene("holiday", Path("a")))) == "own"
    assert kinds.kind(of("voc", ("cat",), Scene("2007_000032", Path("a")))) == "own"
