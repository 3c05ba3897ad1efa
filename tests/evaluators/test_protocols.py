import pytest

from camx.evaluators import protocols
from camx.evaluators.tasks import defects, localize, occlude, pseudo

TASKS = {"localize": localize, "occlude": occlude, "defects": defects, "pseudo": pseudo}


def load(name, overrides=None, task="localize"):
    return protocols.load(str(name), task, TASKS[task].Protocol, overrides)


def differing(one, other):
    return {name for name in vars(one) if vars(one)[name] != vars(other)[name]}


def assert_holds(protocol, **values):
    assert {name: getattr(protocol, name) for name in values} == values


def test_single_is_as_protocol_md_says():
    single = load("single")
    assert_holds(single, view="resize", gradient="next", normalisation="max", threshold=0.15)
    assert_holds(single, box="rectangle", iou="inclusive", interpolation="cubic")
    assert_holds(single, preprocessing="paper", grabcut=())


def test_single_is_paper_with_one_view_and_no_grabcut():
    paper = load("paper")
    assert differing(paper, load("single")) == {"name", "view", "grabcut"}
    assert_holds(paper, view="ten-crop", grabcut=("S2", "S1"), grabcut_methods=("layercam",))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", protocols.names())
def test_every_shipped_protocol_is_one_for_every_task(name, task):
    assert load(name, task=task).name == name


def test_lists_are_overridden_as_yaml():
    assert load("paper", {"grabcut": "[S3, S2, S1]"}).grabcut == ("S3", "S2", "S1")
    assert load("paper", {"grabcut": "[]"}).grabcut == ()
    assert load("paper", {"grabcut": "S1"}).grabcut == ("S1",)


def test_an_override_is_in_the_name():
    assert load("paper", {"threshold": "0.2"}).name == "paper, threshold=0.2"
    assert load("paper", {"threshold": "0.15"}).name == "paper"
    with pytest.raises(ValueError, match="its name is the file's"):
        load("single", {"name": "paper"})
    with pytest.raises(ValueError, match=r"--set grabcut=\[S1: not YAML"):
        load("single", {"grabcut": "[S1"})


def test_files_of_one_s_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "gradient: own\nlocalize: {threshold: 0.3}\nocclude: {fill: blur}\n", "utf-8-sig"
    )
    assert differing(load(path), load("paper")) == {"name", "gradient", "threshold"}
    assert_holds(load(path), threshold=0.3, view="ten-crop", grabcut=("S2", "S1"))
    assert_holds(
        load(path, task="occlude"), threshold=0.7, fill="blur", score="sum", gradient="own"
    )
    assert_holds(load(path, {"threshold": "0.2"}), threshold=0.2, gradient="own")
    path.write_text("occlude: {box: contour}\n")
    assert differing(load(path), load("paper")) == {"name"}  # another task's section is its own
    with pytest.raises(ValueError, match=r"mine\.yaml: unknown field 'box' of occlude; known: "):
        load(path, task="occlude")
    with pytest.raises(FileNotFoundError, match=r"no\.yaml: no such protocol file"):
        load("no.yaml")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("- view", "expected a mapping of protocol fields"),
        ("localize: 3", "expected a mapping of protocol fields"),
        ("name: mine", "its name is the file's"),
        ("view: [", "not YAML"),
        ("view: both", r"view is 'both'; accepted: resize, ten-crop"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path, text, word):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"mine\.yaml: .*{word}"):
        load(tmp_path / "mine.yaml")


def test_other_tasks_are_as_protocol_md_says():
    paper = load("paper", task="occlude")
    assert_holds(paper, threshold=0.7, fill="mean", score="sum", view="ten-crop")
    assert differing(paper, load("single", task="occlude")) == {"name", "view"}
    assert_holds(load("paper", task="defects"), thresholds=99, view="resize")
    paper = load("paper", task="pseudo")
    assert_holds(paper, threshold=0.3, hard_threshold=0.2, superpixels="slic", scales=(1.0,))
    assert_holds(paper, segments=300, compactness=10.0, flip=False, view="resize")


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
        load(name, overrides)


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ({"fill": "grey"}, "accepted: mean, black, blur"),
        ({"steps": "-1"}, "whole number"),
        ({"steps": "2.5"}, "whole number"),
    ],
)
def test_a_task_s_own_fields_are_checked(overrides, word):
    with pytest.raises(ValueError, match=word):
        load("paper", overrides, "occlude")
