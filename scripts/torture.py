"""Kill, starve and damage camx, and see that the final records equal an undisturbed run's.

``make torture`` prints the table of docs/reliability.md. Everything is drawn from --seed. Processes
are forked from one that has imported camx, so that a thousand of them take minutes.
"""

import argparse
import contextlib
import hashlib
import io
import multiprocessing
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import faults
import safetensors.torch
import torch
from PIL import Image

from camx.camcore import checkpoints
from camx.cli import main
from camx.evaluators import datasets, protocols, records
from camx.evaluators.miniature import dagm, ilsvrc, voc
from camx.evaluators.results import claims, tables
from camx.evaluators.tasks import localize
from camx.evaluators.tasks.localize import recipe

SECONDS = 120  # after which a process is taken to hang
# What is struck: words of a command (RUN, ROOT: its folder, and that of the undisturbed runs).
COMMANDS = {
    "localize": "localize --data ROOT/ilsvrc --model mini-vgg --protocol single --save-maps "
    "--method layercam --method gradcam --layer S5 --layer S2",
    "occlude": "occlude --data ROOT/ilsvrc --model mini-vgg --protocol single",
    "defects": "defects --data ROOT/dagm --model mini-defects --iterations 0 --limit 8 --weights "
    "ROOT/train-defects/last.safetensors",
    "pseudo": "pseudo --data ROOT/voc --model mini-vgg-voc --method layercam --layer S4 --weights "
    "ROOT/train-voc/last.safetensors",
    "train-defects": "train defects --data ROOT/dagm --model mini-defects --init none --epochs 2 "
    "--batch-size 8",
    "train-voc": "train voc --data ROOT/voc --model mini-vgg-voc --init none --epochs 1 "
    "--batch-size 4",
    "train-wsol": "train wsol --data ROOT/ilsvrc --model mini-vgg-gap --epochs 2 --epoch-steps 3 "
    "--batch-size 4",
    "segment-train": "segment train --data ROOT/voc --labels ROOT/pseudo/labels/layercam_S4 "
    "--model mini-largefov --init none --iterations 4 --batch-size 2 --log-every 2",
    "segment-predict": "segment predict --data ROOT/voc --weights "
    "ROOT/segment-train/last.safetensors",
    "segment-evaluate": "segment evaluate --data ROOT/voc --masks ROOT/segment-predict/masks",
    "tables": "tables --runs ROOT/localize --data ilsvrc",
    "claims": "claims --runs ROOT/localize --data ilsvrc",
}
ORDER = (
    "localize", "occlude", "train-defects", "defects", "train-voc", "pseudo", "train-wsol",
    "segment-train", "segment-predict", "segment-evaluate", "tables", "claims",
)  # fmt: skip
MEASURING = ("localize", "occlude", "defects", "pseudo")


@dataclass
class Campaign:
    """What one of several workers strikes, by whom nothing is shared but the undisturbed runs."""

    root: Path
    work: Path
    rng: random.Random
    names: tuple
    counts: Counter = field(default_factory=Counter)

    @property
    def log(self):
        """What the last process said."""
        return self.work / "log"

    def fault(self, kind, what):
        """Enter what should not have been."""
        self.counts[kind] += 1
        print(f"FAULT {kind}: {what}", flush=True)

    def empty(self, name):
        """The folder of a run, which is not there yet."""
        run = self.work / name
        shutil.rmtree(run, ignore_errors=True)
        return run

    def words(self, name, run):
        told = COMMANDS[name].replace("ROOT", str(self.root))
        return [*told.split(), "--out", str(run)]


