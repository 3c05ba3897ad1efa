"""Several processes, by gloo on this machine's CPU: one step is theirs together."""

import os
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from camx.evaluators import ranks, training
from camx.evaluators.ranks import Ranks

# A network with dropout learns for six steps of four micro-batches; the argument is where.
TRAINED = """
import sys
from pathlib import Path
import torch
from torch import nn
from camx.evaluators import ranks, training

torch.manual_seed(0)
module = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))

def batch(number):
    generator = torch.Generator().manual_seed(number)
    return torch.randn(3, 4, generator=generator), torch.randint(2, (3,), generator=generator)

with ranks.joined("cpu") as joined:
    job = training.Job(
        module=module, groups=[{"params": list(module.parameters()), "lr": 0.1}],
        steps=6, epoch=3, parts=4, batch=batch, weight_decay=0.01,
        loss=lambda network, x, y: nn.functional.cross_entropy(network(x), y),
        rate=training.multistep(3, (1,), 0.1),
        judge=lambda network, loss: ({"top1": float(joined.total(torch.ones(1)))}, -loss),
    )
    ticks = []
    training.fit(job, Path(sys.argv[1]), lambda steps, line: ticks.append(steps), joined)
    print(joined.rank, sum(ticks))
"""


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def run(script, *arguments, count=2):
    """What `count` processes of a script print, started as ``torchrun`` starts them."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(count)
    ]  # fmt: skip
    ended = [(*process.communicate(timeout=300), process.returncode) for process in started]
    return ended


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of one process's training and of two processes', and what these printed."""
    root = tmp_path_factory.mktemp("ranks")
    folders = {name: root / name for name in ("one", "two")}
    for folder in folders.values():
        folder.mkdir()
    (_, err, code), *_ = run(TRAINED, folders["one"], count=1)
    assert code == 0, err
    printed = run(TRAINED, folders["two"])
    assert [code for *_, code in printed] == [0, 0], printed
    return folders["one"], folders["two"], [out.split() for out, *_ in printed]


@pytest.mark.slow
def test_two_ranks_end_as_one_process_with_twice_the_micro_batches(trained):
    one, two, printed = trained
    for name in ("best.safetensors", "last.safetensors"):
        a, b = load_file(one / name), load_file(two / name)
        assert set(a) == set(b) == {"0.weight", "0.bias", "3.weight", "3.bias"}
        assert all(torch.allclose(a[key], b[key], rtol=0, atol=1e-5) for key in a)
    assert printed == [["0", "6"], ["1", "6"]]


