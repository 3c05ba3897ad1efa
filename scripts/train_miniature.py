"""Train the miniature's networks and write their weights and cards.

    # 15 minutes on 2 cores
    python scripts/train_miniature.py mini-vgg
    python scripts/train_miniature.py mini-resnet --images 6000 --epochs 10        # 6 minutes
    python scripts/train_miniature.py mini-defects --epochs 20 --batch 32 --lr 0.05    # 3 minutes
    # 2 minutes, after mini-vgg
    python scripts/train_miniature.py mini-vgg-voc --epochs 30 --batch 10 --lr 0.01

Training images come from the miniature's generator with another seed than its validation images, so
none is seen twice; mini-defects and mini-vgg-voc learn from the Train images of the DAGM and VOC
parts, as `camx train` does, the latter from the weights of mini-vgg as the paper's classifier does
from ImageNet's. Batch norm is folded into the convolutions before the weights are written.
"""

import argparse
import hashlib
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from camx.camcore import networks, views
from camx.camcore.spec import Spec
from camx.evaluators.datasets import mini
from camx.evaluators.miniature import VERSION, ilsvrc

OUT = Path(__file__).parents[1] / "configs" / "weights"


def render(count: int, seed: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` drawn images squashed to ``(count,3,side,side) uint8``, and their labels
    ``(count,)``.
    """
    drawings = (ilsvrc.draw(index, seed) for index in range(count))
    pairs = [
        (torch.from_numpy(views.squash(Image.fromarray(d.image), side)), d.labels[0])
        for d in drawings
    ]
    return torch.stack([image for image, _ in pairs]), torch.tensor([label for _, label in pairs])


def validation(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The miniature's images as `camx localize --protocol single` shows them to the network."""
    samples = mini.read().samples
    images = [torch.from_numpy(views.squash(views.read_image(s.path), side)) for s in samples]
    return torch.stack(images), torch.tensor([s.label for s in samples])


def augment(images: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """A random zoom between the whole image and the crop of the ten-crop view, and a random
    flip.
    """
    side = int(torch.randint(size, images.shape[-1] + 9, (), generator=generator))
    x = nn.functional.interpolate(images.float(), (side, side), mode="bilinear", antialias=True)
    top, left = (int(torch.randint(side - size + 1, (), generator=generator)) for _ in range(2))
    x = x[..., top : top + size, left : left + size] / 255
    flip = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(flip[:, None, None, None], x.flip(3), x)


def fold(module: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, in place; the norm becomes the
    identity.
    """
    children = list(module.named_children())
    for (name, conv), (after, norm) in itertools.pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(conv, norm))
            setattr(module, after, nn.Identity())
    for _, child in module.named_children():
        fold(child)


def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float(
            torch.cat([network(x).argmax(1) for x in images.split(100)]).eq(labels).float().mean()
        )


def ship(spec: Spec, network: nn.Module, classes: int, card: dict[str, Any]) -> None:
    """Write the weights of a network whose batch norms are folded, and the card beside them."""
    shipped = spec.build(classes)
    # Folding leaves identities between a Sequential's convolutions; the shipped network has none.
    shipped.load_state_dict(
        dict(zip(shipped.state_dict(), network.state_dict().values(), strict=True))
    )
    path = OUT / spec.shipped
    save_file(shipped.state_dict(), path)
    card = {
        **card,
        "torch": torch.__version__,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card, indent=2))


def train_defects(options: argparse.Namespace) -> None:
    """The DAGM part's classifier, by camx's own trainer; accuracy and ROC-AUC on the Test images of
    what is shipped.
    """
    from camx.evaluators import training
    from camx.evaluators.tasks.defects import trainer as defect_training

    spec, started = networks.spec("mini-defects"), time.time()
    dataset = mini.read("defects")
    first = networks.start("mini-defects", "none", 2, options.seed)
    decay_at = (round(0.6 * options.epochs), round(0.85 * options.epochs))
    recipe = defect_training.Recipe(
        epochs=options.epochs, batch=options.batch, lr=options.lr, decay_at=decay_at, flip=True
    )
    machine = {"seed": options.seed, "device": "cpu", "workers": 2}
    job = defect_training.job(first, dataset.samples, recipe, **machine)
    with tempfile.TemporaryDirectory() as folder:
        rows = training.fit(job, Path(folder), lambda _steps, line: None)
    print(f"test ROC-AUC {rows[-1]['test_auc']:.4f} before folding")
    test = defect_training.Pictures([s for s in dataset.samples if s.split == "test"], first)
    fold(job.module.eval())
    measured = defect_training.measure(job.module, test, 50, "cpu")
    card = {
        "command": f"python scripts/train_miniature.py mini-defects --epochs {options.epochs} "
        f"--batch {options.batch} --lr {options.lr} --seed {options.seed}",
        "generator_version": VERSION,
        "seed": options.seed,
        "training_images": len(dataset.samples) - len(test.samples),
        "seconds_on_2_cores": round(time.time() - started),
        "test_accuracy_percent": round(100 * measured["accuracy"], 2),
        "test_auc": round(measured["auc"], 4),
    }
    ship(spec, job.module, 2, card)


def train_voc(options: argparse.Namespace) -> None:
    """The VOC part's classifier, by camx's own trainer; multi-label mAP on val."""
    from camx.evaluators import training
    from camx.evaluators.tasks.pseudo import trainer as classifier_training

    spec, started = networks.spec("mini-vgg-voc"), time.time()
    learn, val = (mini.read("segmentation", split).samples for split in ("train", "val"))
    first = networks.start(
        "mini-vgg-voc", str(OUT / "mini-vgg.safetensors"), len(ilsvrc.CLASSES), options.seed
    )
    recipe = classifier_training.Recipe(epochs=options.epochs, batch=options.batch, lr=options.lr)
    machine = {"seed": options.seed, "device": "cpu", "workers": 2}
    job = classifier_training.job(first, learn, val, recipe, **machine)
    with tempfile.TemporaryDirectory() as folder:
        rows = training.fit(job, Path(folder), lambda _steps, line: None)
    card = {
        "command": f"python scripts/train_miniature.py mini-vgg-voc --epochs {options.epochs} "
        f"--batch {options.batch} --lr {options.lr} --seed {options.seed}",
        "generator_version": VERSION,
        "seed": options.seed,
        "training_images": len(learn),
        "seconds_on_2_cores": round(time.time() - started),
        "val_map": round(rows[-1]["val_map"], 4),
    }
    ship(spec, job.module, len(ilsvrc.CLASSES), card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", choices=["mini-vgg", "mini-resnet", "mini-defects", "mini-vgg-voc"]
    )
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--lr", type=float, default=0.004)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.model == "mini-defects":
        return train_defects(options)
    if options.model == "mini-vgg-voc":
        return train_voc(options)
    spec, started = networks.spec(options.model), time.time()
    size = spec.input_size
    generator = torch.manual_seed(options.seed)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (spec.mean, spec.std))
    images, labels = render(options.images, ilsvrc.TRAIN_SEED, size * 8 // 7)
    val, val_labels = validation(size)
    val = (val.float() / 255 - mean) / std
    network = spec.build(len(ilsvrc.CLASSES), batch_norm=True).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=0.05)
    steps = options.epochs * (options.images // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=steps)
    for epoch in range(options.epochs):
        network.train()
        total = 0.0
        for batch in torch.randperm(options.images, generator=generator).split(options.batch):
            x = (augment(images[batch], size, generator) - mean) / std
            loss = nn.functional.cross_entropy(network(x), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        network.eval()
        print(
            f"epoch {epoch + 1}: loss {total / options.images:.3f}, "
            f"top-1 {accuracy(network, val, val_labels):.4f}, {time.time() - started:.0f} s",
            flush=True,
        )
    fold(network)
    card = {
        "command": f"python scripts/train_miniature.py {options.model} --images {options.images} "
        f"--epochs {options.epochs} --batch {options.batch} --lr {options.lr} "
        f"--seed {options.seed}",
        "generator_version": VERSION,
        "seed": options.seed,
        "training_images": options.images,
        "seconds_on_2_cores": round(time.time() - started),
        "top1_percent": round(100 * accuracy(network, val, val_labels), 2),
    }
    ship(spec, network, len(ilsvrc.CLASSES), card)


if __name__ == "__main__":
    main()
