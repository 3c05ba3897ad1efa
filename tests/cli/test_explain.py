import pytest
from PIL import Image


def test_three_pictures_of_the_miniature(camx, tmp_path):
    done = camx(
        "explain", "--layer", "S5", "--layer", "S3", "--method", "layercam", "--method", "gradcam"
    )
    pictures = sorted((tmp_path / "results/explain").iterdir())
    assert len(pictures) == 3
    assert all(Image.open(p).size[0] > 300 for p in pictures)
    assert "%" in done.stdout


def test_a_photograph_needs_weights_that_are_here(camx, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    Image.linear_gradient("L").save(tmp_path / "photo.jpg")
    done = camx("explain", "photo.jpg", code=1)
    assert "--download" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "no such image" in camx("explain", "nothing.jpg", code=1).stderr


def test_any_picture_class_and_model(camx, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (50, 40)).save(tmp_path / folder / "photo.png")
    done = camx(
        "explain",
        "a/photo.png",
        "b/photo.png",
        "--model",
        "mini-resnet",
        "--class",
        "star",
        "--layer",
        "layer3",
        "--layer",
        "layer4+layer3",
    )
    assert done.stdout.count("star (") == 2
    assert len(list((tmp_path / "results/explain").iterdir())) == 2


@pytest.mark.slow
def test_vgg16_by_file(camx, tmp_path):
    import torch

    from camx.camcore.models import vgg16

    torch.manual_seed(0)
    torch.save(vgg16.build().state_dict(), tmp_path / "vgg16.pth")
    Image.new("RGB", (50, 40), (200, 30, 30)).save(tmp_path / "photo.png")
    done = camx(
        "explain", "photo.png", "--weights", "vgg16.pth", "--class", "tench", "--method", "layercam"
    )
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
