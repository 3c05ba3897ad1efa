"""Things timed by turns: their order, what is counted, and what is said of the seconds."""

import pytest

from camx.evaluators.bench import turns
from camx.evaluators.bench.turns import Timing


def clocked(events):
    """A clock that stands still but when a run moves it."""
    now = [0.0]

    def run(name, seconds):
        def move():
            events.append(name)
            now[0] += seconds[sum(event == name for event in events) - 1]

        return move

    return (lambda: now[0]), run


def test_runs_alternate_and_the_first_round_is_not_counted():
    events = []
    clock, run = clocked(events)
    runs = {"a": run("a", [100, 1, 2]), "b": run("b", [200, 30, 10])}
    assert turns.taken(runs, 2, clock=clock) == {"a": (1, 2), "b": (30, 10)}
    assert events == ["a", "b"] * 3


def test_what_is_left_under_way_is_the_time_of_whose_it_is():
    """As a kernel that was only launched: waiting for it moves the clock."""
    now, left = [0.0], [50.0]

    def settle():
        now[0] += left[0]
        left[0] = 0.0

    def launch(seconds):
        def run():
            left[0] += seconds

        return run

    taken = turns.taken({"a": launch(3), "b": launch(7)}, 1, settle, lambda: now[0])
    assert taken == {"a": (3,), "b": (7,)}


def test_ratios_are_of_medians_and_of_a_unit():
    timing = Timing(
        {"bare": (1.0, 100.0, 2.0), "maps": (6.0, 4.0, 5.0), "alone": (3.0,)},
        {"bare": 4, "maps": 2, "alone": 1},
        {"bare": "bare", "maps": "bare"},
    )
    assert timing.medians == {"bare": 2, "maps": 5, "alone": 3}
    assert timing.each == {"bare": 0.5, "maps": 2.5, "alone": 3}
    assert timing.ratios == {"bare": 1, "maps": 5}
    plain = timing.plain()
    assert plain["seconds"]["bare"] == [1, 100, 2]
    assert (plain["medians"], plain["ratios"]) == (timing.medians, timing.ratios)
    assert plain["against"] == {"bare": "bare", "maps": "bare"}


def test_what_is_compared_with_nothing_that_was_timed_is_an_error():
    with pytest.raises(KeyError):
        _ = Timing({"maps": (1.0,)}, {"maps": 1}, {"maps": "bare"}).ratios
