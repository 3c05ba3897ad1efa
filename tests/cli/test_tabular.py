"""Tables as they are written: in the window, bold or marked, as Markdown, LaTeX and CSV."""

import csv
import io
import re

import click
import pandas as pd
import pytest

from camx.cli import fitting, options, tabular
from camx.cli.tabular import Tabular, number
from camx.evaluators.tasks import Metric

BEST = number(46.5, 43.62, (41.2, 52.1), 400, "*", best=True)
TABLE = Tabular(
    ["", "metric", "S5", "a_b & 50%"],
    [
        ["Grad|CAM", "loc1", BEST, number(40.0, None, (35.0, 45.0), 400)],
        ["c-MWP", "loc1", number(None, 29.08), None],
    ],
    2, "Table I. Of 100 %", "Percent: ours [95 % interval] (paper)", ["*a note"],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _a_pipe(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def written(capsys, *tables, form="text", quiet=False):
    """What is written to standard output, and to standard error, by a command that says more."""

    @click.command()
    @options.common
    @tabular.form
    def command():
        click.echo("before")
        for table in tables:
            tabular.write(table)
        click.echo("wrote files")

    capsys.readouterr()
    for words in (
        ["--format", form, *["--quiet"] * quiet],
        [*["--quiet"] * quiet, "--format", form],
    ):
        command.main(words, standalone_mode=False)
        done = capsys.readouterr()
    return done.out, done.err


def test_a_pipe_gets_all_and_a_mark(capsys):
    out, err = written(capsys, TABLE)
    lines = out.splitlines()
    assert lines[:3] == ["before", "", "Table I. Of 100 %. Percent: ours [95 % interval] (paper)"]
    assert "46.50^* [41, 52] (43.62)  40.00 [35, 45]" in lines[5]
    assert lines[-3:] == ["^ best of its column", "*a note", "wrote files"]
    assert not err


def test_intervals_go_first(capsys, monkeypatch):
    whole = max(map(len, written(capsys, TABLE)[0].splitlines()[4:-3]))
    for columns, folded in ((whole, False), (whole - 1, True)):
        monkeypatch.setenv("COLUMNS", str(columns))
        out, _ = written(capsys, TABLE)
        assert ("[41, 52]" not in out) == folded
        assert ("[95 % interval]" not in out) == folded
        told = f"95 % intervals: in a window of {whole} columns, or in the files of `camx tables`"
        assert (told in out) == folded
        assert out.count("Grad|CAM") == 1


def test_then_columns_are_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out, _ = written(capsys, TABLE)
    assert out.count("Grad|CAM") == 2
    table = out[out.index("  metric") : out.index("^ best")]
    assert fitting.width(table) <= 40
    assert "46.50^* (43.62)" in table


def test_columns_of_intervals_go_too(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    table = Tabular(["", "a - b", tabular.BOUNDS, "p"], [["x", "+1.00", "[-1.00, +2.00]", "0.5"]])
    out, _ = written(capsys, table)
    assert re.search(r"x +\+1\.00 +0\.5", out)
    assert "[-1.00" not in out


def test_bold_is_of_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(fitting, "bold", lambda: True)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    out, _ = written(capsys, TABLE)
    assert "\x1b[1m46.50\x1b[0m* [41, 52] (43.62)" in out
    assert "bold: best of its column" in out
    assert "^" not in out


def test_markdown(capsys):
    out, err = written(capsys, TABLE, TABLE, form="markdown")
    first, *_, note = out.split("\n\n")
    assert first == "Table I. Of 100 %. Percent: ours [95 % interval] (paper)"
    assert note == "\\*a note\n"
    assert "wrote files" in err
    tables = [block for block in out.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in tables[0].splitlines()]
    assert {len(row) for row in rows} == {4}
    assert [cell.strip() for cell in rows[2]] == [
        r"Grad\|CAM", "loc1", r"**46.50**\* [41, 52] (43.62)", "40.00 [35, 45]",
    ]  # fmt: skip


def test_latex(capsys):
    out, err = written(capsys, TABLE, form="latex")
    lines = out.splitlines()
    assert lines[0].startswith("% Table I. Of 100 %")
    assert lines[-1] == "% *a note"
    body = [line for line in lines if not line.startswith("%")]
    assert body[0] == r"\begin{tabular}{lrrr}"
    assert [line for line in body if line.endswith("rule")] == [
        r"\toprule", r"\midrule", r"\bottomrule",
    ]  # fmt: skip
    assert body[-1] == r"\end{tabular}"
    rows = [line for line in body if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [3, 3, 3]
    assert r"a\_b \& 50\%" in rows[0]
    assert r"\textbf{46.50}* [41, 52] (43.62)" in rows[1]
    assert out.count("{") == out.count("}")
    assert not re.search(r"(?<!\\)[%_#$]", "\n".join(body))
    assert "wrote files" in err


def test_csv(capsys):
    out, err = written(capsys, TABLE, TABLE, form="csv")
    blocks = out.rstrip("\n").split("\n\n")
    assert len(blocks) == 2
    title, *_ = blocks[0].splitlines()
    assert title == "# Table I. Of 100 %. Percent: ours [95 % interval] (paper)"
    frame = pd.read_csv(io.StringIO(blocks[1]), comment="#")
    assert list(frame) == [
        "row", "metric", "S5", "S5 low", "S5 high", "S5 (paper)", "a_b & 50%", "a_b & 50% low",
        "a_b & 50% high",
    ]  # fmt: skip
    assert frame["S5"].tolist()[0] == 46.5
    assert frame["S5 low"].tolist()[0] == 41.2
    assert frame["S5 (paper)"].tolist() == [43.62, 29.08]
    assert frame.isna().sum().sum() == 6
    assert "*a note" in err


def test_csv_quotes(capsys):
    out, _ = written(capsys, Tabular(["a", "b"], [["x, y", 'say "z"']]), form="csv")
    assert list(csv.reader(io.StringIO(out))) == [["a", "b"], ["x, y", 'say "z"']]


@pytest.mark.parametrize("form", tabular.FORMATS)
def test_quiet_writes_nothing(capsys, form):
    assert written(capsys, TABLE, form=form, quiet=True) == ("", "")


@pytest.mark.parametrize("form", tabular.FORMATS)
def test_a_table_without_rows_has_its_headers(capsys, form):
    assert "alone" in written(capsys, Tabular(["alone", "b"], []), form=form)[0]


@pytest.mark.parametrize(
    ("values", "better", "best"),
    [
        ({"a": 40.0, "b": 46.5, "c": 1.0}, "higher", {"b"}),
        ({"a": 40.0, "b": 46.5, "c": 1.0}, "lower", {"c"}),
        ({"a": 40.0, "b": 46.5}, "neither", set()),
        ({"a": 46.5, "b": 46.5, "c": 1.0}, "higher", {"a", "b"}),
        ({"a": 46.501, "b": 46.499, "c": 1.0}, "higher", {"a", "b"}),  # as they are printed
        ({"a": 9.0, "b": 10.0}, "higher", {"b"}),
        ({"a": 40.0}, "higher", set()),
        ({"a": 40.0, "b": float("nan")}, "higher", set()),
        ({"a": 0.0, "b": 0.0}, "lower", set()),
        ({}, "higher", set()),
    ],
)
def test_the_best(values, better, best):
    assert Metric("m", better=better).best(values) == best
