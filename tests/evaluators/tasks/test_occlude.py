"""Names of holes, what an option is of, and numbers by hand."""

import pytest

from camx.evaluators import protocols, records, tasks
from camx.evaluators.results import measures
from camx.evaluators.tasks import occlude
from camx.evaluators.types import Cell

CELL = Cell.of("layercam", "S5")
TASK = tasks.load("occlude")
PROTOCOL = protocols.load("single", "occlude", occlude.Protocol)


def holes(maps, **options):
    return occlude.cells(maps, occlude.Options(**options), PROTOCOL)


def numbers_of(run):
    return measures.numbers(measures.outcomes(run, TASK), TASK)


@pytest.mark.parametrize(
    "cell",
    [
        CELL,
        *holes([CELL], areas=(0.1,)),
        *holes([CELL], random=True),
        *holes([Cell.of("a", "S5+S3", "gamma=2")], areas=(0.25,), random=True),
    ],
    ids=str,
)
def test_a_hole_s_name_says_what_it_is(cell):
    assert Cell.of(*cell.key) == cell
    assert occlude.canonical(cell) == cell


def test_names():
    plain, random = holes([Cell.of("a", "S5+S3", "gamma=2")], areas=(0.25,), random=True)
    assert plain.variant == "gamma=2, area=0.25"
    assert random.variant == "gamma=2, area=0.25, random"
    named = occlude.canonical(Cell.of("a", "S5+S3", "area=0.1"))
    assert named.variant == "gamma=2, area=0.1"
    assert named.map == Cell.of("a", "S5+S3", "gamma=2")


def test_every_area_and_place_of_every_map_once():
    other = Cell.of("gradcam", "S5")
    assert [str(cell) for cell in holes([CELL, other, CELL], areas=(0.1, 0.2), random=True)] == [
        f"{method} S5 area={area}{random}"
        for area in (0.1, 0.2)
        for random in ("", ", random")
        for method in ("layercam", "gradcam")
    ]
    assert holes([CELL, other]) == [CELL, other]
    table = Cell.of("layercam", "S5", "area=0.3")
    assert holes([table]) == [table]  # a table's own area stays
    with pytest.raises(ValueError, match="deletion has none"):
        holes([table], metric="deletion")


def test_numbers_by_hand(tmp_path):
    """Three recognised images, one of which stays so, and one that never was."""
    rows = [
        ("a", 1, 1, 0.9, 0.8, 0.1),
        ("b", 1, 3, 0.8, 0.2, 0.2),
        ("c", 1, 9, 0.7, 0.0, 0.3),
        ("d", 4, 4, 0.1, 0.1, 0.0),
    ]
    with records.Writer(tmp_path / "records") as writer:
        for name, before, after, score, lower, share in rows:
            made = before, after, score, lower, 1.0, 0.0, share, name == "d"
            writer.add([occlude.Record(name, 0, *CELL.key, *made)])
    numbers = numbers_of(tmp_path)
    found = {
        metric: numbers.loc[(*CELL.key, metric), "value"]
        for metric in TASK.metrics
        if (*CELL.key, metric) in numbers.index
    }
    assert found == pytest.approx(
        {
            "top1": 25, "top5": 75, "confidence": 27.5, "top1-correct": 100 / 3,
            "top5-correct": 200 / 3, "confidence-correct": 100 / 3, "occluded": 20,
            "degenerate": 25,
        }
    )  # fmt: skip
    original = {
        m: numbers.loc[(*occlude.ORIGINAL.key, m), "value"]
        for m in ("top1", "top5", "confidence", "top1-correct")
    }
    assert original == pytest.approx(
        {"top1": 75, "top5": 100, "confidence": 62.5, "top1-correct": 100}
    )
    assert numbers.loc[(*CELL.key, "top1"), "n"] == 4
    assert numbers.loc[(*CELL.key, "top1-correct"), "n"] == 3


@pytest.mark.parametrize("variant", ["area=2", "area=abc", "area=0", "area=0.1, area=0.2"])
def test_an_area_is_one_share(variant):
    with pytest.raises(ValueError, match="expected one area between 0 and 1"):
        occlude.canonical(Cell.of("a", "S5", variant))


def test_a_hole_has_one_area():
    (hole,) = holes([Cell.of("a", "S5", "area=0.1")], areas=(0.2,))
    assert hole.variant == "area=0.2"


def test_a_curve_s_degenerate_maps_are_counted(tmp_path):
    nothing = float("nan")
    with records.Writer(tmp_path / "records-deletion") as writer:
        writer.add([occlude.Curve("a", 0, *CELL.key, 1, nothing, (), True)])
        writer.flush()  # a part without a single score must not guess their type
        writer.add([occlude.Curve("b", 0, *CELL.key, 1, 0.4, (0.9, 0.1), False)])
        writer.add([occlude.Curve("c", 0, *CELL.key, 3, nothing, (), False)])
    numbers = numbers_of(tmp_path)
    assert numbers.loc[(*CELL.key, "deletion"), ["value", "n"]].tolist() == [40, 1]
    assert numbers.loc[(*CELL.key, "deletion-degenerate"), ["value", "n"]].tolist() == [50, 2]


@pytest.mark.parametrize("metric", ["occlusion", "deletion", "insertion"])
def test_an_option_of_another_metric_is_refused(metric):
    for name, of in occlude.USES.items():
        if name == "area":
            options, given = occlude.Options(metric=metric, areas=(0.1,)), []
        else:
            options, given = occlude.Options(metric=metric), [name]
        if metric in of:
            occlude.check(options, given)
        else:
            with pytest.raises(ValueError, match=rf"--{name} says nothing about {metric}; it is"):
                occlude.check(options, given)


def test_what_is_printed_is_what_was_asked_for():
    assert occlude.shown(occlude.Options())[:3] == ["top1", "top5", "confidence"]
    correct = occlude.shown(occlude.Options(denominator="correct"))
    assert correct == [
        "top1-correct", "top5-correct", "confidence-correct", "occluded", "degenerate",
    ]  # fmt: skip
    assert occlude.shown(occlude.Options(metric="deletion")) == ["deletion", "deletion-degenerate"]
    assert {m for o in (correct, occlude.shown(occlude.Options())) for m in o} <= set(TASK.metrics)
