"""Maps as files: what they are called, and what other programs read from them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camx.evaluators import files, saved_maps
from camx.evaluators.judged import Map
from camx.evaluators.types import Cell, Dataset, Sample

CELL = Cell.of("layercam", "S5")


def dataset(*samples, root="/data", images=None):
    return Dataset("d", root, ("a",), samples, "f", images=images)


def test_a_cell_s_name_says_its_variant_where_layers_do_not():
    fused = Cell.of("layercam", "S3+S4+S5").canonical()
    assert saved_maps.cell_name(CELL) == "layercam_S5"
    assert saved_maps.cell_name(fused) == "layercam_S3+S4+S5"
    other = Cell.of("layercam", "S3+S4+S5", "fusion=product")
    assert saved_maps.cell_name(other) == "layercam_S3+S4+S5_fusion=product"
    names = {saved_maps.cell_name(cell) for cell in (CELL, fused, other, Cell.of("gradcam", "S5"))}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("images", "path", "present", "name"),
    [
        (None, "/data/x/1.JPEG", 1, "x/1.JPEG"),
        ("/data/x", "/data/x/y/1.jpeg", 1, "y/1.jpeg"),
        ("/data/x", "/data/z/1.jpeg", 1, "id"),
        (None, "/elsewhere/1.png", 1, "id"),
        (None, "/data/x/1.JPEG", 2, "id"),
    ],
)
def test_an_image_is_called_by_its_path(images, path, present, name):
    sample = Sample("id", path, 0, present=present)
    data = dataset(sample, images=Path(images) if images else None)
    assert saved_maps.image_name(data, sample) == name
    folder = Path("/out/maps")
    at = saved_maps.place(folder, data, sample, CELL, "npy")
    assert at == folder / "layercam_S5" / f"{name}.npy"
    assert saved_maps.place(folder, data, sample, CELL, "png") == folder / "id_layercam_S5.png"


def test_no_two_classes_of_an_image_have_one_file():
    samples = [Sample(f"1/{name}", "/data/1.jpg", 0, present=2) for name in ("cat", "dog")]
    for form in ("png", "npy"):
        places = {saved_maps.place(Path("o"), dataset(*samples), s, CELL, form) for s in samples}
        assert len(places) == 2


def test_an_array_is_what_wsolevaluation_reads(tmp_path):
    """``(224,224) float64`` from 0 to 1, the suffix after the image's."""
    grid = np.random.default_rng(0).integers(256, size=(14, 14)).astype(np.uint8)
    shown, path = Map(grid, (40, 30)), tmp_path / "layercam_S5" / "x" / "1.JPEG.npy"
    path.parent.mkdir(parents=True)
    saved_maps.save(path, shown)
    read = np.load(path)
    assert (read.shape, read.dtype) == ((224, 224), np.float64)
    assert (read.min(), read.max()) == (0, 1)
    assert (read == shown.square).all()
    assert (Map(read, (40, 30)).square == read).all()


def test_a_picture_is_the_grid(tmp_path):
    grid = np.random.default_rng(0).integers(256, size=(14, 14)).astype(np.uint8)
    saved_maps.save(tmp_path / "a.png", Map(grid, (40, 30)))
    with Image.open(tmp_path / "a.png") as image:
        assert (image.format, image.mode) == ("PNG", "L")
        assert (np.asarray(image) == grid).all()


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_written_whole_or_not_at_all(tmp_path, monkeypatch, name):
    grid = np.arange(196, dtype=np.uint8).reshape(14, 14)
    saved_maps.save(tmp_path / name, Map(grid, (40, 30)))
    before = (tmp_path / name).read_bytes()

    def fails(*_):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "replace", fails)
    monkeypatch.setattr(files.Path, "replace", fails)
    with pytest.raises(OSError, match="no space left"):
        saved_maps.save(tmp_path / name, Map(grid.T, (40, 30)))
    assert (tmp_path / name).read_bytes() == before
