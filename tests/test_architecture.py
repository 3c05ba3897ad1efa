"""Imports go one way: cli -> evaluators -> camcore; within evaluators from the top floor down."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSES = ("cli", "camcore", "evaluators", "configs")
FILES = [path for house in HOUSES for path in sorted((ROOT / house).rglob("*.py"))]
FORBIDDEN = {
    "camcore": {"camx.cli", "camx.evaluators", "click"},
    "evaluators": {"camx.cli", "click"},
    "configs": {"camx.cli", "camx.evaluators", "camx.camcore"},
    "cli": set(),
}
# The floors of evaluators/, from the top down; a room may import from lower floors, and from
# itself.
FLOORS = [
    ["report"],
    ["drawings"],
    ["explanations", "doctor", "bench", "predictions", "audit"],
    ["plan"],
    ["results"],
    ["tasks.score"],
    [
        "tasks.localize",
        "tasks.occlude",
        "tasks.defects",
        "tasks.pseudo",
        "tasks.segment",
        "tasks.values",
        "tasks.sanity",
    ],
    ["tasks"],  # the contract
    ["training"],
    ["checkpoint", "curves"],
    ["loop", "kinds"],
    ["grading"],
    ["measures"],
    ["datasets"],
    ["grids", "splits", "miniature", "protocols", "records", "saved_maps"],
    ["judged", "writer", "earlier"],
    ["critical", "fingerprints", "contours", "nulls", "pictures", "voc_masks", "invocation"],
    ["types", "confusion", "stats", "environment", "skips", "heatmaps", "metrics"],
    ["draws", "ranks", "parts", "holding", "blacklist", "memory", "determinism", "object_masks"],
    ["fields", "files", "values", "stopping", "caches", "workers", "ordering"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# What only computes with arrays imports no torch, so that it is quick to load and to test.
TORCH = {
    "bench/engine.py", "bench/peers.py", "bench/subjects.py",
    "checkpoint.py", "determinism.py", "doctor.py", "explanations.py", "grids.py", "loop.py",
    "memory.py", "plan.py", "ranks.py", "report/costs.py", "training.py",
    "drawings/distributions.py", "drawings/overlays.py",
    *(f"tasks/{name}.py" for name in (
        "defects/classifier", "defects/sheet", "defects/timing", "defects/trainer",
        "localize/trainer",
        "occlude/imputing", "occlude/perturb", "occlude/weighing", "pseudo/labelling",
        "pseudo/trainer", "sanity/randomising", "segment/predict", "segment/trainer", "values/raw",
    )),
}  # fmt: skip


def name_of(path):
    """The module's name under camx."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("camx", *parts)).removesuffix(".__init__")


MODULES = {name_of(path) for path in FILES}


def imported(path, everywhere=True):
    """Modules that a file imports, ``from a import b`` as ``a.b`` where that is one.

    Without `everywhere` only those that importing the file imports.
    """
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else at_once(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module or ""


def at_once(body):
    """The statements that run when a module is imported, those for the type checker left out."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from at_once(node.body + node.orelse)
        elif isinstance(node, ast.Try | ast.ClassDef | ast.With):
            yield from at_once(node.body)


def starts(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def room(module):
    """The room of a module of evaluators: its name, or its package's."""
    rest = module.removeprefix("camx.evaluators").removeprefix(".")
    return next((r for r in sorted(FLOOR, key=len, reverse=True) if starts(rest, [r])), None)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    house = path.relative_to(ROOT).parts[0]
    assert not [name for name in imported(path) if starts(name, FORBIDDEN[house])]
    assert not [name for name in imported(path) if starts(name, [*HOUSES, "scripts", "tests"])]


@pytest.mark.parametrize(
    "path", [p for p in FILES if "evaluators" in p.parts], ids=lambda p: str(p.relative_to(ROOT))
)
def test_every_room_has_a_floor_and_looks_down(path):
    here = room(name_of(path))
    if name_of(path) == "camx.evaluators":
        return
    assert here, f"{path} stands on no floor"
    for name in imported(path):
        there = room(name) if name.startswith("camx.evaluators.") else None
        if there and there != here:
            assert FLOOR[there] > FLOOR[here], f"{path} imports {name}, which is not below"


def test_nothing_imports_itself_by_a_detour():
    """No circle of modules, those counted that are imported when a module is."""
    graph = {name_of(p): set(imported(p, everywhere=False)) & MODULES for p in FILES}
    done, path = set(), []

    def visit(module):
        assert module not in path, f"circle: {' -> '.join([*path[path.index(module) :], module])}"
        if module not in done:
            path.append(module)
            for other in sorted(graph[module]):
                visit(other)
            done.add(path.pop())

    for module in sorted(graph):
        visit(module)


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if "evaluators" in p.parts
     and p.relative_to(ROOT / "evaluators").as_posix() not in TORCH],
    ids=lambda p: str(p.relative_to(ROOT)),
)  # fmt: skip
def test_what_computes_with_arrays_imports_no_torch(path):
    allowed = {"environment.py"}  # it asks for versions
    if path.name not in allowed:
        assert not [name for name in imported(path) if starts(name, ["torch", "torchvision"])]


def test_scoring_loads_no_torch():
    """Nor does what it imports."""
    modules = [
        f"camx.evaluators.tasks.{name}" for name in ("localize", "defects", "pseudo", "segment")
    ]
    modules += ["camx.evaluators.results.claims", "camx.evaluators.results.filling"]
    code = f"import sys\nfor m in {modules}: __import__(m)\nsys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_import_is_declared():
    """What the packages import is in install_requires, by the name it is installed under."""
    installed = {
        "cv2": "opencv-python",
        "PIL": "pillow",
        "yaml": "pyyaml",
        "skimage": "scikit-image",
    }
    # Where asked for; for the type checker.
    optional = {"pydensecrf", "timm", "huggingface_hub", "submitit", "typing_extensions"}
    optional |= {"onnx", "onnxruntime"}
    declared, extras = (ROOT / "setup.cfg").read_text().split("[options.extras_require]")
    assert "crf =\n    pydensecrf2>=" in extras
    assert "timm =\n    timm>=1.0.9\n    huggingface_hub>=" in extras
    assert "slurm =\n    submitit>=" in extras
    assert "onnx =\n    onnx>=1.16\n    onnxruntime>=1.18\n" in extras
    for path in FILES:
        packages = {name.split(".")[0] for name in imported(path)} - {"camx"} - optional
        for name in packages - sys.stdlib_module_names:
            assert f"    {installed.get(name, name)}>=" in declared, f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_small(path):
    """A file above 300 lines or a function above 50 wants a reason; none has one."""
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{path}: {node.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_say_what_a_thing_is(path):
    """`found` and its like say a tense: of a variable, an argument, a function or an attribute."""
    tenses = {"found", "chosen", "own", "known"}
    for node in ast.walk(ast.parse(path.read_text())):
        names = {
            ast.Name: lambda n: n.id, ast.arg: lambda n: n.arg, ast.FunctionDef: lambda n: n.name,
            ast.keyword: lambda n: n.arg, ast.Attribute: lambda n: n.attr,
        }.get(type(node), lambda n: "")(node)  # fmt: skip
        assert (names or "").strip("_") not in tenses, f"{path}, line {node.lineno}: {names}"
