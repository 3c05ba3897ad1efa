import pandas as pd
import pytest


@pytest.fixture
def compared(camx, tmp_path):
    def run(*arguments, code=0):
        done = camx("identities", "--sample", "2", *arguments, code=code)
        if code:
            return done, None
        return done, pd.read_csv(tmp_path / "results/identities/identities.csv")

    return run


def test_of_some_methods(compared):
    methods = ("gradcam", "layercam", "shapleycam", "cam")
    line = [word for method in methods for word in ("--method", method)]
    done, table = compared(*line, "--layer", "S5", "--layer", "S4")
    assert "gradcam and shapleycam are the same at S5, S4\n" in done.stdout
    assert done.stdout.endswith("not applicable here: cam\n")
    assert list(table.columns) == ["layer", "method", "gradcam", "layercam", "shapleycam"]
    assert len(table) == 6
    for _, row in table.iterrows():
        assert row[row["method"]] == 0
    at = table.set_index(["layer", "method"])
    assert at.loc[("S4", "gradcam"), "shapleycam"] <= 1e-4
    assert at.loc[("S4", "gradcam"), "layercam"] > 0.1
    assert at.loc[("S4", "gradcam"), "layercam"] == at.loc[("S4", "layercam"), "gradcam"]


@pytest.mark.slow
def test_another_network_s_own_pictures(compared):
    line = ["--model", "mini-defects", "--method", "gradcam", "--method", "layercam-normal"]
    done, _ = compared(*line, "--layer", "layer4", "--gradient", "next")
    assert "gradcam and layercam-normal are the same at layer4" in done.stdout


def test_nothing_the_same(compared):
    done, _ = compared("--method", "gradcam", "--method", "normgrad", "--layer", "S5")
    assert done.stdout.endswith("no two methods draw the same\n")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("--method gradcam", "two methods are compared or more, not gradcam alone"),
        ("--method gradcam --method gradcan", "Did you mean 'gradcam'?"),
        ("--layer S6", "unknown layer 'S6'"),
        ("--sample 0", "--sample"),
        ("--gradient none", "--gradient"),
    ],
)
def test_wrong_usage(compared, line, word):
    done, _ = compared(*line.split(), code=2)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_of_all_methods(compared):
    """Whatever methods there are; those that cost many passes at one layer."""
    done, table = compared("--layer", "S5", "--layer", "S4")
    assert "gradcam and shapleycam are the same at S5\n" in done.stdout
    assert {"scorecam", "ablationcam", "reciprocam"} <= set(table[table.layer == "S5"].method)
    assert "scorecam" not in set(table[table.layer == "S4"].method)
