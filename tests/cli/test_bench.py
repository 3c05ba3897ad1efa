"""`camx bench`: what is timed and written, never how long it takes."""

import json
import statistics

import pytest

from camx.evaluators.bench import peers

SMALL = ("--model", "mini-vgg", "--batch-size", "2", "--rounds", "2", "--device", "cpu")


@pytest.fixture
def benched(camx, tmp_path):
    """Run ``camx bench WHAT`` and read its JSON; the table has a line for each thing timed."""

    def run(what, *arguments):
        done = camx("bench", what, *SMALL, "--json", "out/b.json", *arguments)
        content = json.loads((tmp_path / "out/b.json").read_text())
        for name in content["seconds"]:
            assert any(line.startswith(f"{name}  ") for line in done.stdout.splitlines()), name
        whole(content)
        return content, done

    return run


def whole(content):
    """What each file holds, whatever was timed."""
    assert content["options"]["model"] == "mini-vgg"
    assert (content["options"]["rounds"], content["options"]["batch_size"]) == (2, 2)
    assert content["device"] == "cpu"
    assert content["threads"] >= 1
    assert {"camx", "torch", "numpy"} <= content["versions"].keys()
    seconds, medians, units = (content[key] for key in ("seconds", "medians", "units"))
    assert seconds.keys() == medians.keys() == units.keys() == content["against"].keys()
    assert all(len(taken) == 2 and min(taken) > 0 for taken in seconds.values())
    each = {name: medians[name] / units[name] for name in seconds}
    assert content["seconds_a_unit"] == pytest.approx(each)
    for name, taken in seconds.items():
        assert medians[name] == statistics.median(taken)
        ratio = each[name] / each[content["against"][name]]
        assert content["ratios"][name] == pytest.approx(ratio)


def test_engine(benched):
    content, done = benched("engine")
    assert [*content["seconds"]] == ["bare", "camx, own gradient", "camx, next gradient"]
    assert set(content["units"].values()) == {2}
    assert set(content["against"].values()) == {"bare"}
    assert content["command_line"][:2] == ["bench", "engine"]
    assert "mini-vgg, 5 layers, batch of 2; cpu, " in done.stdout
    assert "seconds: out/b.json" in done.stdout


def test_engine_in_both_layouts(benched):
    content, _ = benched("engine", "--channels-last")
    last = {name for name in content["seconds"] if name.endswith(", channels last")}
    assert len(last) * 2 == len(content["seconds"]) == 6
    assert {content["against"][name] for name in last} == {"bare, channels last"}
    assert content["options"]["channels_last"] is True


def test_no_next_gradient_without_pools(camx):
    line = ("--model", "mini-resnet", "--batch-size", "1", "--rounds", "1")
    done = camx("bench", "engine", *line, "--format", "csv")
    header, *rows = done.stdout.splitlines()
    assert header == "row,ms an image,x bare"
    assert [row.split(",")[0].strip('"') for row in rows] == ["bare", "camx"]
    assert "camx, own gradient" in rows[1]


@pytest.mark.slow
def test_pipeline(benched, tmp_path):
    content, done = benched("pipeline", "--limit", "3", "--protocol", "single", "--workers", "1")
    names = ["maps alone", "scoring alone, one thread", "localize, end to end"]
    assert [*content["seconds"]] == names
    assert set(content["against"].values()) == {names[-1]}
    assert set(content["units"].values()) == {content["images"]} == {3}
    cells = content["cells"]
    assert f"shipped mini-vgg.safetensors), 3 images, {cells} cells, 1 workers" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no results are left


def test_what_the_pipeline_times_is_what_a_run_does(monkeypatch):
    """Each cell of each image is graded once a round, by either way."""
    from dataclasses import replace

    from camx.evaluators.bench import pipeline

    job = pipeline.job("mini", "mini-vgg", None, pipeline.protocol("single"), 3, 2, 1, 0, "cpu")
    job = replace(job, cells=job.cells[:2])
    graded, task = [], pipeline.tasks.load("localize")

    def grade(picture, grids, logits, protocol):
        graded.append((picture.sample.image_id, frozenset(grids)))
        return task.grade(picture, grids, logits, protocol)

    monkeypatch.setattr(pipeline.tasks, "load", lambda _: replace(task, grade=grade))
    timing = pipeline.measured(job, 1)
    every = {(s.image_id, frozenset((*job.cells, *job.nulls))) for s in job.samples}
    assert set(graded) == every
    assert len(graded) == 3 * 2 * 2  # images, rounds with the first, ways
    assert set(timing.units.values()) == {3}


