"""What is read from a network's text is what its file says when it is run."""

import subprocess
import sys

import pytest

from camx.camcore import declared, networks, plugins


@pytest.mark.parametrize("name", plugins.names(declared.MODELS))
def test_the_layers_are_the_network_s(name):
    assert declared.layers(name) == tuple(networks.spec(name).layers)


@pytest.mark.parametrize(
    "name", ["torchvision:resnet50", "mine.py", "package:net", "vgg15", "", "../x"]
)
def test_of_others_nothing_is_told(name):
    assert declared.layers(name) == ()


def test_case_and_underscores_do_not_matter():
    assert declared.layers("Mini_VGG") == ("S5", "S4", "S3", "S2", "S1")


def test_nothing_is_imported():
    code = """
import sys
from camx.camcore import declared
assert declared.layers("vgg16-cam")
sys.exit("torch" in sys.modules or "numpy" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
