import numpy as np
import pytest

from camx.evaluators import datasets
from camx.evaluators.miniature import ilsvrc
from camx.evaluators.miniature import imagenet_s as drawn

SMALL = {"validation": (6, 20), "train-semi": (4, 21)}


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    """A cache and a rendering of its own."""
    monkeypatch.setattr(drawn, "SPLITS", SMALL)
    monkeypatch.setenv("CAMX_HOME", str(tmp_path))


@pytest.mark.parametrize("split", SMALL)
def test_the_masks_are_those_that_were_drawn(split):
    data = datasets.load("mini-masks", split=split)
    count, seed = SMALL[split]
    assert len(data.samples) == count
    assert (data.name, data.model, len(data.classes)) == ("mini-masks", "mini-vgg", 10)
    assert data.classes == datasets.load("mini").classes
    wnids = sorted(ilsvrc.CLASSES)
    for sample in data.samples:
        drawing = ilsvrc.draw(int(sample.image_id[-8:]) - 1, seed)
        height, width = drawing.image.shape[:2]
        mask = sample.mask.read((width, height))
        assert np.array_equal(mask == 1, np.any(drawing.masks, 0))
        assert set(np.unique(mask)) == {0, 1}
        assert sample.label == drawing.labels[0]
        assert sample.path.parent.name == wnids[sample.label]
        ys, xs = np.nonzero(mask)
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert sample.within((width, height)).boxes == (box,)


def test_splits_and_tasks():
    assert {s.split for s in datasets.load("mini-masks").samples} == {"validation"}
    with pytest.raises(ValueError, match=r"accepted, having masks in .*: train-semi, validation"):
        datasets.load("mini-masks", split="val")
    with pytest.raises(ValueError, match="mini-masks is for localization, not for defects"):
        datasets.load("mini-masks", "defects")
