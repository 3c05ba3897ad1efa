"""What a run depends on is told without importing what takes seconds."""

import torchvision

from camx.evaluators import environment


def test_torchvision_s_version_is_its_module_s():
    assert environment.versions()["torchvision"] == torchvision.__version__
