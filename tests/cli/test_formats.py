"""``--format``: standard output holds the tables alone, in the form asked for."""

import io

import pandas as pd
import pytest

RUN = ("localize", "--protocol", "single", "--limit", 6, "--method", "gradcam")
LAYERS = ("--method", "layercam", "--layer", "S5", "--layer", "S4")
ARGUMENTS = {
    "tables": ("--table", "I"),
    "compare": ("--compare", "layercam", "gradcam"),
    "pairs": ("--pairs", "--table", "I"),
}


@pytest.fixture
def recorded(camx, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    camx(*RUN, *LAYERS)
    return camx


def blocks(text):
    return [
        (title, pd.read_csv(io.StringIO(f"{header}\n{rows}")))
        for title, header, rows in (b.split("\n", 2) for b in text.strip("\n").split("\n\n"))
    ]


def test_tables(recorded, tmp_path):
    """Those of csv hold the numbers that the files hold; what is written is said on stderr."""
    done = recorded("tables", "--format", "csv")
    read = dict(blocks(done.stdout))
    assert all(title.startswith("# Table ") for title in read)
    (first,) = (frame for title, frame in read.items() if title.startswith("# Table I. "))
    cells = pd.read_csv(tmp_path / "results/tables/cells.csv", keep_default_na=False)
    cells = cells[(cells["table"] == "I") & (cells["measured"] != "")]
    cells = cells[cells["metric"].isin(first["metric"])]
    assert len(cells) >= 8
    for row in cells.itertuples():
        at = first[(first["row"] == row.row) & (first["metric"] == row.metric)]
        assert at[row.column].item() == pytest.approx(float(row.measured), abs=0.005)
        assert at[f"{row.column} low"].item() == pytest.approx(float(row.ci_low), abs=0.005)
    assert "wrote results/tables/cells.csv" in done.stderr
    assert "wrote" in recorded("tables").stdout


@pytest.mark.parametrize(("form", "begins"), [("markdown", "|"), ("latex", "\\begin{tabular}")])
def test_each_form_of_each_table(recorded, form, begins):
    for arguments in ARGUMENTS.values():
        done = recorded("tables", *arguments, "--format", form)
        assert any(line.startswith(begins) for line in done.stdout.splitlines())
        assert "wrote" in done.stderr
        assert "wrote" not in done.stdout


def test_pairs_of_every_table(recorded):
    """As text those of a single table are shown; in another form all are."""
    done = recorded("tables", "--pairs", "--format", "csv")
    titles = [title.split(".")[0] for title, _ in blocks(done.stdout)]
    assert "# Table I, pairs" in titles
    assert len(titles) > 1
    assert done.stderr.count(" pairs differ") == len(titles)


def test_claims(recorded):
    frame = pd.read_csv(io.StringIO(recorded("claims", "--format", "csv").stdout))
    told = frame.set_index("claim")
    assert {"A1", "A7"} <= set(told.index)
    assert told.loc["A1", "comparisons"] == 10
    assert told["verdict"].isin(["reproduced", "contradicted", "undecided", "not run"]).all()
    one = pd.read_csv(io.StringIO(recorded("claims", "--claim", "A1", "--format", "csv").stdout))
    assert len(one) == 10
    written = pd.read_csv("results/claims/claims.csv").query("claim == 'A1'")
    assert one["difference"].tolist() == pytest.approx(
        written["difference"].tolist(), abs=0.01, nan_ok=True
    )
    assert one["n"].dropna().eq(6).all()


def test_lists(camx):
    read = pd.read_csv(io.StringIO(camx("list", "methods", "--format", "csv").stdout))
    assert read.set_index("name").loc["layercam", "title"] == "LayerCAM"
    done = camx("list", "layers", "--model", "mini-vgg", "--format", "markdown")
    assert {line[0] for line in done.stdout.splitlines()} == {"|"}
    assert "of a picture of 112 x 112 pixels" in done.stderr
    several = camx("list", "protocols", "--format", "csv").stdout.strip("\n").split("\n\n")
    assert len(several) > 3
    assert all(block.splitlines()[0].endswith(",what it is (what it accepts)") for block in several)


def test_a_mistyped_form_is_guessed(camx):
    assert (
        "Did you mean 'markdown'?" in camx("list", "methods", "--format", "markdwn", code=2).stderr
    )
