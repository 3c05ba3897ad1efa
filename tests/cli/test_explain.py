import re
import shutil

import numpy as np
import pytest
from PIL import Image

from camx.cli import explain

QUICK = ("--layer", "S5", "--method", "layercam")
MINI = ("--model", "mini-vgg", *QUICK)


def drawn(tmp_path, out="results/explain"):
    return sorted(path.name for path in (tmp_path / out).iterdir())


@pytest.fixture
def photographs(tmp_path):
    """Two folders with a picture of one name, and what is no picture."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.linear_gradient("L").save(tmp_path / folder / "photo.png")
    Image.radial_gradient("L").resize((50, 40)).save(tmp_path / "a/early.JPG")
    (tmp_path / "a/notes.txt").write_text("no picture")
    return tmp_path


@pytest.mark.slow
def test_three_photographs_that_are_installed(camx, tmp_path):
    done = camx("explain", *QUICK)
    classes = dict(re.findall(r"(\w+)\.png: ([\w ]+) \(", done.stdout))
    assert classes == {"chelsea": "Egyptian cat", "coffee": "espresso", "camera": "tripod"}
    assert drawn(tmp_path) == ["camera.png", "chelsea.png", "coffee.png"]
    assert "\nefficientnet-lite0 (efficientnet-lite0-57934424.pth of " in f"\n{done.stdout}"


def test_photographs_that_are_not_there_are_one_line(camx, monkeypatch):
    monkeypatch.setattr(explain, "PHOTOGRAPHS", ("nobody.png",))
    (line,) = camx("explain", *QUICK, code=1).stderr.splitlines()
    assert "data/nobody.png: no such photograph of scikit-image's; name a picture" in line


def test_three_pictures_of_the_miniature(camx, tmp_path):
    done = camx(
        "explain", "--model", "mini-vgg", "--layer", "S5", "--layer", "S3", "--method", "layercam",
        "--method", "gradcam",
    )  # fmt: skip
    pictures = sorted((tmp_path / "results/explain").iterdir())
    assert len(pictures) == 3
    assert done.stdout.count("%); truth: ") == 3
    images = [np.asarray(Image.open(p).convert("RGB")).astype(int) for p in pictures]
    assert all(image.shape[1] == 700 for image in images)  # a column's 3.5 inches at 200 dpi
    for image in images:
        assert (np.abs(image - (0, 0xB4, 0xFF)).max(2) < 60).sum() > 100  # the maps' boxes
        dashes = (image[300:].min(2) > 240) & (np.arange(700) > 70)
        assert dashes.sum() > 100  # of the true ones


def test_a_photograph_needs_weights_that_are_here(camx, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    Image.linear_gradient("L").save(tmp_path / "photo.jpg")
    done = camx("explain", "photo.jpg", "--model", "vgg16", code=1)
    assert "--download" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "no such image" in camx("explain", "nothing.jpg", code=1).stderr


def test_files_and_folders_in_their_order(camx, photographs):
    done = camx("explain", "b/photo.png", "a", *MINI)
    shown = re.findall(r"results/explain/(\S+): ", done.stdout)
    assert shown == ["photo.png", "early.png", "photo-1.png"]
    assert drawn(photographs) == sorted(shown)


def test_an_empty_folder_and_a_damaged_picture_are_one_line(camx, photographs):
    (photographs / "empty").mkdir()
    (line,) = camx("explain", "a", "empty", *MINI, code=1).stderr.splitlines()
    assert "empty: a folder without pictures; expected files ending in .png, .jpg" in line
    (photographs / "a/torn.jpeg").write_bytes(b"\xff\xd8 not a picture")
    (line,) = camx("explain", "a", *MINI, code=1).stderr.splitlines()
    assert "a/torn.jpeg: not a readable image" in line
    assert not (photographs / "results").exists()  # it is said before anything is drawn


def test_several_networks_are_named_in_the_files(camx, photographs):
    shutil.copy(photographs / "a/photo.png", photographs / "c.png")
    done = camx(
        "explain", "c.png", "--model", "mini-vgg", "--model", "mini-resnet", "--method", "layercam",
        "--class", "star",
    )  # fmt: skip
    assert drawn(photographs) == ["c_mini-resnet.png", "c_mini-vgg.png"]
    assert done.stdout.count("star (") == 2
    refused = camx("explain", "--model", "a", "--model", "b", "--weights", "w.pth", code=2).stderr
    assert "--weights are of one network, but --model names a, b" in refused
    (line,) = camx(
        "explain", "--model", "mini-vgg", "--model", "mini-vg", code=1
    ).stderr.splitlines()
    assert "Did you mean 'mini-vgg'?" in line
    assert len(drawn(photographs)) == 2  # it is said before anything is drawn


def test_file_names_are_unique_and_plain(tmp_path):
    taken = set()
    names = ["a_torchvision:resnet18", "a_torchvision-resnet18", "a/b c", "a_torchvision:resnet18"]
    paths = [explain.free(tmp_path, name, taken) for name in names]
    assert [path.name for path in paths] == [
        "a_torchvision-resnet18.png", "a_torchvision-resnet18-1.png", "a-b-c.png",
        "a_torchvision-resnet18-2.png",
    ]  # fmt: skip
    assert taken == set(paths)


def test_any_picture_class_and_model(camx, photographs):
    done = camx(
        "explain", "a/photo.png", "b/photo.png", "--model", "mini-resnet", "--class", "star",
        "--layer", "layer3", "--layer", "layer4+layer3",
    )  # fmt: skip
    assert done.stdout.count("star (") == 2
    assert len(drawn(photographs)) == 2


@pytest.mark.slow
def test_vgg16_by_file(camx, tmp_path):
    import torch

    from camx.camcore.models import vgg16

    torch.manual_seed(0)
    torch.save(vgg16.build().state_dict(), tmp_path / "vgg16.pth")
    Image.new("RGB", (50, 40), (200, 30, 30)).save(tmp_path / "photo.png")
    done = camx(
        "explain", "photo.png", "--model", "vgg16", "--weights", "vgg16.pth", "--class", "tench",
        "--method", "layercam",
    )  # fmt: skip
    assert "tench (0" in done.stdout


def test_what_of_the_class_is_explained(camx, tmp_path):
    Image.linear_gradient("L").save(tmp_path / "photo.png")
    quick = ("explain", "photo.png", "--model", "mini-vgg", "--layer", "S4", "--method", "gradcam")
    drawn = []
    for target in ("logit", "finer"):
        camx(*quick, "--target", target, "--out", target)
        drawn.append((tmp_path / target / "photo.png").read_bytes())
    assert drawn[0] != drawn[1]
    done = camx(*quick, "--target", "finer", "--set", "target=logit", code=2)
    assert "target is said twice" in done.stderr
    done = camx(*quick, "--target", "finner", code=2)
    assert "Did you mean 'finer'?" in done.stderr
