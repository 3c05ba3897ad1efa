"""The miniature's ResNet with two classes, good and defective."""

from dataclasses import replace

from camx.camcore.models import mini_resnet

TITLE = "slim four-stage ResNet (input 112) of the miniature's defects"
SOURCE = "He et al. 2016, narrowed; trained by scripts/train_miniature.py"
SPEC = replace(mini_resnet.SPEC, shipped="mini-defects.safetensors")
