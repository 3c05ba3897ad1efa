"""Folders of labels and masks as systems leave them: dot files, pipes, suffixes in capitals."""

import os
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import voc_masks
from camx.evaluators.tasks.pseudo import superpixels
from camx.evaluators.tasks.segment import predict
from camx.evaluators.types import Dataset, Scene


@pytest.fixture
def folder(tmp_path):
    """Labels of images a and b, and what macOS and Windows leave beside them."""
    for name in ("a", "b"):
        voc_masks.write_mask(tmp_path / f"labels/{name}.png", np.eye(4, dtype=np.uint8))
    for name in ("._a.png", ".DS_Store", "Thumbs.db", ".b.png-1234.tmp"):
        (tmp_path / "labels" / name).write_bytes(b"\0\5\x16\7")
    return tmp_path / "labels"


def test_an_archive_holds_masks_only(folder, tmp_path):
    assert predict.archive(folder, tmp_path / "all.tgz") == 2
    with tarfile.open(tmp_path / "all.tgz") as file:
        assert file.getnames() == [f"{predict.TEST_FOLDER}/{name}.png" for name in "ab"]


def test_labels_in_capitals_are_labels(folder):
    (folder / "b.png").rename(folder / "b.PNG")
    scenes = tuple(Scene(name, folder / f"{name}.jpg", (0,)) for name in "abc")
    pairs = predict.pairs(folder, Dataset("mine", folder, ("x",), scenes, "f"))
    assert [label.name for _, label in pairs] == ["a.png", "b.PNG"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_never_opened(folder):
    (folder / "b.png").unlink()
    os.mkfifo(folder / "b.png")
    scenes = (Scene("b", folder / "b.jpg", (0,)),)
    for read in (
        lambda: predict.archive(folder, folder / "all.tgz"),
        lambda: predict.pairs(folder, Dataset("mine", folder, ("x",), scenes, "f")),
        lambda: voc_masks.read_mask(folder / "b.png"),
        lambda: superpixels.fingerprint(folder),
        lambda: superpixels.from_folder(folder, "b", (4, 4)),
    ):
        with pytest.raises(FileNotFoundError, match=r"b\.png: no such .*, but a named pipe"):
            read()
    assert not (folder / "all.tgz").exists()


def test_label_maps_of_two_formats(folder):
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(folder / "c.png")
    assert superpixels.from_folder(folder, "c", (4, 4)).sum() == 4
    shutil.copy(folder / "c.png", folder / "c.npy")
    with pytest.raises(ValueError, match=r"c\.png: c\.npy stands beside it for the same image"):
        superpixels.from_folder(folder, "c", (4, 4))
