import json
from dataclasses import replace

import pytest

from camx.evaluators import records
from camx.evaluators.tasks.localize import Record
from camx.evaluators.types import Cell

SINGLE = {"name": "single", "threshold": 0.15}
IDENTITY = records.Identity("localize", "f00d", seed=0, protocol=SINGLE)


def invocation(**values):
    return records.Invocation({}, {"name": "mini", "root": "."}, "cpu", **values)


def record(image, method="layercam"):
    return Record(image, 1, (1, 2, 3, 4, 5), method, "S5", "", 0, 0, 5, 5, 0.5, False)


def write(run, *images):
    with records.Writer(run / "records") as writer:
        for image in images:
            writer.add([record(image)])


def test_what_is_written_is_read(tmp_path):
    with records.Writer(tmp_path / "records") as writer:
        writer.add([record("b"), record("b", "gradcam")])
        writer.add([record("a")])
    frame = records.read(tmp_path)
    rows = frame[["image_id", "method"]].to_numpy().tolist()
    assert rows == [["a", "layercam"], ["b", "gradcam"], ["b", "layercam"]]
    assert frame["top5"][0].tolist() == [1, 2, 3, 4, 5]
    layercam, gradcam = Cell.of("layercam", "S5"), Cell.of("gradcam", "S5")
    assert records.done(tmp_path) == {layercam: {"a", "b"}, gradcam: {"b"}}
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
        for number in range(300):
            writer.add([record(str(number))])
        assert len(list((tmp_path / "records").glob("*.parquet"))) == 1
    assert len(records.read(tmp_path)) == 300


def test_half_written_parts_are_not_read(tmp_path):
    write(tmp_path, "a")
    (tmp_path / "records" / ".part-1.tmp").write_bytes(b"PAR1 torn")
    assert len(records.read(tmp_path)) == 1


def test_another_identity_is_refused_by_name(tmp_path):
    run = tmp_path / "run"
    records.begin(run, replace(IDENTITY, seed=5), invocation())  # records nothing: claims nothing
    records.begin(run, IDENTITY, invocation())
    write(run, "a")
    assert len(records.begin(run, IDENTITY, invocation()).invocations) == 2
    for changed, word in (
        ({"protocol": {**SINGLE, "threshold": 0.2}}, r"protocol\.threshold is 0\.15, not 0\.2"),
        ({"seed": 1}, "seed is 0, not 1"),
        ({"fingerprint": "beef"}, r"data\.fingerprint is 'f00d', not 'beef'"),
        ({"further": {"recipe": 1}}, "recipe is None, not 1"),
    ):
        with pytest.raises(ValueError, match=rf"a run whose {word}; .*--out .*run-2"):
            records.begin(run, replace(IDENTITY, **changed), invocation())
    assert len(json.loads((run / "run.json").read_text())["invocations"]) == 2


def test_a_field_that_came_later_is_at_its_default_in_an_older_run(tmp_path):
    """`target` is such: a run of a protocol without it goes on as of the logit, and no other. So
    are `precision` and `channels_last`: how a network computes is part of the identity.
    """
    run, mine = tmp_path / "run", {"name": "single", "view": "resize", "style": ""}
    records.begin(run, replace(IDENTITY, protocol=mine), invocation())
    write(run, "a")
    now = {**mine, "target": "logit", "precision": "float32", "channels_last": False}
    assert records.begin(run, replace(IDENTITY, protocol=now), invocation()).protocol == now
    for field, old, new in (("precision", "'float32'", "bf16"), ("channels_last", "False", True)):
        other = replace(IDENTITY, protocol={**now, field: new})
        with pytest.raises(ValueError, match=rf"protocol\.{field} is {old}, not {new!r}"):
            records.begin(run, other, invocation())
    other = replace(IDENTITY, protocol={**now, "target": "finer"})
    with pytest.raises(ValueError, match=r"protocol\.target is 'logit', not 'finer'"):
        records.begin(run, other, invocation())
    with pytest.raises(ValueError, match=r"protocol\.channels_last is False, not None"):
        records.begin(run, replace(IDENTITY, protocol={"name": "single"}), invocation())


def test_how_a_network_computes_is_part_of_the_identity(tmp_path):
    """A run from before there was a choice goes on as the default, and as no other."""
    run, mine = tmp_path / "run", {"name": "single", "view": "resize", "style": ""}
    records.begin(run, replace(IDENTITY, protocol=mine), invocation())
    write(run, "a")
    now = {**mine, "target": "logit", "precision": "float32", "channels_last": False}
    assert records.begin(run, replace(IDENTITY, protocol=now), invocation()).protocol == now
    for field, old, new in (("precision", "'float32'", "bf16"), ("channels_last", "False", True)):
        other = replace(IDENTITY, protocol={**now, field: new})
        with pytest.raises(ValueError, match=rf"protocol\.{field} is {old}, not {new!r}"):
            records.begin(run, other, invocation())


