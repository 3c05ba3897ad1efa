"""The miniature's ResNet with two classes, good and defective."""

from camcore.models.mini_resnet import INPUT_SIZE as INPUT_SIZE
from camcore.models.mini_resnet import LAYERS as LAYERS
from camcore.models.mini_resnet import MEAN as MEAN
from camcore.models.mini_resnet import STD as STD
from camcore.models.mini_resnet import UNTRAINED as UNTRAINED
from camcore.models.mini_resnet import arguments as arguments
from camcore.models.mini_resnet import build as build

TITLE = "slim four-stage ResNet (input 112) of the miniature's defects"
SOURCE = "He et al. 2016, narrowed; trained by scripts/train_miniature.py"
SHIPPED = "mini-defects.safetensors"