def fork(work, log):
    """A process that does `work`; its output goes to a file."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):  # nohup, say, ignores some
        signal.signal(number, signal.SIG_DFL)
    try:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0), write_through=True)
        code = work() or 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:  # a test harness says everything
        os.write(2, f"TRACEBACK {type(error).__name__}: {error}".encode())
    os._exit(code)


def command(words, *strikes):
    """Run camx as its own process does, struck by what is given."""

    def work():
        torch.set_num_threads(1)
        faults.small_parts()
        for strike in strikes:
            strike()
        sys.argv = ["camx", *words]
        main.main()

    return work


def ended(pid, seconds=SECONDS):
    """How a process ended: its exit code, minus the signal, or None for one that hung."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def content(run):
    """What a run amounts to: its records by value, its other files by content."""
    told = {}
    for kind in sorted(p.name for p in run.glob("records*")):
        if kind.endswith("-nulls"):
            continue
        frame = records.read(run, kind=kind)
        told[kind] = len(frame), digest(frame.to_json(double_precision=15).encode())
    # What tells times or folders, besides numbers.
    skipped = {"run.json", ".lock", "checkpoint.pt", "timing.parquet", "curve.png", "labels.json"}
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.suffix != ".parquet" and path.name not in skipped:
            told[str(path.relative_to(run))] = digest(path.read_bytes())
    return told


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def finish(campaign, name, run, what, kind="wrong"):
    """Run a command to its end and compare with the undisturbed run; a difference is a `kind`."""
    log = campaign.log
    code = ended(fork(command(campaign.words(name, run)), log))
    said = log.read_text(errors="replace")
    if code is None:
        return campaign.fault("hung", f"{name} after {what}")
    if "Traceback" in said or "TRACEBACK" in said:
        campaign.fault("traceback", f"{name} after {what}: {said[-300:]}")
    if code:
        return campaign.fault("lost", f"{name} after {what} ends with {code}: {said[-300:]}")
    made, expected = content(run), content(campaign.root / name)
    rows = [sum(t[0] for t in of.values() if isinstance(t, tuple)) for of in (made, expected)]
    if rows[0] != rows[1]:
        campaign.fault("doubled" if rows[0] > rows[1] else "lost", f"{name} after {what}: {rows}")
    elif made != expected:
        keys = [k for k in {**made, **expected} if made.get(k) != expected.get(k)]
        campaign.fault(kind, f"{name} after {what}: {keys[:4]}")
    if left := list(run.rglob(".*.tmp")):
        campaign.fault("leftover", f"{name} after {what}: {left[0]}")
    return None


def struck(campaign, name, count, strike, what, accepted):
    """`count` times strike a command at a random place, then let it finish."""
    for _ in range(count):
        run = campaign.empty(name)
        for _ in range(campaign.rng.choice((1, 1, 2, 3))):
            log = campaign.log
            seed = campaign.rng.randrange(10**9)
            pid = fork(command(campaign.words(name, run), partial(strike, seed)), log)
            code, said = ended(pid), log.read_text(errors="replace")
            campaign.counts[what] += 1
            if code is None:
                campaign.fault("hung", f"{name}: {what}")
            elif code not in accepted:
                campaign.fault("code", f"{name}: {what} ends with {code}: {said[-200:]}")
            if "Traceback" in said or "TRACEBACK" in said:
                campaign.fault("traceback", f"{name}: {what}: {said[-300:]}")
            if what == "full disk" and code == 1 and "no space left" not in said.lower():
                campaign.fault("unnamed", f"{name}: {what}: {said[-200:]}")
        finish(campaign, name, run, what)


def writes(name):
    """About how many durable steps a command takes, of which a random one is struck."""
    return 12 if name in ("tables", "claims") else 40


