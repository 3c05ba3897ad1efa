import pandas as pd
import pytest


@pytest.mark.slow
def test_claims_from_runs(camx, tmp_path):
    camx(
        "localize",
        "--protocol",
        "single",
        "--limit",
        20,
        "--method",
        "layercam",
        "--method",
        "layercam-normal",
        "--method",
        "gradcam",
    )
    camx("occlude", "--protocol", "single", "--limit", 20, "--out", "results/occlude")
    done = camx("claims")
    frame = pd.read_csv(tmp_path / "results/claims/claims.csv")
    verdicts = frame.drop_duplicates("claim").set_index("claim")["verdict"]
    assert set(verdicts) <= {"reproduced", "contradicted", "undecided", "not run"}
    assert verdicts["A3"] == "not run"
    assert verdicts["A1"] != "not run"
    assert verdicts["B1"] != "not run"
    for word in ("Section III-B, Table VI", "corrected", "not run: 10 of 10", "verdict"):
        assert word in done.stdout
    whole = camx("claims", "--claim", "E1").stdout
    assert whole.count("layercam-normal") == 10
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "results/claims/claims.csv"), frame
    )  # shown alone, corrected as before
    assert (
        "results/occlude: mini-vgg on mini, protocol single, torchvision preprocessing, n=20"
        in whole
    )


def test_bad_usage_is_one_line(camx, tmp_path):
    (tmp_path / "results").mkdir()
    assert "unknown claim 'Z9'; known: A1" in camx("claims", "--claim", "Z9", code=2).stderr
    assert "no such claims file" in camx("claims", "--file", "none.yaml", code=1).stderr
    assert "not run" in camx("claims").stdout  # nothing recorded is no error
