import pytest
from PIL import Image

from camx.evaluators.predictions import inputs


@pytest.fixture
def folder(tmp_path):
    for name in ("a/x.png", "b/x.png", "b/deep/y.JPG", "b/.hidden/z.png", "b/Thumbs.db/q.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3)).save(tmp_path / name)
    (tmp_path / "b/notes.txt").write_text("no picture")
    (tmp_path / "b/run").mkdir()
    (tmp_path / "b/run/run.json").write_text("{}")
    Image.new("L", (4, 3)).save(tmp_path / "b/run/sheet.png")
    (tmp_path / "b/out").mkdir()
    Image.new("L", (4, 3)).save(tmp_path / "b/out/mask.png")
    return tmp_path


def names(folder, *places):
    samples = inputs.pictures([folder / place for place in places], folder / "b/out")
    assert all(sample.path.is_absolute() for sample in samples)
    assert {sample.label for sample in samples} <= {inputs.UNKNOWN}
    return [sample.image_id for sample in samples]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["b"], ["deep/y.JPG", "x.png"]),
        (["a", "b"], ["a/x.png", "b/deep/y.JPG", "b/x.png"]),
        (["b/x.png", "a/x.png"], ["a/x.png", "b/x.png"]),
        (["b/x.png"], ["x.png"]),
        (["b", "b/deep", "b/x.png"], ["deep/y.JPG", "x.png"]),
        ([], []),
    ],
)
def test_a_name_is_the_path_below_what_all_have_in_common(folder, places, expected):
    assert names(folder, *places) == expected


@pytest.mark.parametrize("column", ["image", "path"])
def test_a_csv_file_lists_pictures_relative_to_it(folder, column):
    (folder / "list.csv").write_text(f"id,{column}\n1,b/x.png\n2,a/x.png\n3,b/x.png\n")
    assert names(folder, "list.csv") == ["a/x.png", "b/x.png"]
    (folder / "b/list.csv").write_text(f"{column}\nx.png\n../a/x.png\n")
    assert names(folder, "b/list.csv") == ["a/x.png", "b/x.png"]
    assert names(folder, "list.csv", "b/deep") == ["a/x.png", "b/deep/y.JPG", "b/x.png"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("file\na.png\n", "column 'image' is missing"),
        ("image,label\n,3\n", "line 2: image is empty"),
        ("image\n", "no picture in it"),
        ("", "column 'image' is missing"),
    ],
)
def test_a_csv_file_that_is_none(folder, text, word):
    (folder / "list.csv").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=word) as error:
        names(folder, "list.csv")
    assert "list.csv" in str(error.value)


def test_places_that_hold_nothing_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such picture, folder or CSV file"):
        names(folder, "nowhere")
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty: no picture in it or below; .*\.png"):
        names(folder, "empty")