def kills(campaign, count):
    """Half at the steps of a write, half at any time."""
    for name in campaign.names:
        most = writes(name)

        def at_a_write(seed, most=most):
            faults.kill(seed % most)

        def at_any_time(seed):
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, 0.02 + (seed % 1000) / 1000 * 2)

        for strike in (at_a_write, at_any_time):
            struck(campaign, name, max(1, count // 2), strike, "kill", (0, -9))


def rendering(campaign, count):
    """Kill the rendering of the miniature; the next one renders the same."""

    def render(root):
        return lambda: ilsvrc.write(root, images=6)

    whole = campaign.empty("whole")
    ended(fork(render(whole), campaign.log))
    for _ in range(count):
        root = campaign.empty("rendered")
        pid = fork(render(root), campaign.log)
        time.sleep(campaign.rng.uniform(0, 0.2))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        ended(pid)
        campaign.counts["kill"] += 1
        ended(fork(render(root), campaign.log))
        if content(root) != content(whole):
            campaign.fault("wrong", "a rendering after a kill")
        if left := list(root.parent.glob(".rendered-*.tmp")):
            campaign.fault("leftover", f"a rendering: {left[0]}")


def signals(campaign, count):
    """The four signals: each ends with its code, and the same command goes on."""
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}
    for name in campaign.names:
        for number, code in list(codes.items()) * count:

            def strike(seed, number=number):
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
                signal.setitimer(signal.ITIMER_REAL, 0.05 + (seed % 1000) / 1000 * 1.5)

            struck(campaign, name, 1, strike, "signal", (0, code))


def disks(campaign, count):
    """A full disk, one that can only be read, a clock that jumps, power that fails."""
    for name in campaign.names:
        most = writes(name) // 4

        def full(seed, most=most):
            faults.full_disk(seed % most)

        def only_read(seed, most=most):
            faults.read_only(seed % most)

        struck(campaign, name, count, full, "full disk", (0, 1))
        struck(campaign, name, count, only_read, "read-only disk", (0, 1))
        struck(campaign, name, 1, faults.clock, "clock", (0,))
        for _ in range(count):
            run, shadow = campaign.empty(name), campaign.empty("shadow")
            at = campaign.rng.randrange(writes(name))
            strike = partial(faults.power_loss, at, shadow)
            work = command(campaign.words(name, run), strike)
            ended(fork(work, campaign.log))
            campaign.counts["power loss"] += 1
            campaign.counts["files that power took"] += faults.lose_power(shadow)
            finish(campaign, name, run, "power loss")


def writers(campaign, count):
    """Two commands in one folder, of the same or another protocol: never a mix."""
    for name in (n for n in campaign.names if n in MEASURING):
        for number in range(count):
            run = campaign.empty(name)
            words = campaign.words(name, run)
            other = [*words, "--set", "gradient=own"] if number % 2 else words
            logs = [campaign.work / f"log{n}" for n in (0, 1)]
            pids = [fork(command(w), log) for w, log in zip((words, other), logs)]
            codes = [ended(pid) for pid in pids]
            said = [log.read_text(errors="replace") for log in logs]
            campaign.counts["two writers"] += 1
            if not any(code == 0 for code in codes) or None in codes:
                campaign.fault("lost", f"{name}: two writers end with {codes}: {said}")
            elif codes[0] == 0:
                finish(campaign, name, run, "two writers", "mixed")
            for code, words_said in zip(codes, said):
                if code and not ("another process" in words_said or "holds a run" in words_said):
                    campaign.fault("code", f"{name}: two writers: {words_said[-300:]}")


def ranks(campaign, count):
    """Of two processes that train together one is killed; both end, and begun again go on."""
    if "train-wsol" not in campaign.names:
        return

    def started(run):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        told |= {"GLOO_SOCKET_IFNAME": "lo"}
        logs = [campaign.work / f"log{n}" for n in (0, 1)]
        words = campaign.words("train-wsol", run)
        of = [told | {"RANK": str(n), "LOCAL_RANK": str(n)} for n in (0, 1)]
        return [
            fork(command(words, partial(os.environ.update, e)), log) for e, log in zip(of, logs)
        ]

    whole = campaign.empty("ranks")
    if codes := [code for pid in started(whole) if (code := ended(pid))]:
        campaign.fault("lost", f"two ranks end with {codes}")
    for _ in range(count):
        run = campaign.empty("struck-ranks")
        pids = started(run)
        time.sleep(campaign.rng.uniform(0.5, 4))
        os.kill(pids[campaign.rng.randrange(2)], signal.SIGKILL)
        campaign.counts["dead rank"] += 1
        for pid in pids:
            ended(pid, 20)  # one that waits for the dead is ended, as torchrun does
        if any(codes := [ended(pid) for pid in started(run)]):
            campaign.fault("lost", f"two ranks after a dead one end with {codes}")
        elif content(run) != content(whole):
            campaign.fault("wrong", "two ranks after a dead one")


def bits(campaign, count):
    """Flip bits of parts: `camx tables` refuses them, and the command mends what is deleted."""
    rng, source = campaign.rng, campaign.root / "localize"
    if not source.is_dir():
        return
    for number in range(count):
        run = campaign.empty("bits")
        shutil.copytree(source, run)
        path = rng.choice(sorted(run.glob("records*/*.parquet")))
        data = bytearray(path.read_bytes())
        place = rng.randrange(8 * len(data))
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(data))
        campaign.counts["bit"] += 1
        try:
            records.read(run)
            campaign.fault("wrong", f"bit {place} of {path.name} goes unseen")
        except ValueError as error:
            if path.name not in str(error):
                campaign.fault("unnamed", str(error))
        if number % 25 == 0:
            path.unlink()
            finish(campaign, "localize", run, "a damaged part")


