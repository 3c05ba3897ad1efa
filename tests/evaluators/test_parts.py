"""Parts: what is damaged, or of another run, is refused; nothing is mapped into memory."""

import random
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camx.evaluators import parts


@dataclass(frozen=True)
class Row:
    image_id: str
    iou: float
    top5: tuple[int, ...] = ()


ROWS = [Row(str(n), n / 7, (n, n + 1)) for n in range(50)]


def one(folder):
    (path,) = folder.glob("*.parquet")
    return path


def test_rows_come_back_with_their_mark(tmp_path):
    parts.write(tmp_path, ROWS, "of this run")
    table, mark = parts.read(one(tmp_path))
    assert mark == "of this run"
    assert table.to_pylist() == [
        {"image_id": r.image_id, "iou": r.iou, "top5": list(r.top5)} for r in ROWS
    ]
    assert parts.read(one(tmp_path), ["iou"])[0].column_names == ["iou"]
    parts.write(tmp_path / "nothing", [])
    assert not (tmp_path / "nothing").exists()


def test_the_types_are_the_annotations(tmp_path):
    """Lists that are all empty tell no type."""
    parts.write(tmp_path, [Row("a", 0.0)])
    schema = parts.read(one(tmp_path))[0].schema
    assert schema.types == [pa.string(), pa.float64(), pa.list_(pa.int64())]


def test_no_flipped_bit_goes_unseen(tmp_path):
    parts.write(tmp_path, ROWS, "m")
    path = one(tmp_path)
    content = path.read_bytes()
    rng = random.Random(0)
    for _ in range(150):
        at = rng.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << at % 8
        path.write_bytes(bytes(flipped))
        with pytest.raises(ValueError, match=rf"{path.name}: a part is damaged; delete it"):
            parts.read(path)
    for cut in (0, 1, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="a part is damaged"):
            parts.read(path)


def test_bits_of_pages_are_checked_besides(tmp_path):
    """Where a name says nothing of the content, as that of an earlier run's part."""
    parts.write(tmp_path, ROWS)
    path = one(tmp_path).rename(tmp_path / "part-1-0123abcd.parquet")
    assert parts.read(path)[0].num_rows == 50
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    content[column.data_page_offset + column.total_compressed_size - 9] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="a part is damaged"):
        parts.read(path)


def test_what_bears_an_earlier_name_and_no_checksum_is_read(tmp_path):
    pq.write_table(pa.table({"image_id": ["a"]}), tmp_path / "part-1-0123abcd.parquet")
    table, mark = parts.read(tmp_path / "part-1-0123abcd.parquet")
    assert (table.to_pylist(), mark) == ([{"image_id": "a"}], "")


def test_a_part_of_another_run_is_refused(tmp_path):
    for mark in ("one", "other", ""):
        parts.write(tmp_path / (mark or "none"), ROWS, mark)
    of = {name: one(tmp_path / name) for name in ("one", "other", "none")}
    assert parts.joined([of["one"], of["none"]], mark="one").num_rows == 100
    assert parts.joined([of["none"], of["one"], of["one"]]).num_rows == 150
    for paths, mark in (
        ([of["one"], of["other"]], ""),
        ([of["one"], of["other"]], "one"),
        ([of["other"]], "one"),
    ):
        with pytest.raises(ValueError, match=rf"{of['other'].name}: a part of another run"):
            parts.joined(paths, mark=mark)


def test_a_clock_that_goes_back_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(parts.time, "time_ns", lambda: 5)
    parts.write(tmp_path, ROWS[:20])
    parts.write(tmp_path, ROWS[20:])
    assert parts.joined(sorted(tmp_path.glob("*.parquet"))).num_rows == 50
