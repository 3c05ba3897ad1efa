import numpy as np
import pytest
import yaml

from camx.camcore import maps, plugins
from camx.evaluators import records, stats
from camx.evaluators.results import claims, measures, tables
from camx.evaluators.tasks.localize import Record
from camx.evaluators.types import Cell


def write_run(folder, hits, protocol="paper", start="2026-01-01", command="localize"):
    """A run whose cells hit the images given: ``{Cell: (n,) bool}``."""
    identity = records.Identity(command, "d", 0, protocol={"name": protocol})
    place = {"name": "d", "root": "d"}
    records.begin(folder, identity, records.Invocation({}, place, "cpu", start=start))
    with records.Writer(folder / "records") as writer:
        for i in range(len(next(iter(hits.values())))):
            writer.add(
                [
                    Record(str(i), 1, (1, 2, 3, 4, 5), *c.key, 0, 0, 1, 1, float(hit[i]), False)
                    for c, hit in hits.items()
                ]
            )


def entry(**changed):
    whole = {"id": "X", "sentence": "x", "where": "here", "command": "localize"}
    pair = {"more": ["a", "S5"], "less": ["b", "S5"]}
    return {**whole, "metrics": ["gtknown"], "comparisons": [pair], **changed}


def claim(more, less, id="X", **extra):
    pairs = [{"more": m, "less": s} for m, s in zip(more, less)]
    return claims._claim(entry(id=id, comparisons=pairs, **extra), "test", None)


A, B, C = (Cell.of(name, "S5") for name in ("a", "b", "c"))
a, b, c = (list(cell.key[:2]) for cell in (A, B, C))


@pytest.fixture
def run(tmp_path):
    """Of 100 images a hits 80, b 50 (all of them a's), c 79 (all but one of a's)."""
    i = np.arange(100)
    write_run(tmp_path / "run", {A: i < 80, B: i < 50, C: i < 79})
    return tmp_path


def test_verdicts(run):
    frame = claims.evaluate(
        [
            claim([a], [b], "better"),
            claim([b], [a], "worse"),
            claim([a], [c], "even"),
            claim([a], [["d", "S5"]], "lacking"),
            claim([a, a], [b, c], "both"),
            claim([a, b], [b, a], "mixed"),
        ],
        run,
    )
    found = frame.drop_duplicates("claim").set_index("claim")["verdict"].to_dict()
    assert found == {
        "better": "reproduced", "worse": "contradicted", "even": "undecided",
        "lacking": "not run", "both": "undecided", "mixed": "contradicted",
    }  # fmt: skip
    row = frame.iloc[0]
    test = stats.mcnemar(np.arange(100) < 80, np.arange(100) < 50)
    assert (row["difference"], row["p_value"], row["n"], row["run"]) == (
        30,
        test.p_value,
        100,
        str(run / "run"),
    )
    assert (row["ci_low"], row["ci_high"]) == (test.ci_low, test.ci_high)
    measured = frame[frame["p_value"].notna()]
    assert measured["p_holm"].tolist() == stats.holm(measured["p_value"].tolist())
    assert len(measured) == 7


def test_at_most_is_judged_by_the_interval(run):
    found = claims.evaluate(
        [
            claim([a], [b], "X", at_most=40),
            claim([a], [b], "Y", at_most=30),
            claim([a], [b], "Z", at_most=10),
        ],
        run,
    )
    assert found["verdict"].tolist() == ["reproduced", "undecided", "contradicted"]
    found = claims.evaluate(
        [claim([c, b], [a, a], "X", within=40), claim([b], [a], "Y", within=10)], run
    )
    assert found["verdict"].tolist() == ["reproduced", "reproduced", "contradicted"]
    rows = claims.evaluate(
        [
            claim([a, a], [c, b], "X"),
            claim([c, b], [a, a], "Y", within=40),
            claim([a, a], [c, b], "Z", at_most=9),
        ],
        run,
    )
    for name, extra, weakest in (
        ("X", {}, 1),
        ("Y", {"within": 40}, -30),
        ("Z", {"at_most": 9}, 30),
    ):
        of_claim = rows[rows["claim"] == name]
        assert claims.weakest(of_claim, claim([a], [b], name, **extra))["difference"] == weakest


def test_a_lead_may_be_larger_than_another(run):
    found = claims.evaluate([claim([[a, b]], [[b, c]])], run).iloc[0]  # (a - b) - (c - b)
    assert (found["difference"], found["more"], found["less"]) == (
        1,
        "a S5 and b S5",
        "b S5 and c S5",
    )


def test_both_sides_come_from_the_preferred_run(run):
    i = np.arange(200)
    write_run(run / "single", {A: i < 1, B: i < 150}, protocol="single")
    assert claims.evaluate([claim([a], [b])], run).iloc[0]["run"].endswith("run")
    write_run(run / "larger", {A: i < 1, B: i < 150})
    assert claims.evaluate([claim([a], [b])], run).iloc[0]["verdict"] == "contradicted"
    write_run(run / "half", {Cell.of("e", "S5"): i < 150})
    assert claims.evaluate([claim([["e", "S5"]], [a])], run).iloc[0]["verdict"] == "not run"


