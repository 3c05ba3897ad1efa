"""docs/records.md has every column of every kind of record, and every field of run.json."""

import json
import re
from pathlib import Path

import pytest

from camx.evaluators import measures, parts, skips, tasks
from camx.evaluators.results import filling
from camx.evaluators.tasks import defects, localize, occlude, pseudo, sanity, score, segment, values
from camx.evaluators.tasks.defects import timing

PAGE = (Path(__file__).parents[1] / "docs/records.md").read_text()
ORDER = ("maxboxacc", "pxap", "pointing", "energy", "rank", "imagenet-segmentation")
MEASURES = [measures.load(name) for name in ORDER]
KINDS = {
    "`camx localize`: `records/`": localize.Record,
    "`camx score`: `records/`": score.Record,
    **{f"`--measure {m.name}`: `{m.kind}/`": m.record for m in MEASURES},
    "`camx occlude`: `records/`": occlude.Record,
    "`camx occlude --metric`: `records-deletion/`, `records-insertion/`": occlude.Curve,
    "`camx occlude --metric drop`: `records-drop/`": occlude.scores.Drop,
    "`camx occlude --metric adcc`: `records-adcc/`": occlude.scores.Adcc,
    "`camx occlude --metric road`: `records-road/`": occlude.scores.Road,
    "`camx measure sanity`: `records/`": sanity.Record,
    "`camx defects`: `records/`": defects.Record,
    "`camx defects`: `timing.parquet`": timing.Timing,
    "`camx pseudo`: `records/`": pseudo.Record,
    "`camx segment`: `records/`, `records-crf/`": segment.Record,
    "`camx measure values`: `records/`": values.Record,
}
JSON = {str: "string", int: "number", dict: "mapping", list: "list"}


def rows(heading):
    """``{first cell: second cell}`` of the table below a heading, in the page's order."""
    part = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.M)[1].split("\n#")[0]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
    return {line[0].strip("`"): line[1].strip(" |") for line in lines}


def columns(kind):
    types = {field.name: str(field.type) for field in parts.schema(kind)}
    return {
        name: re.sub(r"list<\w+: (\w+)>", r"list of \1", type_) for name, type_ in types.items()
    }


@pytest.mark.parametrize("heading", KINDS)
def test_a_kind_s_columns_are_on_the_page(heading):
    told, held = rows(heading), columns(KINDS[heading])
    assert list(told.items()) == list(held.items())


def test_every_kind_is_on_the_page():
    assert sorted(ORDER) == measures.names()
    assert re.findall(r"^### (.*)$", PAGE, re.M) == list(KINDS)
    told = {kind.__module__ for kind in KINDS.values()}
    assert {tasks.load(name).record.__module__ for name in tasks.names()} <= told


def test_run_json_has_the_page_s_fields(camx, tmp_path):
    camx("localize", "--protocol", "single", "--limit", "1", "--layer", "S5", "--out", "run")
    content, told = json.loads((tmp_path / "run/run.json").read_text()), rows("`run.json`")
    assert list(content) == list(told)
    shown = {name: JSON[type(value)] for name, value in content.items() if value is not None}
    assert shown == {name: told[name] for name in shown}
    (invocation,) = content["invocations"]
    later = list(told)[list(told).index("options") : list(told).index("invocations")]
    assert set(invocation) == {*later, "start"}


def test_the_tables_columns_are_on_the_page():
    part = PAGE.partition("## `cells.csv`")[2]
    assert re.findall(r"`(\w+)`", part) == filling.COLUMNS
    assert f"left out: {', '.join(skips.COLUMNS)} |" in PAGE
