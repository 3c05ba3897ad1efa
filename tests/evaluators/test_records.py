import json
from dataclasses import replace

import pytest

from evaluators import records
from evaluators.types import Cell, Localization

IDENTITY = {"command": "localize", "seed": 0, "protocol": {"name": "single", "threshold": 0.15}}


def record(image, method="layercam"):
    return Localization(image, 1, (1, 2, 3, 4, 5), method, "S5", "", 0, 0, 5, 5, 0.5, False)


def test_what_is_written_is_read(tmp_path):
    with records.Writer(tmp_path / "records") as writer:
        writer.add([record("b"), record("b", "gradcam")])
        writer.add([record("a")])
    frame = records.read(tmp_path)
    assert frame[["image_id", "method"]].to_numpy().tolist() == [["a", "layercam"], ["b", "gradcam"], ["b", "layercam"]]
    assert frame["top5"][0].tolist() == [1, 2, 3, 4, 5]
    assert records.done(tmp_path) == {Cell("layercam", "S5"): {"a", "b"}, Cell("gradcam", "S5"): {"b"}}
    assert all(p.suffix == ".parquet" for p in (tmp_path / "records").iterdir())


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_part_whose_lists_are_all_empty(tmp_path, order):
    for image in order:  # parts are read in the order they were written
        with records.Writer(tmp_path / "records") as writer:
            writer.add([replace(record(image), top5=() if image == "a" else (3, 4))])
    assert [row.tolist() for row in records.read(tmp_path)["top5"]] == [[], [3, 4]]


def test_an_error_loses_nothing(tmp_path):
    def interrupted():
        with records.Writer(tmp_path / "records") as writer:
            writer.add([record("a")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(records.read(tmp_path)) == 1


def test_a_part_per_256_images(tmp_path):
    with records.Writer(tmp_path / "records") as writer:
        for i in range(300):
            writer.add([record(str(i))])
        assert len(list((tmp_path / "records").glob("*.parquet"))) == 1
    assert len(records.read(tmp_path)) == 300


def test_half_written_parts_are_not_read(tmp_path):
    with records.Writer(tmp_path / "records") as writer:
        writer.add([record("a")])
    (tmp_path / "records" / ".part-1.tmp").write_bytes(b"PAR1 torn")
    assert len(records.read(tmp_path)) == 1


def test_another_identity_is_refused_by_name(tmp_path):
    run = tmp_path / "run"
    records.begin(run, {**IDENTITY, "seed": 5}, {"start": "0"})
    records.begin(run, IDENTITY, {"start": "1"})  # the first one recorded nothing: it claims nothing
    with records.Writer(run / "records") as writer:
        writer.add([record("a")])
    assert len(records.begin(run, IDENTITY, {"start": "2"})["invocations"]) == 2
    changed = {**IDENTITY, "protocol": {"name": "single", "threshold": 0.2}}
    with pytest.raises(ValueError, match=r"protocol\.threshold is 0\.15, not 0\.2; .*--out .*run-2"):
        records.begin(run, changed, {"start": "3"})
    with pytest.raises(ValueError, match="seed is 0, not 1"):
        records.begin(run, {**IDENTITY, "seed": 1}, {"start": "3"})
    assert len(json.loads((run / "run.json").read_text())["invocations"]) == 2


def test_a_torn_run_json_is_named(tmp_path):
    (tmp_path / "run.json").write_text('{"command": {')
    with pytest.raises(ValueError, match=r"run\.json: not a run\.json"):
        records.find(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        records.find(tmp_path / "nowhere")


def test_records_of_unknown_origin_are_not_adopted(tmp_path):
    with records.Writer(tmp_path / "run/records") as writer:
        writer.add([record("a")])
    with pytest.raises(ValueError, match=r"no run\.json to say what they are"):
        records.begin(tmp_path / "run", IDENTITY, {"start": "1"})


def test_two_writers_of_the_same_image_count_once(tmp_path):
    for _ in range(2):
        with records.Writer(tmp_path / "records") as writer:
            writer.add([record("a")])
    assert len(records.read(tmp_path)) == 1


def test_a_torn_part_is_named(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records/part-1.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match="a part is damaged; delete it"):
        records.read(tmp_path)
