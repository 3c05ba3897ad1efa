"""Which cells a run measures: those of tables, or every method on every layer."""

from collections.abc import Mapping, Sequence

from camcore import maps
from camcore.networks import Network
from camcore.variants import canonical
from evaluators import tables
from evaluators.types import Cell

METHODS = ("gradcam", "gradcampp", "normgrad", "layercam", "layercam-normal")  # one pass feeds them all


def product(
    network: Network, methods: Sequence[str], layers: Sequence[str], variants: Sequence[str], style: str = "", usual: Sequence[str] = ()
) -> list[Cell]:
    """Every method on every layer (or fusion) in every variant, each once.

    Without `methods`, the gradient methods; without `layers`, each method's own, or else the `usual` ones, or all.
    Raises `ValueError` for an unknown method, layer or variant before anything runs.
    """
    if style and variants:
        raise ValueError(f"a map made as {style} makes it has no variant, but --variant is {variants[0]!r}")
    found = []
    for spec in methods or METHODS:
        (method,) = maps.methods([spec])
        for layer in layers or maps.own_layers(spec, list(network.layers)) or usual or network.layers:
            layer = _deepest_first(layer, network)
            found += [Cell(method, layer, "" if style else canonical(layer, v)) for v in variants or ("",)]
    return list(dict.fromkeys(found))


def _deepest_first(layer: str, network: Network) -> str:
    """A fusion's layers in the network's order, each once, so that ``S4+S5`` is ``S5+S4``; blocks after their layer."""
    order = list(network.layers)
    parts = {network.layer(part).name for part in layer.split("+")}
    return "+".join(sorted(parts, key=lambda name: (order.index(name.partition("[")[0]), name)))


def of_tables(names: Sequence[str], default: Sequence[str], command: str, network: Network) -> tuple[list[Cell], list[tables.Table]]:
    """The union of the cells of the tables `names` that this network has the layers for, and those tables.

    Of the `default` tables, when none is named, only what costs no extra pass. Raises `ValueError` when a table named
    is another command's, or has no cell that suits.
    """
    chosen = [tables.load(name) for name in names or default]
    for table in chosen:
        if names and command not in {e.command for e in table.entries}:
            raise ValueError(f"table {table.name} is measured by `camx {table.command}`, not by `camx {command}`")
    wanted = dict.fromkeys(e.cell for t in chosen for e in t.entries if e.cell and e.command == command)
    found = [c for c in wanted if all(map(network.has, c.layer.split("+"))) and (names or not maps.costly(c.method))]
    if names and not found:
        raise ValueError(f"no cell of table {', '.join(names)} suits {network.name}, whose layers are {', '.join(network.layers)}")
    return found, [t for t in chosen if command in {e.command for e in t.entries}]


def asked(
    command: str,
    network: Network,
    style: str,
    chosen: Mapping[str, Sequence[str]],
    default: Sequence[str],
    methods: Sequence[str],
    usual: str,
) -> tuple[tuple[Cell, ...], list[tables.Table]]:
    """The cells that ``--method --layer --variant --table`` ask for (`chosen`), and the tables they come from.

    With nothing asked for those of the `default` tables. Without a method `methods`, without a layer the `usual` one, or
    the last where the network has none of that name.
    """
    nothing = not any(chosen[key] for key in ("methods", "layers", "variants", "names"))
    found, named = of_tables(chosen["names"], default if nothing else (), command, network)
    if not found or any(chosen[key] for key in ("methods", "layers", "variants")):
        layer = usual if network.has(usual) else next(iter(network.layers))
        found += product(network, chosen["methods"] or methods, chosen["layers"], chosen["variants"], style, (layer,))
    return tuple(dict.fromkeys(found)), named
