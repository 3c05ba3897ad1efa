"""Every kind of field becomes an option that accepts and refuses what the field does, from the
command line and from a file.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from camx.cli import main, options
from camx.evaluators import fields
from camx.evaluators.fields import Checked, choice, flag, number, path, text, whole


@dataclass(frozen=True, kw_only=True)
class Every(Checked):
    share: float = number(0, 1, below=True, default=0.5, help="share")
    count: int = whole(1, default=3, help="count")
    word: str = choice("a", "b", default="a", help="word")
    line: str | None = text(default=None, help="line")
    swift: bool = flag(help="swift")
    mirror: bool = flag(default=True, help="mirror")
    file: Path = path(default=Path("here"), help="file")
    sizes: tuple[float, ...] = number(
        0, above=True, many="[0.5, 1.0]", default=(), option="--size", help="size"
    )
    names: tuple[str, ...] = text(many="a", default=(), option="--name", help="name")


@dataclass(frozen=True, kw_only=True)
class Needed(Checked):
    labels: Path = path(help="labels")


TYPED, GIVEN, NEEDED = [], [], []


@click.command("try")
@options.typed(Every)
@options.config
def typed(every):
    TYPED.append(every)


@click.command("try")
@options.overrides(Every)
@options.config
def overriding(given):
    GIVEN.append(given)


@click.command("try")
@options.typed(Needed)
def needing(needed):
    NEEDED.append(needed)


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a command as `camx` does: what it was called with, or its refusal in one line."""

    def run(command, *words, config=None):
        monkeypatch.chdir(tmp_path)
        if config is not None:
            Path("c.yaml").write_text(config, encoding="utf-8")
            words = (*words, "--config", "c.yaml")
        monkeypatch.setattr(sys, "argv", ["camx", *words])
        monkeypatch.setattr(main, "group", command)
        for held in (TYPED, GIVEN, NEEDED):
            held.clear()
        code = 0
        try:
            main.main()
        except SystemExit as stop:
            code = stop.code or 0
        error = capsys.readouterr().err
        if code:
            assert code == 2, error
            assert error.startswith("error: ")
            assert len(error.splitlines()) == 1
            return error
        return (TYPED + GIVEN + NEEDED)[0]

    return run


ACCEPTED = [
    (["--share", "0.25"], "share: 0.25", {"share": 0.25}),
    (["--share", "0"], "share: 0", {"share": 0.0}),
    (["--count", "7"], "count: 7", {"count": 7}),
    (["--word", "b"], "word: b", {"word": "b"}),
    (["--line", "two words"], "line: two words", {"line": "two words"}),
    (["--line", "3"], "line: '3'", {"line": "3"}),
    (["--swift"], "swift: true", {"swift": True}),
    (["--no-mirror"], "mirror: false", {"mirror": False}),
    (["--file", "a/b"], "file: a/b", {"file": Path("a/b")}),
    (["--size", "1", "--size", "0.5"], "size: [1, 0.5]", {"sizes": (1.0, 0.5)}),
    (["--size", "2"], "size: 2", {"sizes": (2.0,)}),
    (["--name", "x", "--name", "y"], "name: [x, y]", {"names": ("x", "y")}),
    (["--name", "x"], "name: x", {"names": ("x",)}),
]


@pytest.mark.parametrize(("words", "config", "held"), ACCEPTED)
def test_what_a_field_accepts_reaches_the_command(call, words, config, held):
    whole = Every(**held)
    for found in (call(typed, *words), call(typed, config=config)):
        assert found == whole
        for name, value in held.items():
            assert type(getattr(found, name)) is type(value)
    assert call(overriding, *words) == held
    assert call(overriding, config=config) == held


def test_nothing_given_is_the_defaults(call):
    assert call(typed) == Every()
    assert call(typed, config="") == Every()
    assert call(overriding) == {}
    assert call(typed, config="line: null\nname: null\n") == Every()
    assert call(overriding, config="share: null\nswift: null\nname: []\n") == {}


def test_a_falsy_value_is_given(call):
    assert call(overriding, "--share", "0", "--no-mirror", "--line", "") == {
        "share": 0.0, "mirror": False, "line": "",
    }  # fmt: skip


SHARE, COUNT = "accepted: a number from 0 to below 1", "accepted: a whole number from 1"
SIZES, NAMES = "accepted: numbers above 0, such as [0.5, 1.0]", "accepted: a list of names"


@pytest.mark.parametrize("command", [typed, overriding], ids=["typed", "overrides"])
@pytest.mark.parametrize(
    ("words", "accepted"),
    [
        (["--share", "1"], SHARE), (["--share", "-1"], SHARE), (["--share", "nan"], SHARE),
        (["--share", "inf"], SHARE), (["--share", "much"], SHARE), (["--share", ""], SHARE),
        (["--count", "0"], COUNT), (["--count", "1.5"], COUNT), (["--count", "x"], COUNT),
        (["--word", "c"], "not one of 'a', 'b'"), (["--size", "0"], SIZES),
        (["--size", "x"], SIZES),
    ],
)  # fmt: skip
def test_a_word_that_is_refused(call, command, words, accepted):
    refused = call(command, *words)
    assert f"'{words[0]}'" in refused
    assert repr(words[1]) in refused
    assert accepted in refused


