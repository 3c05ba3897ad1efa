"""What a TAB offers: names of files, the layers of the network on the line; never torch."""

import os
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from camx.camcore import plugins
from camx.cli import main
from camx.evaluators import protocols
from camx.evaluators.results import claims, tables


def offered(line):
    """The plain values that are offered at the end of a line, and the kinds of the others."""
    *words, begun = line.split(" ")
    complete = ShellComplete(main.group, {}, "camx", "_CAMX_COMPLETE")
    items = complete.get_completions(words, begun)
    return [i.value for i in items if i.type == "plain"], {i.type for i in items} - {"plain"}


METHODS, MODELS = (plugins.names(f"camx.camcore.{kind}") for kind in ("methods", "models"))
STAGES = ["S5", "S4", "S3", "S2", "S1"]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("localize --method ", METHODS),
        ("localize --method layer", ["layercam", "layercam-normal"]),
        ("localize --method cam --method gradcamp", ["gradcampp"]),
        ("explain --method gradcam", ["gradcam", "gradcampp"]),
        ("tables --compare layercam gradcamp", ["gradcampp"]),
        ("occlude --model ", MODELS),
        ("list layers --model vgg16-c", ["vgg16-cam"]),
        ("train wsol --model mini-a", ["mini-acol", "mini-adl"]),
        ("segment train --model ", plugins.names("camx.camcore.segmenters")),
        ("segment predict --model mini", ["mini-largefov"]),
        ("localize --protocol ", protocols.names()),
        ("localize --table X", ["X", "XI", "XII", "XIII"]),
        ("tables --table ", tables.names()),
        ("claims --claim ", [claim.id for claim in claims.load("")]),
        ("list ", ["methods", "models", "segmenters", "datasets", "measures", "tasks", "figures",
                   "layers", "protocols", "tables"]),
        ("tables --format l", ["latex"]),
        ("tables --format latex --quiet --table II", ["II", "III"]),
        ("localize --as t", ["torch-cam"]),
        ("loc", ["localize"]),
        ("segment ", ["evaluate", "predict", "train"]),
        ("measure va", ["values"]),
        ("bench ", ["engine", "numerics", "peers", "pipeline"]),
        ("bench pipeline --protocol s", ["single"]),
        ("localize --meth", ["--method"]),
    ],
)  # fmt: skip
def test_names(line, values):
    plain, others = offered(line)
    assert sorted(plain) == sorted(values)
    assert not others


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("localize --layer ", [*STAGES, "layer4", "layer3", "layer2", "layer1"]),
        ("localize --model resnet18 --layer ", ["layer4", "layer3", "layer2", "layer1"]),
        ("localize --model vgg16-cam --layer ", [*STAGES, "conv6"]),
        ("explain --model mini-vgg --model mini-resnet --layer ",
         [*STAGES, "layer4", "layer3", "layer2", "layer1"]),
        ("localize --model mini-vgg --layer S5+", ["S5+S4", "S5+S3", "S5+S2", "S5+S1"]),
        ("localize --model mini-vgg --layer S5+S4+S", ["S5+S4+S3", "S5+S4+S2", "S5+S4+S1"]),
        ("localize --model mini-vgg --layer S4+S5+S2", ["S4+S5+S2"]),
        ("localize --model torchvision:resnet50 --layer layer", ["layer4", "layer3", "layer2",
                                                                 "layer1"]),
        ("localize --model mini-vgg --layer T", []),
        ("identities --model mini-acol --layer p", ["pool6"]),
    ],
)  # fmt: skip
def test_layers_of_the_network_on_the_line(line, values):
    assert offered(line) == (values, set())


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("localize --data ", plugins.names("camx.evaluators.datasets")),
        ("tables --data min", ["mini", "mini-masks"]),
        ("localize --data /dat", []),
        ("localize --weights vgg", []),
        ("localize --method mine", []),  # a method of the user's is a file
        ("localize --table mine", []),
        ("localize --out res", []),
        ("explain pic", []),
    ],
)
def test_files_too(line, values):
    plain, others = offered(line)
    assert plain == values
    assert others in ({"file"}, {"dir"})


def test_files_are_offered_first():
    """Bash's script forgets what comes before a file."""
    complete = ShellComplete(main.group, {}, "camx", "_CAMX_COMPLETE")
    assert complete.get_completions(["localize", "--data"], "")[0].type == "file"


def test_a_free_text_is_nobody_s_to_offer():
    assert offered("localize --device c") == ([], set())
    assert offered("claims --claim nothing") == ([], set())


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("camx localize --method gradcamp", "plain,gradcampp"),
        ("camx localize --model mini-vgg --layer S5+S4+S3", "plain,S5+S4+S3"),
        ("camx tables --format csv --table XII", "plain,XII\nplain,XIII"),
        ("camx expl", "plain,explain"),
    ],
)
def test_bash_asks_through_the_environment(line, answer):
    """As its script does; nothing heavy is imported."""
    words = line.split()
    variables = {"_CAMX_COMPLETE": "bash_complete", "COMP_WORDS": line}
    code = """
import sys
from camx.cli import main
try:
    main.main()
finally:
    print([name for name in ("torch", "pandas", "scipy", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables, "COMP_CWORD": str(len(words) - 1)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{answer}\n[]\n"
    assert not done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell):
    done = subprocess.run(
        [sys.executable, "-m", "camx"],
        env={**os.environ, "_CAMX_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
    )
    assert f"_CAMX_COMPLETE={shell}_complete" in done.stdout
    assert done.returncode == 0


def test_every_option_that_names_something_is_completed():
    """What a field's ``names`` says is one of the kinds that `completion` has."""
    import click

    from camx.cli import completion, options

    def walk(command, ctx):
        yield from command.params
        for name in command.list_commands(ctx) if isinstance(command, click.Group) else ():
            yield from walk(command.get_command(ctx, name), ctx)

    kinds = {p.type.names for p in walk(main.group, None) if isinstance(p.type, options.Value)}
    assert kinds - {""} == {*completion.NAMES, "layers"}
