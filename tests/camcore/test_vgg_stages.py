"""What the VGGs share is torchvision's, weight for weight."""

import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from camx.camcore.models import _vgg


def test_configuration_d_is_torchvision_s():
    assert _vgg.widths() == cfgs["D"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_features_are_torchvision_s(batch_norm):
    held = []
    for build in (_vgg.features, make_layers):
        torch.manual_seed(0)
        held.append(build(_vgg.widths(share=8), batch_norm))
    ours, theirs = held
    assert str(ours) == str(theirs)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