@pytest.mark.slow
def test_the_log_is_of_all_ranks(trained):
    """The loss is the mean over both; what the judge adds up is of both."""
    one, two, _ = trained
    rows = [
        [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
        for folder in (one, two)
    ]
    assert rows[0][0] == ["epoch", "step", "lr", "train_loss", "top1"] == rows[1][0]
    for a, b in zip(rows[0][1:], rows[1][1:], strict=True):
        assert a[:2] == b[:2]
        assert float(a[3]) == pytest.approx(float(b[3]), abs=1e-6)
        assert (float(a[4]), float(b[4])) == (1, 2)


@pytest.mark.slow
def test_all_ranks_end_where_one_is_asked_to(trained, tmp_path):
    """At one step, saved by the first; begun again they end as undisturbed ones."""
    asked = """
import os, signal, time
from camx.evaluators import stopping
def tick(steps, line):
    ticks.append(steps)
    if joined.rank == 1 and sum(ticks) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
        while not stopping.asked():
            time.sleep(0.01)
with ranks.joined("cpu") as joined, stopping.heeded(), stopping.patiently():"""
    script = TRAINED.replace('\nwith ranks.joined("cpu") as joined:', asked)
    script = script.replace("lambda steps, line: ticks.append(steps)", "tick")
    script = script.replace("\nmodule =", "\nticks = []\nmodule =").replace("    ticks = []\n", "")
    printed = run(script, tmp_path)
    assert all("Stopped" in err for _, err, _ in printed), printed
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert content["state"]["step"] == 2
    assert [code for *_, code in run(TRAINED, tmp_path)] == [0, 0]
    a, b = (load_file(folder / "last.safetensors") for folder in (trained[1], tmp_path))
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
def test_ranks_that_do_not_share_a_folder_are_refused(trained, tmp_path):
    """The second sees no checkpoint of the first's."""
    _, two, _ = trained
    script = TRAINED.replace("sys.argv[1]", "sys.argv[1 + joined.rank]")
    (tmp_path / "alone").mkdir()
    ended = run(script, two, tmp_path / "alone")
    for _, err, code in ended:
        assert code == 1
        assert "1 of 2 processes do not see the first one's checkpoint; --out must be a" in err


def job(parts, count=4, **changes):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    x, y = torch.randn(40, count, 4), torch.randint(2, (40, count))
    return training.Job(
        module=module,
        groups=[{"params": list(module.parameters()), "lr": 0.1}],
        steps=5, epoch=5, parts=parts,
        batch=lambda number: (x[number], y[number]),
        loss=lambda network, x, y: nn.functional.cross_entropy(network(x), y),
        rate=lambda step: 1, judge=lambda network, loss: ({}, -loss),
        **changes,
    )  # fmt: skip


def test_micro_batches_are_one_batch(tmp_path):
    """A step of two is that of both batches together; the log's loss too."""
    whole = job(1)
    pairs = [whole.batch(number) for number in range(10)]
    joined = [tuple(torch.cat(both) for both in zip(*pairs[at : at + 2])) for at in range(0, 10, 2)]
    single = job(1)
    object.__setattr__(single, "batch", lambda step: joined[step])
    for name in ("parts", "single"):
        (tmp_path / name).mkdir()
    parts = job(2)
    a = training.fit(parts, tmp_path / "parts", lambda *_: None)
    b = training.fit(single, tmp_path / "single", lambda *_: None)
    for left, right in zip(parts.module.parameters(), single.module.parameters()):
        assert torch.allclose(left, right, atol=1e-6)
    assert a[0]["train_loss"] == pytest.approx(b[0]["train_loss"])


def test_each_micro_batch_has_a_seed_of_its_own(tmp_path):
    seeds, numbers = [], []
    task = job(2, seed=3)

    def loss(network, inputs, targets):
        seeds.append(torch.initial_seed())
        return task.loss(network, inputs, targets)

    def batch(number):
        numbers.append(number)
        return task.batch(number)

    object.__setattr__(task, "steps", 2)
    changed = training.Job(**{**vars(task), "batch": batch, "loss": loss})
    training.fit(changed, tmp_path, lambda *_: None)
    assert seeds == [3_000_009, 3_000_010, 3_000_011, 3_000_012]
    assert sorted(numbers) == [0, 1, 2, 3]


def test_micro_batches_are_shared_out():
    assert [list(Ranks(rank, 2).share(6)) for rank in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
    assert list(Ranks().share(1)) == [0]
    with pytest.raises(ValueError, match="a step's 3 micro-batches do not divide among 2"):
        Ranks(0, 2).share(3)


def test_the_world_is_what_torchrun_says(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert ranks.world() == Ranks() == ranks.ALONE
    assert Ranks().first
    monkeypatch.setenv("RANK", "3")
    assert ranks.world() == Ranks()
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert ranks.world() == Ranks(3, 4, 1, 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert ranks.world() == Ranks(3, 4, 1, 2)
    assert not ranks.world().first
    assert [ranks.world().device(name) for name in ("cuda", "cuda:0", "cpu")] == [
        "cuda:1", "cuda:0", "cpu"
    ]  # fmt: skip
    assert Ranks().device("cuda") == "cuda"


@pytest.mark.parametrize(
    ("rank", "count", "local", "word"),
    [
        ("x", "2", "0", "RANK is 'x'; torchrun sets a whole number from 0 to 1"),
        ("2", "2", "0", "RANK is '2'; torchrun sets a whole number from 0 to 1"),
        ("-1", "2", "0", "RANK is '-1'"),
        ("0", "", "0", "WORLD_SIZE is ''; torchrun sets a whole number from 1"),
        ("0", "0", "0", "WORLD_SIZE is '0'"),
        ("0", "2", "2", "LOCAL_RANK is '2'; torchrun sets a whole number from 0 to 1; or unset it"),
    ],
)
def test_what_is_no_rank_is_named(monkeypatch, rank, count, local, word):
    for name, text in {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": local}.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=f"^the environment's {word}"):
        ranks.world()


def test_alone_nothing_is_waited_for():
    values = torch.tensor([1.0, 2.0])
    assert torch.equal(Ranks().total(values), values)
    assert Ranks().told("x") == "x"
    module = nn.Linear(1, 1)
    assert Ranks().wrapped(module) is module


def test_processes_share_items_and_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16), raising=False)
    parts = [Ranks(n, 3).part(range(8)) for n in range(3)]
    assert parts == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert Ranks().part([1, 2]) == [1, 2]
    assert [Ranks(0, 8, 0, beside).cores for beside in (1, 3, 16, 99)] == [16, 5, 1, 1]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))  # bound to four of them
    assert [Ranks(0, 8, 0, beside).cores for beside in (1, 4, 5)] == [4, 4, 1]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert Ranks().cores == 1


def test_a_process_that_sees_one_device_takes_it(monkeypatch):
    """Eight of a machine's, of which a scheduler shows each its own, or two for three."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Ranks(7, 8, 7, 8).device("cuda") == "cuda:0"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [Ranks(n, 3, n, 3).device("cuda") for n in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]


def test_alone_work_and_values_are_its_own():
    assert ranks.ALONE.gathered("x") == ["x"]
    assert ranks.ALONE.each(lambda: 3) == 3
    ranks.ALONE.agreed("says something else", 3)
    with pytest.raises(KeyError, match="'none'"):
        ranks.ALONE.each(lambda: {}["none"])
