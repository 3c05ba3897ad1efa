"""A network and a method's map as one ONNX file, which runs without torch and without gradients.

Where a layer's global average is classified by one linear layer, the gradient of a logit is the
same at every place: ``d logit_c / d A_kij = w_ck / (h w)``. A method that combines activations and
gradients is then a formula of the forward pass alone. The methods' own functions are what is
exported, given that gradient.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from camx.camcore import fusion, maps, passes, views
from camx.camcore.heads import head
from camx.camcore.layers import Gradient, Layer, spatial
from camx.camcore.networks import Network

# Those that need no more of a tap than activations, gradients and the head.
METHODS = (
    "cam", "gradcam", "hirescam", "layercam", "layercam-normal", "mean-activation", "normgrad",
)  # fmt: skip
OPSET = 17
INPUT, OUTPUTS = "images", ("logits", "label", "map")


@dataclass(frozen=True)
class Pooled:
    """A tap of a layer that is pooled and classified, whose gradients come from the head."""

    acts: Tensor
    logits: Tensor
    targets: Tensor
    layer: Layer
    head: Tensor

    @property
    def grads(self) -> Tensor:
        """``(N,C,h,w)``: the head's weights of each row's class, divided by the places."""
        height, width = self.acts.shape[-2:]
        weights = self.head[self.targets] / (height * width)
        return weights[:, :, None, None] * torch.ones_like(self.acts)


class Exported(nn.Module):
    """Pixels ``(N,3,S,S) uint8`` RGB to logits ``(N,K)``, classes ``(N,)``, maps ``(N,S,S)``.

    The class is the likeliest, unless `label` names one; maps are in [0, 1], as they are before
    they are resized to the picture.
    """

    def __init__(
        self,
        network: Network,
        layer: Layer,
        cam: Callable[[Any], Tensor],
        weights: Tensor,
        normalisation: str,
        label: int | None,
    ) -> None:
        super().__init__()
        self.network, self.module, self.layer, self.cam = network, network.module, layer, cam
        self.normalisation, self.label = normalisation, label
        self.weights: Tensor
        self.register_buffer("weights", weights)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen: list[Tensor] = []
        tapped = passes.submodule(self.module, self.layer.activation)
        hook = tapped.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        try:
            logits = passes.answer(self.module, self.network.preprocessing(images))
        finally:
            hook.remove()
        acts = spatial(seen[0], self.layer, images)
        targets = logits.argmax(1)
        if self.label is not None:
            targets = torch.full_like(targets, self.label)
        raw = self.cam(Pooled(acts, logits, targets, self.layer, self.weights))
        grid = views.enlarged(raw, images.shape[-2:])
        return logits, targets, fusion.normalise(grid, self.normalisation)


def exportable(
    network: Network,
    method: str,
    layers: Sequence[str],
    protocol: Mapping[str, Any],
    label: int | None = None,
) -> Exported:
    """The network with a method's map at its one layer, under the `protocol`'s choices.

    Raises `ValueError` naming what cannot be exported, and what can.
    """
    accepted = {"view": "resize", "target": "logit", "style": ""}
    for name, value in accepted.items():
        if protocol[name] != value:
            what = f"{name} {protocol[name]!r} cannot be exported"
            raise ValueError(f"{what}; accepted: {value or 'none'!r}")
    if method not in METHODS:
        what = f"method {method!r} cannot be exported: it needs gradients or asks the network again"
        raise ValueError(f"{what}; those that can: {', '.join(METHODS)}")
    if len(layers) > 1:
        what = f"the fusion {'+'.join(layers)} cannot be exported"
        raise ValueError(f"{what}; accepted: the layer that one linear layer classifies, alone")
    (layer,), gradient = layers, protocol["gradient"]
    tapped = network.layer(layer)
    weights = _weights(network, tapped, gradient)
    if weights is None:
        have = [name for name, y in network.layers.items() if _pooled(network, y, gradient)]
        what = f"layer {layer} of {network.name} cannot be exported: its global average is not what"
        told = f"layers of {network.name} that can: {', '.join(have) or 'none'}"
        raise ValueError(f"{what} one linear layer classifies; {told}")
    cam = maps.methods([method])[method].cam
    form = protocol["normalisation"]
    return Exported(network, tapped, cam, weights, form, label).eval()


def _pooled(network: Network, layer: Layer, gradient: Gradient) -> bool:
    return _weights(network, layer, gradient) is not None


def _weights(network: Network, layer: Layer, gradient: Gradient) -> Tensor | None:
    """The head's ``(K,C)`` where a logit is linear in the layer's global average; or none."""
    if gradient == "next" and layer.follower:
        return None
    generator = torch.Generator().manual_seed(0)
    size = (2, 3, network.input_size, network.input_size)
    images = network.prepare(torch.randint(256, size, generator=generator).byte())
    with torch.no_grad(), passes.frozen(network.module):
        logits, seen = passes.forward(network.module, images, [layer])
        acts = spatial(seen[layer.activation], layer, images)
        weights = head(network.module, acts, logits)
        if weights is None:
            return None
        answers = linear(acts.mean((2, 3)), weights)
        bias = logits - answers  # the same of every image; a 1x1 convolution with a ReLU has none
        linearly = torch.allclose(bias[0], bias[1], rtol=1e-3, atol=1e-3)
    return weights if linearly else None


def write(exported: Exported, path: Path, about: Mapping[str, Any]) -> None:
    """Write the ONNX file, any number of images a call; `about` becomes its metadata.

    `ImportError` without the package onnx.
    """
    import onnx

    network = exported.network
    device = next(network.module.parameters()).device
    images = torch.zeros(2, 3, network.input_size, network.input_size, dtype=torch.uint8)
    axes = {name: {0: "N"} for name in (INPUT, *OUTPUTS)}
    with warnings.catch_warnings(), passes.frozen(network.module), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: what it fixes is the size of the input
        torch.onnx.export(
            exported, (images.to(device),), str(path), input_names=[INPUT],
            output_names=list(OUTPUTS), dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(path))
    for key, value in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def difference(exported: Exported, path: Path, count: int = 3) -> dict[str, float]:
    """How far onnxruntime's answers are from torch's, of noise: the largest, by output.

    `ImportError` without the package onnxruntime.
    """
    import onnxruntime

    network = exported.network
    generator = torch.Generator().manual_seed(1)
    size = (count, 3, network.input_size, network.input_size)
    images = torch.randint(256, size, generator=generator).byte()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = session.run(list(OUTPUTS), {INPUT: images.numpy()})
    device = next(network.module.parameters()).device
    with torch.no_grad(), passes.frozen(network.module):
        expected = exported(images.to(device))
    pairs = zip(OUTPUTS, answers, expected)
    return {name: float(abs(got - want.cpu().numpy()).max()) for name, got, want in pairs}