def test_layers_that_are_other_modules_are_another_run_s(tmp_path):
    run, layers = tmp_path / "run", {"S1": {"module": "stem", "next": None, "layout": "tokens"}}
    records.begin(run, IDENTITY, invocation())  # before layers were told
    write(run, "a")
    held = records.begin(run, replace(IDENTITY, layers=layers), invocation())
    assert held.identity["layers"] == layers
    other = {"S1": {**layers["S1"], "module": "blocks"}}
    with pytest.raises(ValueError, match=r"layers\.S1\.module is 'stem', not 'blocks'"):
        records.begin(run, replace(IDENTITY, layers=other), invocation())


def test_another_version_of_a_plug_in_is_refused(tmp_path):
    run = tmp_path / "run"
    records.begin(run, IDENTITY, invocation(plugins={"mine": "1"}))
    write(run, "a")
    records.begin(run, IDENTITY, invocation(plugins={"mine": "1", "other": "2"}))
    with pytest.raises(ValueError, match=r"records of another version of 'mine'; .*run-2"):
        records.begin(run, IDENTITY, invocation(plugins={"mine": "3"}))


def test_a_run_is_loaded_as_it_was_saved(tmp_path):
    run = records.begin(tmp_path / "run", IDENTITY, invocation(task="localize"))
    run.finish(images=3)
    assert records.load(tmp_path / "run") == run
    assert records.find(tmp_path) == [run]
    assert (run.command, run.task, run.fingerprint) == ("localize", "localize", "f00d")
    assert (run.protocol, run.dataset["name"], run.last["counts"]) == (
        SINGLE,
        "mini",
        {"images": 3},
    )
    assert run.about() == "masks on mini, protocol single"


def test_a_torn_run_json_is_named(tmp_path):
    (tmp_path / "run.json").write_text('{"command": {')
    with pytest.raises(ValueError, match=r"run\.json: not JSON"):
        records.find(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        records.find(tmp_path / "nowhere")


def test_records_of_unknown_origin_are_not_adopted(tmp_path):
    write(tmp_path / "run", "a")
    with pytest.raises(ValueError, match=r"no run\.json to say what they are"):
        records.begin(tmp_path / "run", IDENTITY, invocation())


def test_two_writers_of_the_same_image_count_once(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "a")
    assert len(records.read(tmp_path)) == 1


def test_a_torn_part_is_named(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "records/part-1.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match="a part is damaged; delete it"):
        records.read(tmp_path)


NONSENSE = (None, 3, "x", [], {}, [1], {"a": 1}, True, 10**400)


def places(content, path=()):
    """The path of every key of a run.json, of the last invocation's too."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items if isinstance(content, dict | list) else ():
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def used(run):
    """What commands ask of a run."""
    return run.about(), run.newest, run.task, run.fingerprint, run.command, run.kind, run.classes


def refusal(folder):
    """Why a run cannot be used; empty if it can."""
    try:
        used(records.load(folder))
    except ValueError as error:
        return str(error)
    return ""


def test_every_edit_of_a_run_json_is_read_or_named(tmp_path):
    run = records.begin(tmp_path, IDENTITY, invocation(plugins={"mine": "0"}, weights="w"))
    write(tmp_path, "a")
    run.finish(images=1)
    path, tried, refused = tmp_path / "run.json", 0, 0
    whole = path.read_text()
    for place in list(places(json.loads(whole))):
        for value in (*NONSENSE, "gone"):
            content = json.loads(whole)
            inner = content
            for key in place[:-1]:
                inner = inner[key]
            if value == "gone":
                del inner[place[-1]]
            else:
                inner[place[-1]] = value
            path.write_text(json.dumps(content))
            tried += 1
            message = refusal(tmp_path)
            refused += bool(message)
            assert not message or str(path) in message
    assert refused > tried / 10


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, "3", "[]", "{}", "", "\0"])
def test_what_is_no_run_json(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json: not "):
        records.load(tmp_path)


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({"name": "single"}, "protocol single"),
        ({"name": "single", "precision": "float32", "channels_last": False}, "protocol single"),
        ({"name": "mine.yaml", "precision": "bf16"}, "protocol mine.yaml, bf16"),
        ({"name": "mine.yaml", "channels_last": True}, "protocol mine.yaml, channels last"),
        ({"name": "p, precision=fp16", "precision": "fp16"}, "protocol p, precision=fp16"),
        (
            {"name": "p, precision=fp16", "precision": "fp16", "channels_last": True},
            "protocol p, precision=fp16, channels last",
        ),
    ],
)
def test_how_a_run_was_computed_is_said_once(tmp_path, protocol, words):
    run = records.begin(tmp_path, replace(IDENTITY, protocol=protocol), invocation())
    assert run.about().partition(" on ")[2].partition(", ")[2].partition(", paper")[0] == words