def files(campaign, count):
    """Damage a file: its reader reads it or says in one line what is wrong with it."""
    sources = {name: datasets_of(campaign, name, kind) for name, kind in KINDS.items()}
    sources |= singles(campaign)
    for _ in range(count):
        paths, read = sources[campaign.rng.choice(sorted(sources))]
        path = campaign.rng.choice(paths)
        before = path.read_bytes()
        path.write_bytes(damaged(before, campaign.rng))
        campaign.counts["bad file"] += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read()
        except (ValueError, OSError) as error:
            if "\n" in str(error):
                campaign.fault("unnamed", f"{path}: {error}")
        except Exception as error:  # what a reader must never raise
            campaign.fault("traceback", f"{path}: {type(error).__name__}: {error}")
        path.write_bytes(before)


KINDS = {"ilsvrc": "localization", "dagm": "defects", "voc": "segmentation"}


def datasets_of(campaign, name, kind):
    """The files of a data set of its own, lists and annotations four times, and its reader."""
    root = campaign.work / f"data-{name}"
    shutil.copytree(campaign.root / name, root)
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    texts = [path for path in paths if path.suffix in (".xml", ".txt", ".csv")]
    return 4 * texts + paths, partial(datasets.load, str(root), kind)


def singles(campaign):
    """Files that are read by themselves: weights, settings, a run's own."""
    shipped, work = resources.files("camx.configs"), campaign.empty("singles")
    work.mkdir()
    of = {
        "tables/I.yaml": tables.load,
        "claims.yaml": claims.load,
        "recipes/acol.yaml": recipe.load,
        "protocols/single.yaml": lambda name: protocols.load(name, "localize", localize.Protocol),
    }
    sources = {}
    for name, read in of.items():
        path = work / name.replace("/", "-")
        path.write_bytes((shipped / name).read_bytes())
        sources[name] = [path], partial(read, str(path))
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    torch.save(state, work / "a.pth")
    (work / "a.safetensors").write_bytes(safetensors.torch.save(state))
    for path in (work / "a.pth", work / "a.safetensors"):
        sources[path.name] = [path], partial(checkpoints.read, path)
    lines = [f"{name}.png,{int(name == 'b')},{name}.png,test" for name in "ab"]
    (work / "pictures.csv").write_text("\n".join(["image,defective,mask,split", *lines, ""]))
    for name in "ab":
        Image.new("L", (8, 8), 255).save(work / f"{name}.png")
    manifest = work / "pictures.csv"
    sources["manifest"] = [manifest], partial(datasets.load, str(manifest), "defects")
    if (campaign.root / "localize").is_dir():
        run = work / "run"
        shutil.copytree(campaign.root / "localize", run)
        sources["run.json"] = [run / "run.json"], partial(records.load, run)
    return sources


