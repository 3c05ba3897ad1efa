"""What fields accept, refuse, and say of it."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from camx.evaluators import fields
from camx.evaluators.fields import Checked, choice, flag, number, path, text, whole


@dataclass(frozen=True, kw_only=True)
class Every(Checked):
    closed: float = number(0, 1, default=0.5)
    above: float = number(0, 1, above=True, default=0.5)
    below: float = number(0, 1, below=True, default=0.5)
    free: float = number(default=0.0)
    count: int = whole(1, 9, default=5)
    least: int = whole(1, default=5)
    word: str = choice("", "a", "b", default="a")
    line: str = text(default="")
    yes: bool = flag()
    no: bool = flag(default=True)
    file: Path = path(default=Path("x"))
    perhaps: int | None = whole(0, default=None)
    numbers: tuple[float, ...] = number(0, above=True, many="[0.5, 1.0]", default=(1.0,))
    counts: tuple[int, ...] = whole(0, many="[5, 10]", default=())
    names: tuple[str, ...] = text(many="[S2, S1]", default=())


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("closed", 0, 0.0), ("closed", 1, 1.0), ("closed", 0.25, 0.25),
        ("above", 1, 1.0), ("above", 1e-300, 1e-300),
        ("below", 0, 0.0), ("below", math.nextafter(1, 0), math.nextafter(1, 0)),
        ("free", -1e300, -1e300),
        ("count", 1, 1), ("count", 9, 9), ("least", 10**12, 10**12),
        ("word", "", ""), ("word", "b", "b"), ("line", "any words", "any words"),
        ("yes", True, True), ("no", False, False),
        ("file", "a/b", Path("a/b")), ("file", Path("c"), Path("c")),
        ("perhaps", None, None), ("perhaps", 0, 0),
        ("numbers", [1, 2.5], (1.0, 2.5)), ("numbers", (3,), (3.0,)), ("numbers", 4, (4.0,)),
        ("numbers", [], ()),
        ("counts", [3, 1], (3, 1)), ("names", "S1", ("S1",)), ("names", ["S2", "S1"], ("S2", "S1")),
    ],
)  # fmt: skip
def test_what_is_accepted_is_held_in_the_field_s_type(name, value, held):
    found = getattr(Every(**{name: value}), name)
    assert found == held
    assert type(found) is type(held)
    if isinstance(held, tuple):
        assert [type(v) for v in found] == [type(v) for v in held]


NUMBERS = "numbers above 0, such as [0.5, 1.0]"


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("closed", -0.1, "a number from 0 to 1"), ("closed", 1.1, "a number from 0 to 1"),
        ("closed", math.nan, "a number from 0 to 1"), ("closed", "0.5", "a number from 0 to 1"),
        ("closed", True, "a number from 0 to 1"), ("closed", None, "a number from 0 to 1"),
        ("closed", [0.5], "a number from 0 to 1"),
        ("above", 0, "a number above 0 to 1"), ("above", -1, "a number above 0 to 1"),
        ("below", 1, "a number from 0 to below 1"),
        ("free", math.inf, "a number"), ("free", -math.inf, "a number"),
        ("free", math.nan, "a number"), ("free", 10**400, "a number"),
        ("count", 0, "a whole number from 1 to 9"), ("count", 10, "a whole number from 1 to 9"),
        ("count", 2.0, "a whole number from 1 to 9"), ("least", 10**400, "a whole number from 1"),
        ("count", False, "a whole number from 1 to 9"),
        ("least", 0, "a whole number from 1"), ("least", "7", "a whole number from 1"),
        ("word", "c", "nothing, a, b"), ("word", None, "nothing, a, b"),
        ("word", 1, "nothing, a, b"),
        ("line", 3, "a text"), ("line", None, "a text"),
        ("yes", 1, "true, false"), ("yes", "yes", "true, false"), ("no", None, "true, false"),
        ("file", 3, "a path"), ("file", None, "a path"),
        ("perhaps", -1, "a whole number from 0"), ("perhaps", "", "a whole number from 0"),
        ("numbers", [1, 0], NUMBERS), ("numbers", [math.inf], NUMBERS),
        ("numbers", [True], NUMBERS),
        ("numbers", {"a": 1}, NUMBERS), ("numbers", None, NUMBERS),
        ("numbers", [None], NUMBERS), ("numbers", [[1.0]], NUMBERS),
        ("counts", [1.5], "whole numbers from 0, such as [5, 10]"),
        ("names", [1], "a list of names, such as [S2, S1]"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_what_is_accepted(name, value, accepted):
    with pytest.raises(ValueError, match="accepted") as refused:
        Every(**{name: value})
    assert str(refused.value) == f"{name} is {value!r}; accepted: {accepted}"


def test_numbers_of_numpy_are_numbers_only_where_they_are_python_s():
    assert type(Every(closed=np.float64(0.25)).closed) is float
    with pytest.raises(ValueError, match="count is"):
        Every(count=np.int64(3))


@pytest.mark.parametrize(
    ("name", "word", "held"),
    [
        ("closed", "0.25", 0.25), ("closed", "1e-1", 0.1), ("count", "7", 7), ("word", "b", "b"),
        ("line", "3", "3"), ("file", "a/b", Path("a/b")), ("numbers", "2", 2.0),
    ],
)  # fmt: skip
def test_a_word_of_the_command_line_is_one_value(name, word, held):
    assert fields.of(Every)[name].parse(word) == held


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("closed", "2"), ("closed", "nan"), ("closed", "inf"), ("closed", "much"), ("closed", ""),
        ("count", "2.5"), ("count", "2.0"), ("count", "10"), ("word", "c"), ("numbers", "0"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_named_with_what_is_accepted(name, word):
    accepts = fields.of(Every)[name]
    with pytest.raises(ValueError, match="not accepted") as refused:
        accepts.parse(word)
    assert str(refused.value) == f"{word!r} is not accepted; accepted: {accepts.words}"


@dataclass(frozen=True, kw_only=True)
class Plain(Checked):
    """Fields without a declaration accept what their annotation says."""

    count: int
    share: float = 1
    yes: bool = False
    word: str = ""
    place: Path = Path()
    perhaps: float | None = None
    pair: tuple[int, ...] = field(default=())


def test_an_annotation_says_what_a_plain_field_accepts():
    words = {name: accepts.words for name, accepts in fields.of(Plain).items()}
    assert words == {
        "count": "a whole number", "share": "a number", "yes": "true, false", "word": "a text",
        "place": "a path", "perhaps": "a number", "pair": "a list of int",
    }  # fmt: skip
    made = Plain(count=3, place="a", perhaps=2, pair=[1, 2])
    assert made == Plain(count=3, share=1.0, place=Path("a"), perhaps=2.0, pair=(1, 2))
    assert (type(made.share), type(made.perhaps), made.pair) == (float, float, (1, 2))
    for name, value in {"count": 2.5, "yes": 1, "word": 3, "perhaps": "x", "pair": ["a"]}.items():
        with pytest.raises(ValueError, match=rf"^{name} is .*; accepted: {words[name]}$"):
            Plain(**{"count": 3, name: value})


def test_a_dataclass_is_built_or_its_origin_named():
    assert fields.built(Plain, {"count": 3}, "mine.yaml") == Plain(count=3)
    for values, words in (
        ({}, "mine.yaml: count is missing; accepted: a whole number"),
        ({"count": "x"}, "mine.yaml: count is 'x'; accepted: a whole number"),
        (
            {"count": 3, "cuont": 4},
            "mine.yaml: unknown field 'cuont' of plain; "
            "known: count, pair, perhaps, place, share, word, yes. Did you mean 'count'?",
        ),
    ):
        with pytest.raises(ValueError, match=r"mine\.yaml") as refused:
            fields.built(Plain, values, "mine.yaml", " of plain")
        assert str(refused.value) == words


def test_defaults_are_those_that_there_are():
    assert "count" not in fields.defaults(Plain)
    assert fields.defaults(Plain)["share"] == 1
    assert fields.defaults(Every)["yes"] is False
    assert fields.defaults(Every)["no"] is True


def test_a_missing_default_is_missing_and_no_value():
    @dataclass(frozen=True, kw_only=True)
    class Needed(Checked):
        share: float = number(0, 1)

    with pytest.raises(TypeError, match="share"):
        Needed()
    with pytest.raises(ValueError, match="share is None; accepted: a number from 0 to 1"):
        Needed(share=None)
