import pytest

from evaluators import protocols


def test_single_is_as_protocol_md_says():
    single = protocols.load("single")
    assert (single.view, single.gradient, single.normalisation, single.threshold) == ("resize", "next", "max", 0.15)
    assert (single.box, single.iou, single.interpolation, single.preprocessing) == ("rectangle", "inclusive", "cubic", "paper")


def test_single_is_paper_with_one_view_and_no_grabcut():
    paper, single = vars(protocols.load("paper")), vars(protocols.load("single"))
    assert {k for k in paper if paper[k] != single[k]} == {"name", "view", "grabcut"}
    assert (paper["view"], paper["grabcut"], paper["grabcut_methods"]) == ("ten-crop", ("S2", "S1"), ("layercam",))
    assert single["grabcut"] == ()


def test_lists_are_overridden_as_yaml():
    assert protocols.load("paper", {"grabcut": "[S3, S2, S1]"}).grabcut == ("S3", "S2", "S1")
    assert protocols.load("paper", {"grabcut": "[]"}).grabcut == ()
    assert protocols.load("paper", {"grabcut": "S1"}).grabcut == ("S1",)


def test_an_override_is_in_the_name():
    assert protocols.load("paper", {"threshold": "0.2"}).name == "paper, threshold=0.2"
    assert protocols.load("paper", {"threshold": "0.15"}).name == "paper"
    with pytest.raises(ValueError, match="its name is the file's"):
        protocols.load("single", {"name": "paper"})
    with pytest.raises(ValueError, match=r"--set grabcut=\[S1: not YAML"):
        protocols.load("single", {"grabcut": "[S1"})
    with pytest.raises(FileNotFoundError, match=r"no\.yaml: no such protocol file"):
        protocols.load("no.yaml")


def test_overrides_and_files(tmp_path):
    assert protocols.load("single", {"gradient": "own", "threshold": "0.2"}).threshold == 0.2
    (tmp_path / "mine.yaml").write_text("threshold: 0.3\nocclude: {fill: blur}\n")
    mine = protocols.load(str(tmp_path / "mine.yaml"))
    assert (mine.threshold, mine.view, mine.grabcut) == (0.3, "ten-crop", ("S2", "S1"))
    mine = protocols.load(str(tmp_path / "mine.yaml"), command="occlude")
    assert (mine.threshold, mine.fill, mine.score) == (0.3, "blur", "sum")
    (tmp_path / "mine.yaml").write_text("box: contour\n")
    with pytest.raises(ValueError, match="unknown field 'box' of occlude; known: fill"):
        protocols.load(str(tmp_path / "mine.yaml"), command="occlude")
    (tmp_path / "mine.yaml").write_text("gradient: own\n")
    mine, paper = protocols.load(str(tmp_path / "mine.yaml")), protocols.load("paper")
    assert {k for k in vars(mine) if vars(mine)[k] != vars(paper)[k]} == {"name", "gradient"}


def test_occlusion_is_as_protocol_md_says():
    paper, single = (protocols.load(name, command="occlude") for name in ("paper", "single"))
    assert (paper.threshold, paper.fill, paper.score, paper.view) == (0.7, "mean", "sum", "ten-crop")
    assert {k for k in vars(paper) if vars(paper)[k] != vars(single)[k]} == {"name", "view"}
    for wrong, word in (({"fill": "grey"}, "accepted: mean, black, blur"), ({"steps": "-1"}, "whole number"), ({"steps": "2.5"}, "whole")):
        with pytest.raises(ValueError, match=word):
            protocols.load("paper", wrong, "occlude")


@pytest.mark.parametrize(
    ("name", "overrides", "word"),
    [
        ("papr", {}, "known: .*single"),
        ("single", {"gradient": "none"}, "accepted: own, next"),
        ("single", {"speed": "1"}, "unknown field 'speed'"),
        ("single", {"threshold": "2"}, "0 to below 1"),
        ("single", {"threshold": "high"}, "0 to below 1"),
        ("single", {"grabcut": "[1]"}, "a list of names"),
        ("torch-cam", {"view": "ten-crop"}, "needs view resize"),
    ],
)
def test_bad_ones_are_named(name, overrides, word):
    with pytest.raises(ValueError, match=word):
        protocols.load(name, overrides)
