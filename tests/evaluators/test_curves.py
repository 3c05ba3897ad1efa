"""The learning curve."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from camx.evaluators import curves

ROWS = [
    {"epoch": 1, "step": 5, "lr": 0.1, "train_loss": 2.0, "val_loss": 1.5, "val_top1": 0.4},
    {"epoch": 2, "step": 10, "lr": 0.1, "train_loss": 1.0, "val_loss": 1.25, "val_top1": 0.75},
]


def drawn(monkeypatch, rows, path):
    """The figure that is written."""
    held, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (held.append(self), save(self, *a, **k))
    )
    curves.draw(rows, "a network on some data", path)
    return held[0]


def test_losses_are_to_the_left_and_scores_to_the_right(monkeypatch, tmp_path):
    left, right = drawn(monkeypatch, ROWS, tmp_path / "curve.png").axes
    lines = {line.get_label(): line for axes in (left, right) for line in axes.get_lines()}
    assert [line.get_label() for line in left.get_lines()] == ["train_loss", "val_loss"]
    assert [line.get_label() for line in right.get_lines()] == ["val_top1"]
    for name, line in lines.items():
        assert line.get_xdata().tolist() == [1, 2]
        assert line.get_ydata().tolist() == [row[name] for row in ROWS]
    looks = {(line.get_color(), line.get_linestyle()) for line in lines.values()}
    assert len({colour for colour, _ in looks}) == len({dash for _, dash in looks}) == 3
    assert left.get_title() == "a network on some data"
    assert (left.get_ylim()[0], right.get_ylim()) == (0, (0, 1))


def test_one_epoch_shows(tmp_path):
    curves.draw(ROWS[:1], "title", tmp_path / "curve.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    pixels = np.asarray(Image.open(tmp_path / "curve.png").convert("RGB")).reshape(-1, 3)
    for colour in curves.COLOURS[:3]:
        rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        assert (abs(pixels.astype(int) - rgb).max(1) < 8).sum() > 10


def test_without_scores_there_is_one_axis(monkeypatch, tmp_path):
    rows = [{"epoch": 1, "step": 5, "lr": 0.1, "train_loss": 2.0}]
    assert len(drawn(monkeypatch, rows, tmp_path / "curve.png").axes) == 1