def damaged(data, rng):
    """Bytes as a disk, an editor or an attacker leaves them."""
    data = bytearray(data)
    way, at = rng.randrange(6), rng.randrange(len(data) + 1)
    if way == 0:
        return bytes(data[:at])
    if way == 1:
        return bytes(rng.randbytes(rng.randrange(200)))
    if way == 2:
        return bytes(data[:at] + rng.randbytes(rng.randrange(1, 20)) + data[at:])
    if way == 3:
        return bytes(data[:at] + data[at + rng.randrange(1, 50) :])
    if way == 4:
        return bytes(data + data)
    for _ in range(rng.randrange(1, 8)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def needed(commands):
    """The commands, and those whose results they are given, in their order."""
    names = set(commands)
    for name in reversed(ORDER):
        if name in names:
            words = COMMANDS[name].split()
            names |= {n for n in ORDER for w in words if f"{w}/".startswith(f"ROOT/{n}/")}
    return [name for name in ORDER if name in names]


def prepare(root, commands):
    """Small data sets in their real layouts, and each command undisturbed."""
    ilsvrc.write(root / "ilsvrc", images=6)
    ilsvrc.write_train(root / "part", images=60)
    train = "ILSVRC/Data/CLS-LOC/train"
    (root / "part" / train).rename(root / "ilsvrc" / train)
    dagm.write(root / "dagm", 4, 4)
    voc.write(root / "voc", 6, 4)
    campaign = Campaign(root, root, random.Random(0), ORDER)
    for name in needed(commands):
        code = ended(fork(command(campaign.words(name, root / name)), campaign.log))
        if code:
            said = campaign.log.read_text()[-800:]
            raise SystemExit(f"{name} fails undisturbed ({code}): {said}")


def strike(root, number, asked):
    """What worker `number` counts of its share of the campaign."""
    work = root / f"worker-{number}"
    work.mkdir()
    names = tuple(name for name in ORDER if name in asked.commands)[number :: asked.workers]
    campaign = Campaign(root, work, random.Random(asked.seed * 1000 + number), names)
    for phase, count in PHASES:
        share = count if phase in EACH else count / asked.workers
        phase(campaign, max(1, round(share * asked.scale)))
    return campaign.counts


PHASES = (
    (kills, 8), (rendering, 60), (signals, 1), (disks, 1), (writers, 4), (ranks, 4), (bits, 200),
    (files, 5000),
)  # fmt: skip
EACH = (kills, signals, disks, writers, ranks)  # their counts are of each command


def work_and_exit(send, work):
    """Send what `work` returns and end this process; what it raises is printed."""
    code = 1
    try:
        send.send(work())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="1: the whole; 0.1: a tenth")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that strike")
    parser.add_argument("--commands", nargs="+", choices=ORDER, default=ORDER)
    return parser.parse_args(arguments)


def torture(arguments=None):
    """Run the campaign and print what it counted; 1 if anything was not as it should be."""
    asked, began, counts = parsed(arguments), time.monotonic(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root, asked.commands)
        print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
        pipes = []
        for number in range(asked.workers):
            receive, send = multiprocessing.Pipe(duplex=False)
            pipes.append(receive)
            if not os.fork():
                work_and_exit(send, partial(strike, root, number, asked))
            send.close()
        for pipe in pipes:
            counts.update(pipe.recv())  # EOFError of a worker that failed
    report(counts)
    print(f"seed {asked.seed}, {time.monotonic() - began:.0f} s")
    return int(any(counts[kind] for kind in BAD))


BAD = ("lost", "doubled", "mixed", "wrong", "hung", "traceback", "code", "unnamed", "leftover")


def report(counts):
    """Two columns: what was done, then what should not have been."""
    for kind in sorted(counts.keys() - set(BAD)):
        print(f"{kind:<24}{counts[kind]:>6}")
    for kind in BAD:
        print(f"{kind:<24}{counts[kind]:>6}")


if __name__ == "__main__":
    sys.exit(torture())
