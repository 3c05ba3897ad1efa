"""Networks of torchvision and timm by name: what their packages publish of them, as a `Spec`.

``torchvision:resnet18`` has its weights' own preprocessing and input size, ``timm:vit_tiny_...``
those of its ``pretrained_cfg``. Nothing is downloaded unless `download` is said.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camx.camcore.building import drawn, skeleton
from camx.camcore.imagenet import CLASSES, class_names
from camx.camcore.plugins import Plugin, reference
from camx.camcore.spec import Spec
from camx.camcore.suggestions import near

# Those whose published weights were trained on another form of the input, which they make of
# torchvision's usual one themselves.
TRANSFORMING = ("googlenet", "inception_v3")
FILES = ("model.safetensors", "pytorch_model.bin")  # of a repository of weights


def load(name: str, weights: str | None = None) -> tuple[Plugin, Spec]:
    """What a package publishes of its network. `ValueError` for an unknown one.

    The input's size and form are those of the `weights` named, or of the usual ones.
    """
    zoo, model = reference(name)
    try:
        module = importlib.import_module(zoo)
    except ModuleNotFoundError as error:
        how = f"pip install 'camx[{zoo}]' (or pip install {zoo})"
        raise ValueError(f"model {name!r} needs the package {error.name}: {how}") from None
    return Plugin(name, module, None, name), ZOOS[zoo](model, weights)


def _unknown(name: str, names: list[str], where: str) -> ValueError:
    what = f"unknown model {name!r}; known: {where}, {len(names)} in all"
    return ValueError(f"{what}{near(reference(name)[1], names)}")


def _torchvision(model: str, weights: str | None) -> Spec:
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    if model not in names:
        where = "classifiers of torchvision.models.list_models()"
        raise _unknown(f"torchvision:{model}", names, where)
    kind = torchvision.models.get_model_weights(model)
    member = kind.__members__.get((weights or "DEFAULT").rpartition(".")[2], kind.DEFAULT)
    form, size = member.transforms(), member.transforms().crop_size[0]
    given: dict[str, Any] = {"init_weights": False} if model in TRANSFORMING else {}
    given |= {"transform_input": True} if model in TRANSFORMING else {}
    given |= {"image_size": size} if model.startswith("vit_") else {}
    return Spec(
        build=partial(torchvision.models.get_model_builder(model), **given), input_size=size,
        mean=tuple(form.mean), std=tuple(form.std), weights=kind,
    )  # fmt: skip


def _timm(model: str, weights: str | None) -> Spec:
    import timm

    architecture = model.partition(".")[0]
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if not timm.is_model(model) or ("." in model and model.partition(".")[2] not in tags):
        raise _unknown(f"timm:{model}", timm.list_models(), "timm.list_models()")
    published: Any = timm.models.get_pretrained_cfg(model)
    head = published.classifier if isinstance(published.classifier, str) else ""
    side = published.input_size[1]
    if published.input_size[2] != side:
        what = f"its input is {published.input_size[1]} x {published.input_size[2]}"
        raise ValueError(f"timm:{model}: {what}; camx shows squares: build it in a FILE.py")
    return Spec(
        build=partial(timm.create_model, model), input_size=side,
        mean=tuple(published.mean), std=tuple(published.std),
        head=head, class_names=class_names() if published.num_classes == CLASSES else (),
        find=partial(_published, f"timm:{model}", published),
        adopt=partial(_filtered, model),
    )  # fmt: skip


def _filtered(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as their authors publish them under timm's names, where timm knows how."""
    import timm

    home = sys.modules[timm.models.model_entrypoint(name.partition(".")[0]).__module__]
    change: Callable[..., Any] | None = getattr(home, "checkpoint_filter_fn", None)
    named = sum(key in _names(name) for key in state)
    if change is None or 2 * named >= len(state):
        return dict(state)
    try:
        changed = change(dict(state), drawn(partial(timm.create_model, name), CLASSES))
    except Exception as error:  # it is made for its own authors' files
        what = f"timm:{name}: the names are not timm's, nor does it know them"
        raise ValueError(f"{what}: {type(error).__name__}: {error}") from error
    return changed


@lru_cache(maxsize=4)
def _names(name: str) -> frozenset[str]:
    """What timm calls the network's tensors."""
    import timm

    return frozenset(skeleton(partial(timm.create_model, name), CLASSES).state_dict())


def _published(name: str, published: Any, download: bool, option: str) -> tuple[Path, str]:
    """The file of timm's weights of a network in the cache, and what they are called."""
    repository, label = published.hf_hub_id, f"{name} {published.tag}".strip()
    if not repository and not published.url:
        raise ValueError(f"timm publishes no weights of {name}; give {option} FILE")
    path = _hub(repository, published.hf_hub_filename, download) if repository else None
    if path is None and published.url:
        file = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
        if download and not repository and not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                published.url, str(file)
            )  # and nothing of it is executed
        path = file if file.is_file() else None
    if path is None:
        where = f"Hugging Face's cache ({repository})" if repository else "torch's cache"
        how = f"--download fetches them, or give {option} FILE"
        raise FileNotFoundError(f"{name}'s weights are not in {where}; {how}")
    return path, label


def _hub(repository: str, filename: str | None, download: bool) -> Path | None:
    """A repository's file of weights in the cache; fetched if allowed, else None."""
    import huggingface_hub

    names = (filename,) if filename else FILES
    for name in names:
        path = huggingface_hub.try_to_load_from_cache(repository, name)
        if isinstance(path, str):
            return Path(path)
    for name in names if download else ():
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name))
        except huggingface_hub.errors.EntryNotFoundError:
            continue
        except (OSError, huggingface_hub.errors.HfHubHTTPError) as error:
            line = " ".join(str(error).split())[:200]
            raise ValueError(f"{repository}: the weights cannot be fetched: {line}") from error
    return None


ZOOS: dict[str, Callable[[str, str | None], Spec]] = {"torchvision": _torchvision, "timm": _timm}
