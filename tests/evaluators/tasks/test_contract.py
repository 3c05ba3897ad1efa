"""Every task keeps the contract of docs/evaluators.md."""

import dataclasses
import math
from pathlib import Path

import pytest
import yaml

from camx.cli import measuring
from camx.evaluators import fields, parts, protocols, records, tasks
from camx.evaluators.results import tables
from camx.evaluators.types import Cell, MapProtocol, Protocol

NAMES = tasks.names()
DOCUMENT = (Path(__file__).parents[3] / "docs/evaluators.md").read_text()


@pytest.fixture(params=NAMES)
def task(request):
    return tasks.load(request.param)


def test_the_five_commands_are_tasks():
    assert {"localize", "occlude", "defects", "pseudo", "segment"} <= set(NAMES)


def test_a_task_says_what_it_is(task):
    module = task.plugin.object
    assert module.TITLE
    assert module.SOURCE
    assert task.help.strip()
    assert task.data in ("localization", "defects", "segmentation")
    assert (task.grade is None) != (task.loop is None)
    assert task.name == task.command


def test_a_record_is_an_outcome_of_one_image_in_one_cell(task):
    names = [field.name for field in dataclasses.fields(task.record)]
    assert names[0] == "image_id"
    assert [name for name in names if name in records.KEY] == records.KEY
    assert parts.schema(task.record).names == names


def test_metrics_are_data(task):
    for name, metric in task.metrics.items():
        assert metric.name == name
        assert metric.meaning
        assert metric.unit
        assert metric.better in ("higher", "lower", "neither")
    with pytest.raises(ValueError, match="unknown metric 'nonsense'; known: "):
        task.metric("nonsense")


def test_nothing_recorded_has_no_outcomes(task, tmp_path):
    assert task.outcomes(tmp_path) == []


def test_a_cell_s_name_is_its_name(task):
    for name in task.tables:
        for entry in tables.load(name).entries:
            if entry.cell and entry.task.name == task.name:
                assert task.canonical(entry.cell) == entry.cell
                assert Cell.of(*entry.cell.key) == entry.cell


@pytest.mark.parametrize("name", protocols.names())
def test_every_shipped_protocol_is_one_of_the_task_s(task, name):
    protocol = protocols.load(name, task.name, task.protocol)
    assert isinstance(protocol, Protocol)
    assert isinstance(protocol, MapProtocol) == task.network
    assert protocol.name == name


def test_every_field_has_help_and_says_what_it_accepts(task):
    for kind in (task.protocol, task.options):
        accepted = fields.of(kind)
        for field in dataclasses.fields(kind):
            assert field.metadata["help"], field.name
            assert accepted[field.name].words, field.name


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, None, {"a": 1}, object(), [[1]]],
    ids=["nan", "inf", "None", "dict", "object", "list"],  # the same in every process
)
def test_nonsense_is_refused_with_the_field_s_name(task, value):
    protocol = protocols.load("paper", task.name, task.protocol)
    for field in dataclasses.fields(task.protocol):
        if value is None and field.default is None:
            continue  # what is not asked for; test_none_is_what_is_not_asked_for
        with pytest.raises(ValueError, match=rf"{field.name} is .*accepted: "):
            dataclasses.replace(protocol, **{field.name: value})


def test_none_is_what_is_not_asked_for(task):
    """A field may be None where that is its default, and is so in the paper's protocol."""
    protocol = protocols.load("paper", task.name, task.protocol)
    for field in dataclasses.fields(task.protocol):
        if field.default is None:
            assert getattr(protocol, field.name) is None
            assert dataclasses.replace(protocol, **{field.name: None}) == protocol


def test_the_command_has_an_option_for_each_field(task):
    options = {name for p in measuring.command(task.name).params for name in [p.name]}
    of_maps = {field.name for field in dataclasses.fields(MapProtocol)}
    assert {f.name for f in dataclasses.fields(task.options)} <= options
    assert {f.name for f in dataclasses.fields(task.protocol)} - of_maps <= options


def test_the_paper_s_protocol_names_every_field():
    """None has a silent default: what the paper's protocol is stands in one file."""
    path = Path(str(protocols._FOLDER)) / "paper.yaml"
    content = yaml.safe_load(path.read_text())
    for name in NAMES:
        task = tasks.load(name)
        top = {f.name for f in dataclasses.fields(MapProtocol)} if task.network else {"name"}
        own = {f.name for f in dataclasses.fields(task.protocol)} - top
        assert own <= set(content.get(name, {})), name


def test_the_document_names_what_a_task_declares():
    for name in [*tasks.DECLARED.values(), *tasks.CALLED, "METRICS", "BASE", "outcomes"]:
        assert name == "__doc__" or f"`{name}" in DOCUMENT, name


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("TASK = 'localization'", "Record is missing"),
        ("from dataclasses import dataclass\n@dataclass\nclass Record: pass", "TASK is missing"),
        ("TASK = 'localization'\nclass Record: pass", "grade or loop is missing"),
        (
            "TASK = 'localization'\nclass Record: pass\ndef grade(*a): return []",
            "METRICS is missing",
        ),
        ("raise SystemExit", "bad.py"),
    ],
)
def test_a_file_that_is_no_task_says_what_is_missing(tmp_path, text, word):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(ValueError, match=word):
        tasks.load(str(tmp_path / "bad.py"))
