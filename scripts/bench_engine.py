"""What 25 maps cost beside a bare pass: VGG16, 224 pixels, medians of alternating runs in one
process.

    python scripts/bench_engine.py                 # batch 8, 5 rounds, the CPU
    python scripts/bench_engine.py --device cuda --batch 64 --rounds 20

"bare" is a forward and a backward pass to conv1_2's output without parameter gradients. The camx
rows add five methods at five stages, with either gradient source. Weights are random: time does not
depend on them.
"""

import argparse
import statistics
import time

import torch
from torchvision.models import vgg16

from camx.camcore import maps, networks
from camx.camcore.taps import Layer

METHODS = ["gradcam", "gradcampp", "layercam", "layercam-normal", "normgrad"]


def bare(network: torch.nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    first = network.features[:4](images.requires_grad_())
    logits = network.classifier(network.avgpool(network.features[4:](first)).flatten(1))
    return torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), first)[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(0)
    network = vgg16().eval().requires_grad_(False).to(options.device)
    images = torch.randn(options.batch, 3, 224, 224, device=options.device)
    targets = torch.arange(options.batch, device=options.device)
    layers = [Layer(name, *paths) for name, paths in networks.spec("vgg16").layers.items()]
    cams = maps.methods(METHODS)
    runs = {
        "bare": lambda: bare(network, images.clone(), targets),
        "camx, own gradient": lambda: maps.compute(network, images, targets, layers, cams, "own"),
        "camx, next gradient": lambda: maps.compute(network, images, targets, layers, cams, "next"),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(options.rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if options.device != "cpu":
                torch.cuda.synchronize()
            if turn:  # the first turn warms up
                taken[name].append(time.perf_counter() - started)
    base = statistics.median(taken["bare"])
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        milliseconds = 1000 * median / options.batch
        print(f"{name:22} {milliseconds:8.1f} ms an image   {median / base:5.2f} x bare")


if __name__ == "__main__":
    main()
