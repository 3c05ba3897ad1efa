"""A job's command: what each of its tasks runs, as one rank of several."""

import os
import random
import re
import runpy
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camx.evaluators import stopping

if TYPE_CHECKING:
    import submitit

JOB = "CAMX_JOB"  # in the environment of a job's tasks: nothing is submitted from there
LATE = 2.0  # seconds that one rank's signal may come after another's, which ended both
PORTS = range(20_000, 32_768)  # below those that systems give out by themselves


class Ended(SystemExit, Exception):
    """The command ended with this exit code, and so does its process.

    An `Exception` too: as such submitit keeps it as the job's failure.
    """


@dataclass(frozen=True)
class Job:
    """A command line that every task of a job runs in `folder`, as ``python -m MODULE``.

    `gpus` are those that ``CUDA_VISIBLE_DEVICES`` named where a job of this machine was submitted.
    """

    words: tuple[str, ...]
    folder: Path
    gpus: str | None = None
    module: str = "camx"

    def __call__(self) -> None:
        """Run it. `Ended` if it fails; the job is queued again where Slurm ends it.

        Its time being up, a signal says so some time before, and the command ends as at SIGTERM.
        """
        import submitit

        task = submitit.JobEnvironment()
        os.environ.update(place(task))
        if task.cluster == "local":
            _shared(self.gpus, task.num_tasks)
        os.chdir(self.folder)
        number = getattr(signal, f"SIG{task.USR_SIG}")
        queue_again: Any = signal.getsignal(number)
        received = _ending(number)
        code = run(self.module, self.words)
        if code == 128 + signal.SIGTERM and _put_back(task, received):
            queue_again(number, None)  # the first task's does, and ends it
        elif code:
            raise Ended(code)

    def checkpoint(self) -> Any:
        """What is queued again: the same command, which goes on from its records."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _ending(number: int) -> threading.Event:
    """From now on this signal ends the command as SIGTERM does; the event says that it came.

    It is waited for in a thread and blocked otherwise, in the processes that the command starts,
    too: Slurm sends it to all of them, and it would kill those that do not know it.
    """
    received = threading.Event()

    def end(*_: Any) -> None:
        received.set()
        if not stopping.asked():  # a second signal would not wait
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(number, end)  # a library's thread, begun before, does not block it
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    threading.Thread(target=lambda: end(signal.sigwait({number})), daemon=True).start()
    return received


def _put_back(task: "submitit.JobEnvironment", received: threading.Event) -> bool:
    """Whether the time is up, or Slurm needs the machines for another job, and not a person's
    ``scancel`` ended the command. A preempted job that ends by itself would count as failed.
    """
    if received.is_set() or task.cluster == "local":
        return received.is_set()
    asked = ["scontrol", "show", "job", task.job_id]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return bool(re.search(r"\bPreemptTime=(?!None)\S", said)) or received.wait(LATE)


def place(task: "submitit.JobEnvironment") -> dict[str, str]:
    """What ``torchrun`` would say in a task's environment, and that it is a job's."""
    alone = task.num_nodes == 1
    return {
        "RANK": str(task.global_rank),
        "WORLD_SIZE": str(task.num_tasks),
        "LOCAL_RANK": str(task.local_rank),
        "LOCAL_WORLD_SIZE": str(task.num_tasks // task.num_nodes),
        "MASTER_ADDR": "127.0.0.1" if alone else task.hostnames[0],
        "MASTER_PORT": str(random.Random(task.job_id).choice(PORTS)),
        JOB: task.job_id,
    }


def _shared(gpus: str | None, count: int) -> None:
    """The GPUs, which submitit hides from processes of this machine, and the cores shared out."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))


def run(module: str, words: tuple[str, ...]) -> int:
    """The exit code of ``python -m MODULE WORDS`` in this process, which signals reach once."""
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