def test_the_shipped_claims():
    """At least a dozen, each of cells that a shipped table names, of known methods and metrics."""
    shipped = claims.load()
    assert len({c.id for c in shipped}) == len(shipped) >= 12
    known = {(e.task.name, e.cell) for name in tables.names() for e in tables.load(name).entries}
    for shown in shipped:
        assert "Section III" in shown.where
        for comparison in shown.comparisons:
            assert comparison.metric in shown.task.metrics
            for cell in comparison.more + comparison.less:
                assert (shown.task.name, cell) in known or not shown.task.tables, cell
                assert cell.method in (*plugins.names(maps.METHODS), "DGCN-CAM", "DGCN-LayerCAM")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"command": "fly"}, "claim X: command is 'fly'; accepted: defects, localize"),
        ({"metrics": ["loc9"]}, "claim X: unknown metric 'loc9'; known: loc1"),
        ({"comparisons": [{"more": ["a", "S5"]}]}, "claim X: less is None; expected"),
        ({"comparisons": [{"more": ["a"], "less": ["b", "S5"]}]}, "claim X: more is"),
        ({"atmost": 3}, "claim X: unknown 'atmost'"),
        ({"metrics": [["loc1"]]}, "claim X: metrics is .*; expected a list of metrics"),
        ({"sentence": None}, "claim X: sentence is None; expected a str"),
        ({"where": 3}, "claim X: where is 3; expected a str"),
        ({"at_most": float("nan")}, "claim X: at_most is nan; expected a number of points"),
        ({"within": True}, "claim X: within is True; expected a number of points"),
        ({"within": 10**400}, "claim X: within is 1000"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, change, word):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump([entry(**change)]))
    with pytest.raises(ValueError, match=word):
        claims.load(str(tmp_path / "c.yaml"))


def test_a_file_is_a_list_of_whole_claims(tmp_path):
    (tmp_path / "c.yaml").write_text("{a: b}")
    with pytest.raises(ValueError, match="expected a list of claims"):
        claims.load(str(tmp_path / "c.yaml"))
    (tmp_path / "c.yaml").write_text("- {id: X}")
    with pytest.raises(ValueError, match="a claim needs"):
        claims.load(str(tmp_path / "c.yaml"))


def test_few_images_that_never_disagree_prove_no_equality(tmp_path):
    """One image that both hit: the bootstrap's interval has no width, the one that decides has."""
    write_run(tmp_path / "one", {A: np.array([True]), B: np.array([True])})
    found = claims.evaluate(
        [claim([a], [b], "X", within=0.5), claim([a], [b], "Y", at_most=0.5)], tmp_path
    )
    assert found["verdict"].tolist() == ["undecided", "undecided"]
    assert found["p_holm"].isna().all()  # no test decides them, so none is corrected for
    write_run(tmp_path / "many", {A: np.ones(5000, bool), B: np.ones(5000, bool)})
    found = claims.evaluate([claim([a], [b], "X", within=0.5)], tmp_path)
    assert found["verdict"].tolist() == ["reproduced"]


def test_ids_differ_and_places_are_named(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump([entry(), entry()]))
    with pytest.raises(ValueError, match="two claims have the id 'X'"):
        claims.load(str(tmp_path / "c.yaml"))
    for change, word in (
        ({"metrics": []}, r"claim X: metrics is \[\]; expected a list"),
        ({"metrics": None}, "claim X: metrics is None"),
        ({"comparisons": []}, r"claim X: comparisons is \[\]"),
        ({"comparisons": [{"more": [], "less": ["b", "S5"]}]}, r"claim X: more is \[\]"),
        (
            {"comparisons": [{"more": ["a", "S3", "gama=2"], "less": ["b", "S5"]}]},
            "claim X: unknown variant 'gama=2'",
        ),
        ({"at_most": "two"}, "claim X: at_most is 'two'"),
        ({"command": ["x"]}, r"claim X: command is \['x'\]"),
    ):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump([entry(**change)]))
        with pytest.raises(ValueError, match=word):
            claims.load(str(tmp_path / "c.yaml"))


def test_a_run_s_outcomes_are_read_once(run, monkeypatch):
    asked = []
    original = measures.outcomes
    monkeypatch.setattr(
        measures, "outcomes", lambda *given: asked.append(given) or original(*given)
    )
    claims.evaluate([claim([a, a, b], [b, c, c])], run)
    assert len(asked) == 2  # for the numbers that choose the run, and for the tests


def test_a_test_that_only_the_correction_leaves_undecided(tmp_path):
    """Raw p is 0.031 in each of two comparisons; Holm's for the two is 0.063."""
    i = np.arange(100)
    write_run(tmp_path / "run", {A: i < 56, B: i < 50, C: i < 50})
    (alone,) = claims.evaluate([claim([a], [b])], tmp_path).to_dict("records")
    assert (alone["p_holm"], alone["verdict"]) == (alone["p_value"], "reproduced")
    both = claims.evaluate([claim([a], [b], "X"), claim([a], [c], "Y")], tmp_path)
    assert both["p_value"].tolist() == [alone["p_value"]] * 2
    assert (both["p_value"] < claims.ALPHA).all()
    assert both["p_holm"].tolist() == [2 * alone["p_value"]] * 2
    assert (both["p_holm"] > claims.ALPHA).all()
    assert both["comparison"].tolist() == both["verdict"].tolist() == ["undecided"] * 2