@pytest.mark.parametrize("command", [typed, overriding], ids=["typed", "overrides"])
@pytest.mark.parametrize(
    ("config", "value", "accepted"),
    [
        ("share: 1", "1", SHARE), ("share: .nan", "nan", SHARE), ("share: [0.5]", "[0.5]", SHARE),
        ("share: true", "True", SHARE), ("share: 2020-01-01", "date(2020, 1, 1)", SHARE),
        ("count: 1.0", "1.0", COUNT), ("count: {a: 1}", "{'a': 1}", COUNT),
        ("count: [1]", "[1]", COUNT), ("count: 2020-01-01", "date(2020, 1, 1)", COUNT),
        ("word: c", "'c'", "'a', 'b'"), ("word: [a]", "['a']", "'a', 'b'"),
        ("word: 3", "3", "'a', 'b'"), ("word: 2020-01-01", "date(2020, 1, 1)", "'a', 'b'"),
        ("line: 3", "3", "accepted: a text"), ("line: [a]", "['a']", "accepted: a text"),
        ("line: 2020-01-01", "date(2020, 1, 1)", "accepted: a text"),
        ("swift: 3", "3", "accepted: true, false"),
        ("swift: [true]", "[True]", "accepted: true, false"),
        ("swift: maybe", "'maybe'", "true"), ("mirror: {}", "{}", "accepted: true, false"),
        ("swift: 2020-01-01", "date(2020, 1, 1)", "accepted: true, false"),
        ("file: 3", "3", "accepted: a path"), ("file: [a]", "['a']", "accepted: a path"),
        ("file: 2020-01-01", "date(2020, 1, 1)", "accepted: a path"),
        ("size: [1, 0]", "0", SIZES), ("size: [[1]]", "[1]", SIZES), ("size: x", "'x'", SIZES),
        ("size: {a: 1}", "{'a': 1}", SIZES), ("name: [1]", "1", NAMES), ("name: 3", "3", NAMES),
        ("name: 2020-01-01", "date(2020, 1, 1)", NAMES),
    ],
)  # fmt: skip
def test_a_value_of_a_file_that_is_refused(call, command, config, value, accepted):
    refused = call(command, config=config)
    assert f"--{config.partition(':')[0]}" in refused
    assert value in refused
    assert accepted in refused


@pytest.mark.parametrize("name", ["share", "count", "word", "swift", "mirror", "file"])
def test_null_is_no_value_of_an_option_that_has_a_default(call, name):
    refused = call(typed, config=f"{name}: null")
    assert f"{name} is None" in refused
    assert f"accepted: {fields.of(Every)[name].words}" in refused


def test_the_command_line_wins_over_the_file(call):
    config = "share: 0.1\nname: [x, y]\nmirror: false\n"
    found = call(typed, "--share", "0.2", "--name", "z", "--mirror", config=config)
    assert found == Every(share=0.2, names=("z",))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("- share", "c.yaml: expected option: value lines"),
        ("share", "c.yaml: expected option: value lines"),
        ("share: [", "c.yaml: not YAML"),
        (
            "shares: 0.1",
            "c.yaml: unknown option 'shares'; "
            "known: config, count, file, line, mirror, name, share, size, swift, word",
        ),
        ("sizes: [1]", "c.yaml: unknown option 'sizes'; known: "),
        ("3: 4", "c.yaml: unknown option 3; known: "),
    ],
)
def test_a_file_that_is_none_of_options(call, config, words):
    assert words in call(typed, config=config)


def test_a_file_that_cannot_be_read(call, tmp_path):
    assert "none.yaml" in call(typed, "--config", "none.yaml")
    (tmp_path / "l.yaml").write_text("line: grün", "latin-1")
    assert "l.yaml: not a file of options in UTF-8" in call(typed, "--config", "l.yaml")


def test_an_option_without_a_default_is_needed(call):
    assert "Missing option '--labels'" in call(needing)
    assert call(needing, "--labels", "a") == Needed(labels="a")


def test_the_help_says_what_a_field_s_does(call, capsys):
    for command in (typed, overriding):
        with click.Context(command, max_content_width=200) as context:
            lines = command.get_help(context).splitlines()
        said = {line.split()[0]: line for line in lines if line.lstrip().startswith("--")}
        assert {"--share", "--count", "--word", "--swift", "--size", "--name"} <= set(said)
        for name, default in (("--share", "0.5"), ("--count", "3"), ("--word", "a")):
            assert f"[default: {default}]" in said[name]
            assert name[2:] in said[name].lower()
        assert "default" not in said["--line"]


def test_a_name_declared_twice_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class Again(Checked):
        count: int = whole(default=0)

    @dataclass(frozen=True, kw_only=True)
    class Other(Checked):
        further: str = text(default="", option="--name")

    with pytest.raises(ValueError, match="an option is declared twice: count"):
        options.typed(Every, Again)

    def nothing():
        """A command."""

    flagged = click.option("--no-mirror", "off", is_flag=True)(nothing)
    for doubled, name in (
        (options.overrides(Again)(options.typed(Every)(lambda: None)), "count"),
        (options.typed(Other, Every)(lambda: None), "name"),
        (options.typed(Every)(flagged), "no-mirror"),
    ):
        command = click.command("try")(doubled)
        with pytest.raises(ValueError, match=f"an option is declared twice: {name}"):
            options.unique(command)
    assert options.unique(typed) is typed


def test_a_task_that_declares_a_shared_option_again(camx, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from camx.evaluators.fields import whole\n"
        "from camx.evaluators.tasks import Metric\n"
        "from camx.evaluators.tasks.localize import Record, grade\n"
        "from camx.evaluators.types import MapProtocol\n"
        "TITLE, SOURCE, TASK, METRICS = 'x', 'y', 'localization', (Metric('iou'),)\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Protocol(MapProtocol):\n"
        "    limit: int = whole(0, default=3)\n"
    )
    done = camx("measure", "mine.py", "--help", code=2)
    assert "an option is declared twice: limit" in done.stderr
    assert len(done.stderr.splitlines()) == 1