@pytest.mark.slow
def test_the_pipeline_of_processes(benched):
    line = ("--limit", "3", "--protocol", "single", "--workers", "1", "--processes")
    content, _ = benched("pipeline", *line)
    assert [*content["seconds"]][2:] == ["localize, end to end", "the same, worker processes"]
    assert content["options"]["processes"] is True


@pytest.mark.slow
def test_a_network_without_shipped_weights_draws_them(camx):
    line = ("--model", "resnet18", "--limit", "1", "--rounds", "1")
    done = camx("bench", "pipeline", *line, "--protocol", "single")
    assert "resnet18 (drawn weights), 1 images" in done.stdout


@pytest.mark.slow
def test_peers(benched):
    there = peers.installed()
    if not there:
        pytest.skip("extra `bench` is not installed")
    content, done = benched("peers")
    assert content["packages"].keys() == {peer.name for peer in there}
    for peer in there:
        methods = ", ".join(peer.classes)
        name, base = f"{peer.name}: {methods}", f"camx: {methods}"
        assert content["against"][name] == content["against"][base] == base
        assert content["units"][name] == content["units"][base] == 2 * 5 * len(peer.classes)
    assert done.stderr.splitlines() == [s for s in [peers.absent(there)] if s]


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_peer_is_used_as_it_wants(peer, frozen):
    """All its methods run on what they are given; the network that camx uses stays frozen."""
    from camx.evaluators.bench import subjects

    pytest.importorskip(peer.module, reason="extra `bench` is not installed")
    network = subjects.network("mini-vgg", "cpu", 0)
    timing = peers.measured(network, [peer], 2, 1, 0, "cpu", frozen)
    assert len(timing.seconds) == 2
    assert not any(p.requires_grad for p in network.module.parameters())


def test_some_packages_are_not_there(camx, monkeypatch):
    there = [peer for peer in peers.installed() if peer.name == "grad-cam"]
    if not there:
        pytest.skip("extra `bench` is not installed")
    monkeypatch.setattr(peers, "installed", lambda: there)
    done = camx("bench", "peers", *SMALL)
    assert done.stderr == "not installed: torchcam, captum (pip install 'camx[bench]')\n"
    assert "grad-cam: " in done.stdout
    assert "torchcam: " not in done.stdout


def test_none_is_there(camx, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda _: None)
    done = camx("bench", "peers", *SMALL, code=1)
    names = "grad-cam, torchcam, captum (pip install 'camx[bench]')"
    assert done.stderr == (f"error: no other package to compare with; not installed: {names}\n")


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        ("engine --rounds 0", 2, "--rounds"),
        ("engine --batch-size 0", 2, "--batch-size"),
        ("engine --device cuda:99", 2, "cannot be used here"),
        ("engine --model mini-vg", 1, "Did you mean 'mini-vgg'?"),
        ("engine --json .", 2, "--json is ., a folder"),
        ("pipeline --limit 0", 2, "--limit"),
        ("pipeline --protocol singel", 2, "Did you mean 'single'?"),
        ("pipeline --data nothing", 1, "nothing"),
        ("pipeline --model efficientnet-lite0", 1, "tells 1000 classes apart, but mini has 10"),
        ("peers --channels-last", 2, "--channels-last"),
        (
            "numerics --computing bf15",
            2,
            "unknown computing 'bf15'; accepted: channels-last, float32",
        ),
        ("numerics --computing bf16+fp16", 2, "unknown computing 'bf16+fp16'"),
        ("numerics --computing tf32 --device cpu", 2, "which cpu does not have"),
        ("engin", 2, "Did you mean 'engine'?"),
    ],
)
def test_wrong_usage(camx, line, code, word):
    done = camx("bench", *line.split(), code=code)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_numerics(benched):
    content, done = benched("numerics", "--limit", "3", "--computing", "bf16+channels-last")
    assert [*content["seconds"]] == ["default", "bf16+channels-last"]
    assert set(content["against"].values()) == {"default"}
    assert (content["images"], content["cells"], set(content["units"].values())) == (3, 25, {2})
    effects = {each["layer"]: each for each in content["effects"]}
    assert [*effects] == ["S5", "S4", "S3", "S2", "S1"]
    assert {each["computing"] for each in effects.values()} == {"bf16+channels-last"}
    assert 0 < effects["S1"]["pixels"] < 100
    assert effects["S5"]["pixels"] < effects["S1"]["pixels"]
    assert "bf16+channels-last: the network's first choice is another for 0.00 %" in done.stdout
