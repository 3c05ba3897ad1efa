"""What one invocation computes: the cells of tables, or every method on every layer."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace

from camx.camcore import maps, plugins
from camx.camcore.networks import Network
from camx.camcore.suggestions import near
from camx.evaluators.results import tables
from camx.evaluators.results.tables import Table
from camx.evaluators.tasks import Task
from camx.evaluators.types import Cell, Protocol

METHODS = ("gradcam", "gradcampp", "normgrad", "layercam", "layercam-normal")  # in one pass


@dataclass(frozen=True)
class Selection:
    """What the command line asks for; nothing of it is all that the task measures by default."""

    methods: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    @property
    def product(self) -> bool:
        """Whether methods on layers are asked for, besides tables."""
        return bool(self.methods or self.layers or self.variants)


def product(
    network: Network, selection: Selection, style: str = "", usual: Sequence[str] = ()
) -> list[Cell]:
    """Every method on every layer (or fusion) in every variant, each once.

    Without methods, the gradient methods; without layers, those that a method is read at, or else
    the `usual` ones, or all. Raises `ValueError` for an unknown method, layer or variant before
    anything runs.
    """
    if style and selection.variants:
        what = f"a map made as {style} makes it has no variant"
        raise ValueError(f"{what}, but --variant is {selection.variants[0]!r}")
    cells = []
    for plugin in selection.methods or METHODS:
        (method,) = maps.methods([plugin])
        read_at = selection.layers or maps.method_layers(plugin, network)
        for layer in read_at or usual or network.layers:
            layers = network.deepest_first({network.layer(part).name for part in layer.split("+")})
            for variant in selection.variants or ("",):
                cell = Cell.of(method, "+".join(layers), variant)
                cells.append(cell if style else cell.canonical())
    return list(dict.fromkeys(cells))


def of_tables(
    names: Sequence[str], default: Sequence[str], task: Task, network: Network
) -> tuple[list[Cell], list[Table]]:
    """The cells of the tables `names` that this network has the layers for, and those tables.

    Of the `default` tables, when none is named, only what costs no extra pass. Raises `ValueError`
    when a table named is another command's, or has no cell that suits.
    """
    loaded = [tables.load(name) for name in names or default]
    for table in loaded if names else ():
        if task.command not in {e.task.command for e in table.entries}:
            what = f"is measured by `camx {table.task.name}`, not by `camx {task.name}`"
            raise ValueError(f"table {table.name} {what}")
    entries = [e for table in loaded for e in table.entries if e.task.command == task.command]
    of_network = (e for e in entries if e.suits(network.name))
    wanted = dict.fromkeys(e.cell for e in of_network if e.cell and e.cell.layers)
    suiting = [c for c in wanted if all(map(network.has, c.layers))]
    cells = [c for c in suiting if names or not maps.costly(c.method)]
    if names and not cells:
        what = f"suits {network.name}, whose layers are {', '.join(network.layers)}"
        raise ValueError(f"no cell of table {', '.join(names)} {what}")
    return cells, loaded


def asked(
    task: Task, network: Network, style: str, selection: Selection
) -> tuple[list[Cell], list[Table]]:
    """The cells that a selection asks for, and the tables that hold any of them.

    With nothing asked for those of the task's tables; where they do not suit the network, the
    task's methods at its layer, or at the network's last where it has none of that name.
    """
    nothing = not (selection.product or selection.tables)
    # Another package's maps are compared method by method, where the task names no layer itself.
    default = task.tables if nothing and (task.layer or not style) else ()
    cells, loaded = of_tables(selection.tables, default, task, network)
    if not cells or selection.product:
        usual = task.layer if network.has(task.layer) else next(iter(network.layers))
        methods = replace(selection, methods=selection.methods or task.methods)
        cells += product(network, methods, style, (usual,) if task.layer else ())
    holding = [table for table in loaded if any(entry.cell in cells for entry in table.entries)]
    return list(dict.fromkeys(cells)), holding


def check_names(
    protocol: Protocol, usual: Protocol, network: Network, given: Sequence[str]
) -> None:
    """Raise `ValueError` for a layer or a method that a field of the protocol names, and is none.

    `given` are methods besides the shipped ones. What the `usual` protocol names, such as VGG's
    stages, need not be of each network.
    """
    methods = [*plugins.names(maps.METHODS), *given]
    for field in (f for f in dataclasses.fields(protocol) if "names" in f.metadata):
        of_layers = field.metadata["names"] == "layers"
        accepted = list(network.layers) if of_layers else methods
        for name in set(getattr(protocol, field.name)) - set(getattr(usual, field.name)):
            if not (network.has(name) if of_layers else name in accepted):
                what = "layer" if of_layers else "method"
                listed = f"{', '.join(accepted)}{near(name, accepted)}"
                raise ValueError(f"{field.name}: unknown {what} {name!r}; known: {listed}")
