"""Records of every kind, written in parts of whole images."""

from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest

from camx.evaluators import nulls, parts, writer
from camx.evaluators.measures import Row
from camx.evaluators.writer import Writer


@dataclass(frozen=True)
class Hit(Row):
    hit: bool


def row(image, method="layercam"):
    return Row(image, 1, method, "S5", "")


def hit(image, method="layercam"):
    return Hit(image, 1, method, "S5", "", True)


def held(folder):
    """The images of each part, in the order of the parts."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return [table["image_id"].to_pylist() for table in tables]


def test_each_kind_has_a_folder_beside(tmp_path):
    with Writer(tmp_path / "records") as out:
        out.add([row("a"), row("a", "gradcam")], {"records-hit": [hit("a")], "records-none": []})
        out.add([row("b")], {"records-hit": [hit("b"), hit("b", "gradcam")]})
    assert held(tmp_path / "records") == [["a", "a", "b"]]
    assert held(tmp_path / "records-hit") == [["a", "b", "b"]]
    assert not held(tmp_path / "records-none")
    table = pq.read_table(next((tmp_path / "records-hit").glob("*.parquet")))
    assert table.column_names == ["image_id", "label", "method", "layer", "variant", "hit"]


def test_null_rows_stand_beside_of_every_kind(tmp_path):
    blind = sorted(nulls.NAMES)[0]
    with Writer(tmp_path / "records") as out:
        out.add([row("a"), row("a", blind)], {"records-hit": [hit("a", blind), hit("a")]})
        assert out.total == 0  # nothing is written yet
    assert out.total == 1  # what was asked for, of the records alone
    for kind in ("records", "records-hit"):
        assert held(tmp_path / kind) == [["a"]]
        assert held(tmp_path / f"{kind}-nulls") == [["a"]]
        assert writer.beside_of(tmp_path / kind) == tmp_path / f"{kind}-nulls"


def test_what_says_that_an_image_is_done_is_written_last(tmp_path, monkeypatch):
    """A run that stops between two parts measures the image again, rather than never."""
    order, write = [], parts.write

    def noted(folder, rows, *rest):
        order.append((folder.name, len(rows)))
        return write(folder, rows, *rest)

    monkeypatch.setattr(writer.parts, "write", noted)
    blind = sorted(nulls.NAMES)[0]
    with Writer(tmp_path / "records") as out:
        out.add([row("a"), row("a", blind)], {"records-hit": [hit("a")]})
        out.add([row("b")], {"records-hit": [hit("b")]})
    written = [name for name, n in order if n]
    assert written == ["records-hit", "records-nulls", "records"]


def test_a_part_is_of_256_images_whatever_kinds_they_have(tmp_path):
    with Writer(tmp_path / "records") as out:
        for i in range(300):
            out.add([row(f"{i:03}")], {"records-hit": [hit(f"{i:03}")] * (i % 3)})
    for kind, each in (("records", 1), ("records-hit", 0)):
        listed = held(tmp_path / kind)
        names = [sorted(set(part)) for part in listed]
        assert len(listed) == 2
        kept = [f"{i:03}" for i in range(300) if each or i % 3]
        assert sorted(names) == [
            [n for n in kept if int(n) < 256],
            [n for n in kept if int(n) > 255],
        ]
    assert out.total == 300


def test_a_part_is_of_thirty_seconds(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(writer, "PART_SECONDS", 30)
    out = Writer(tmp_path / "records")
    for second, n in ((0, 0), (29.9, 0), (30, 1), (59, 1), (60, 2)):
        clock[0] = second
        out.add([row(str(second))])
        assert len(held(tmp_path / "records")) == n, second


def test_an_interruption_loses_no_whole_image(tmp_path):
    def interrupted():
        with Writer(tmp_path / "records") as out:
            out.add([row("a")], {"records-hit": [hit("a")]})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert held(tmp_path / "records") == held(tmp_path / "records-hit") == [["a"]]


def test_a_folder_is_made_though_nothing_is_written(tmp_path):
    with Writer(tmp_path / "run" / "records") as out:
        pass
    assert (tmp_path / "run" / "records").is_dir()
    assert not held(tmp_path / "run" / "records")
    assert out.total == 0
