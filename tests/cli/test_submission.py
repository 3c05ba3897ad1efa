"""Jobs of this machine's by submitit, and of a Slurm that is three scripts in the PATH."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
import submitit

from camx.cli import jobs, submission
from camx.cli.jobs import JOB, Job
from camx.cli.submission import SubmitOptions
from camx.evaluators import fields

TORCHRUN = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip
# A module in camx's place: what a rank knows goes into a file, the first word says what it does.
STANDIN = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from camx.evaluators import stopping

rank = os.environ["RANK"]
attempt = len(list(Path("seen").glob(f"{rank}-*")))
names = ("CUDA_VISIBLE_DEVICES", "CAMX_JOB", TORCHRUN)
said = {name: os.environ.get(name) for name in names}
said |= {"words": sys.argv[1:], "cwd": os.getcwd()}
Path("seen").mkdir(exist_ok=True)
Path(f"seen/{rank}-{attempt}").write_text(json.dumps(said))
print(f"process {rank}")
what, *rest = sys.argv[1:]
if what == "fail" and rank in rest:
    print("error: so it is", file=sys.stderr)
    sys.exit(3)
if what == "time" and attempt < int(rest[0]):
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.SIGUSR2)
    try:
        child.wait(0.2)
    except subprocess.TimeoutExpired:
        child.kill()  # it lives
    else:
        sys.exit(4)
    try:
        with stopping.heeded(), stopping.patiently():
            os.kill(os.getpid(), signal.Signals[rest[1]])
            while not stopping.asked():
                time.sleep(0.01)
    except stopping.Stopped as stop:
        sys.exit(stop.code)
""".replace("TORCHRUN", ", ".join(map(repr, TORCHRUN)))


@pytest.fixture
def standin(tmp_path, monkeypatch):
    """Submit the stand-in with words, `each` processes of it, and give the job."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/standin.py").write_text(STANDIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)
    for name in (*TORCHRUN, "CUDA_VISIBLE_DEVICES", JOB):
        monkeypatch.delenv(name, raising=False)

    def run(*words, cluster="local", each=2, **said):
        asked = SubmitOptions(submit=cluster, gpus_per_node=each, **said)
        job = Job(words, tmp_path, os.environ.get("CUDA_VISIBLE_DEVICES"), "standin")
        return submission.handed(job, cluster, tmp_path / "submit", asked.parameters("standin"))

    return run


def seen(folder, attempt=0):
    """What each rank of an attempt had in its environment, by rank."""
    paths = sorted((folder / "seen").glob(f"*-{attempt}"))
    return [json.loads(path.read_text()) for path in paths]


@pytest.mark.slow
def test_a_task_is_a_rank(standin, tmp_path, monkeypatch, capsys):
    """As torchrun would have it, in the folder and with the GPUs of the submission."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    monkeypatch.setenv("MASTER_PORT", "1")
    job = standin("work", "--out", "a b")
    assert submission.followed(job) == 0
    first, second = seen(tmp_path)
    assert (
        (first["RANK"], second["RANK"]) == ("0", "1") == (first["LOCAL_RANK"], second["LOCAL_RANK"])
    )
    for one in (first, second):
        assert (one["WORLD_SIZE"], one["LOCAL_WORLD_SIZE"]) == ("2", "2")
        assert (one["words"], one["cwd"]) == (["work", "--out", "a b"], str(tmp_path))
        assert (one["CUDA_VISIBLE_DEVICES"], one[JOB]) == ("2,5", job.job_id)
        assert one["MASTER_ADDR"] == "127.0.0.1"
        assert int(one["MASTER_PORT"]) in jobs.PORTS
    assert first["MASTER_PORT"] == second["MASTER_PORT"]
    assert capsys.readouterr().out == "process 0\n"


@pytest.mark.slow
def test_a_rank_that_fails_fails_the_job(standin, tmp_path, capsys):
    """Its exit code and its line are passed on; to submitit the job failed."""
    job = standin("fail", "0")
    assert submission.followed(job) == 3
    assert capsys.readouterr().err == "error: so it is\n"
    assert isinstance(job.exception(), submitit.core.utils.FailedJobError)
    assert submission.followed(standin("fail", "1")) == 3


@pytest.mark.slow
def test_a_job_whose_time_is_up_goes_on(standin, tmp_path):
    """The signal that submitit asks for ends each rank as SIGTERM would, and not the processes that
    it started; then the job is run again, with the same words.
    """
    assert submission.followed(standin("time", "1", "SIGUSR2")) == 0
    assert [one["RANK"] for one in seen(tmp_path, 1)] == ["0", "1"]
    assert seen(tmp_path, 1)[0]["words"] == ["time", "1", "SIGUSR2"]
    assert not seen(tmp_path, 2)


def test_processes_of_this_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # submitit's
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    jobs._shared(None, 2)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    jobs._shared("", 9)  # none are to be seen; the threads were said before
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"]) == ("", "3")


# Slurm, as far as submitit uses it: tasks of a batch script, each with its numbers.
SBATCH = """#!/bin/sh
cp "$1" script
export SLURM_JOB_ID=77
sh -c 'sh script; if [ -e requeued ]; then sh script; fi; touch ended' >/dev/null 2>batch.err &
echo Submitted batch job 77
"""
SRUN = """#!/bin/sh
echo "$@" >>srun.said
while [ "${1#--}" != "$1" ]; do
    case $1 in --output|--error) eval "${1#--}=\\$2"; shift;; esac
    shift
done
export SLURM_NTASKS=4 SLURM_JOB_NUM_NODES=2 SLURM_JOB_NODELIST='gpu-[07-08]'
for rank in 0 1 2 3; do
    place() { echo "$1" | sed "s/%j/77/;s/%t/$rank/"; }
    SLURM_PROCID=$rank SLURM_NODEID=$((rank / 2)) SLURM_LOCALID=$((rank % 2)) \\
        "$@" >>"$(place "$output")" 2>>"$(place "$error")" &
done
wait
"""
SCONTROL = """#!/bin/sh
case "$1" in
requeue) echo "$@" >>requeued;;
show) if [ -e preempted ]; then cat preempted; else echo "  EligibleTime=x PreemptTime=None"; fi;;
esac
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "scontrol": SCONTROL}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def wait_for(path):
    subprocess.run(["sh", "-c", f"until [ -e {path} ]; do sleep 0.1; done"], timeout=60, check=True)


@pytest.mark.slow
def test_slurm_s_tasks_are_ranks_of_all_machines(standin, slurm, tmp_path, monkeypatch):
    """They meet on the first of them, keep the GPUs that Slurm gave, and are queued again."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    standin("time", "1", "SIGUSR2", cluster="slurm", nodes=2)
    wait_for(tmp_path / "ended")
    assert (tmp_path / "requeued").read_text() == "requeue 77\n"
    for attempt in (0, 1):
        ranks = seen(tmp_path, attempt)
        assert [one["RANK"] for one in ranks] == ["0", "1", "2", "3"]
        assert [one["LOCAL_RANK"] for one in ranks] == ["0", "1", "0", "1"]
        for name, value in {
            "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "gpu-07",
            "CUDA_VISIBLE_DEVICES": "0,1", JOB: "77", "words": ["time", "1", "SIGUSR2"],
        }.items():  # fmt: skip
            assert {str(one[name]) for one in ranks} == {str(value)}
    log = (tmp_path / "submit/77_0_log.out").read_text()
    assert log.count("process 0") == 2
    assert (tmp_path / "submit/77_3_log.out").read_text().count("process 3") == 2


@pytest.mark.slow
@pytest.mark.parametrize("preempted", [True, False])
def test_a_job_that_slurm_preempts_goes_on_and_a_cancelled_one_does_not(
    standin, slurm, tmp_path, preempted
):
    """Slurm sends SIGTERM for both."""
    if preempted:
        (tmp_path / "preempted").write_text("  EligibleTime=x PreemptTime=2026-11-30T08:30:40\n")
    standin("time", "1", "SIGTERM", cluster="slurm", nodes=2)
    wait_for(tmp_path / "ended")
    assert (tmp_path / "requeued").exists() == preempted
    assert len(seen(tmp_path, 1)) == 4 * preempted


def lines(script):
    """The options of a batch script."""
    return {line.removeprefix("#SBATCH --") for line in script.splitlines() if "#SBATCH" in line}


def test_what_sbatch_is_asked_for(standin, slurm, tmp_path):
    further = ("account=lab", "mem=64G", "exclusive", "gpus-per-node=a100:8")
    standin("work", cluster="slurm", nodes=4, each=8, cpus_per_task=6, partition="gpu",
            time="1-12:00:00", slurm=further)  # fmt: skip
    script = (tmp_path / "script").read_text()
    assert lines(script) >= {
        "nodes=4", "ntasks-per-node=8", "gpus-per-node=a100:8", "cpus-per-task=6", "partition=gpu",
        "time=2160", "account=lab", "mem=64G", "exclusive", "job-name=standin", "signal=USR2@90",
        "open-mode=append",
    }  # fmt: skip
    assert "--kill-on-bad-exit=1 --cpus-per-task=6 " in script
    wait_for(tmp_path / "ended")


def test_what_is_not_said_is_slurm_s(standin, slurm, tmp_path):
    standin("work", cluster="slurm", each=None)
    script = (tmp_path / "script").read_text()
    assert {"nodes=1", "ntasks-per-node=1", "time=1440"} <= lines(script)
    assert not [word for word in ("gpus", "cpus", "partition") if word in script]
    wait_for(tmp_path / "ended")


def test_what_sbatch_refuses_is_one_line(standin, slurm, tmp_path, capsys):
    (tmp_path / "bin/sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: no partition' >&2\nexit 1\n"
    )
    with pytest.raises(click.ClickException, match=r"^not submitted: sbatch: error: no partition$"):
        standin("work", cluster="slurm")
    assert capsys.readouterr() == ("", "")


def test_without_slurm(standin, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(click.ClickException, match=r"needs sbatch and srun.* not in this"):
        standin("work", cluster="slurm")


def test_without_submitit(camx, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    done = camx("localize", "--submit", "local", code=1)
    assert done.stderr == "error: --submit needs submitit; pip install 'camx[slurm]'\n"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("0:30", 1), ("90:00", 90), ("1:00:00", 60), ("12:30:01", 751), ("2-0", 2880),
     ("1-12:30", 2190), ("1-02:00:30", 1561)],
)  # fmt: skip
def test_a_limit_of_time_is_read_as_slurm_reads_it(text, minutes):
    assert submission.minutes(text) == minutes


@pytest.mark.parametrize("text", ["", "0", "soon", "1h", "-5", "1:2:3:4", "1-", "1.5", "0:00:00"])
def test_what_is_no_limit_of_time_is_named(text):
    with pytest.raises(ValueError, match=f"^time is '{text}'; accepted: minutes, H:MM:SS or"):
        submission.minutes(text)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (["--nodes", 4], "--nodes is a job's; add --submit slurm or local"),
        (["--cpus-per-task", 4], "--cpus-per-task is a job's"),
        (["--slurm", "qos=high"], "--slurm is a job's"),
        (["--time", "soon"], "time is 'soon'; accepted: minutes"),
        (["--submit", "local", "--nodes", 2], "this machine alone, not --nodes 2"),
        (["--submit", "slurm", "--slurm", "--qos=x"], "--slurm '--qos=x' is not KEY or KEY=VALUE"),
        (["--submit", "slurm", "--slurm", "qos="], "--slurm 'qos=' is not KEY or KEY=VALUE"),
        (["--submit", "slrum"], "'slrum' is not one of 'slurm', 'local'"),
        (["--submit", "local", "--set", "threshold"], "'threshold' is not FIELD=VALUE"),
        (["--submit", "local", "--limit", 0], "--limit"),
    ],
)  # fmt: skip
def test_wrong_usage_is_seen_before_submission(camx, tmp_path, said, word):
    done = camx("localize", *said, code=2)
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_processes_that_torchrun_started_do_not_submit(camx, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    done = camx("train", "wsol", "--submit", "local", code=2)
    assert "--submit is one process's, but torchrun started 2" in done.stderr


@pytest.mark.slow
def test_a_command_is_a_job_of_two_ranks(camx, tmp_path, monkeypatch):
    """By the command itself: one run, which its first process opens, describes and prints."""
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ["localize", "--set", "view=resize", "--method", "layercam", "--layer", "S5"]
    words += ["--limit", 4, "--workers", 1, "--out", "two"]
    words += ["--submit", "local", "--gpus-per-node", 2, "--device", "cpu"]
    done = camx(*words)
    assert done.stdout.startswith("job ")
    assert ": 1 machine x 2 processes\nlogs: two/submit/" in done.stdout
    assert done.stdout.count("records: two/records") == 1
    described = json.loads((tmp_path / "two/run.json").read_text())
    assert described["processes"] == 2
    assert described["counts"] == {"images": 4, "records_written": 4}
    assert len(list((tmp_path / "two/records").glob("*.parquet"))) == 2
    assert len(described["invocations"]) == 1
    assert described["invocations"][0]["command_line"] == [*map(str, words)]


def handed(monkeypatch):
    """What would be submitted, by name, into a dictionary."""
    given = {}

    def hand(command, cluster, folder, parameters):
        given.update(command=command, cluster=cluster, folder=folder, parameters=parameters)
        return submitit.core.core.Job(folder, job_id="7")

    monkeypatch.setattr(submission, "handed", hand)
    return given


FILE = "submit: slurm\nnodes: 2\nslurm: [qos=high]\nlimit: 3\n"
WORDS = (
    "localize", "--config", "job.yaml", "--nodes=3", "--gpus-per-node", "8", "--out", "o p",
    "--method", "layercam", "--layer", "S5", "--set", "view=resize", "--no-summary",
)  # fmt: skip


def test_the_command_line_is_handed_on_as_it_is(camx, monkeypatch, tmp_path):
    given = handed(monkeypatch)
    (tmp_path / "job.yaml").write_text(FILE)
    done = camx(*WORDS)
    assert given["command"] == Job(WORDS, tmp_path, os.environ.get("CUDA_VISIBLE_DEVICES"))
    assert (given["cluster"], given["folder"]) == ("slurm", Path("o p/submit"))
    told = given["parameters"]
    assert (told["nodes"], told["gpus_per_node"], told["name"]) == (3, 8, "camx-localize")
    assert told["slurm_additional_parameters"] == {"qos": "high"}
    assert done.stdout.splitlines() == [
        "job 7: 3 machines x 8 processes, each with a GPU",
        "logs: o p/submit/7_0_log.out and .err, of each process by number",
        "follow: squeue -j 7; tail -F 'o p/submit'/7_0_log.*",
        "then: camx tables --runs 'o p'",
    ]


@pytest.mark.slow
def test_in_a_job_nothing_is_submitted(camx, monkeypatch, tmp_path):
    """Whatever the command line and a file say; the run's options are those of any other."""
    given = handed(monkeypatch)
    (tmp_path / "job.yaml").write_text(FILE)
    monkeypatch.setenv(JOB, "7")
    camx(*WORDS)
    assert not given
    described = json.loads((tmp_path / "o p/run.json").read_text())["invocations"][-1]
    assert described["command_line"] == [*WORDS]
    assert not set(described["options"]) & set(fields.of(SubmitOptions))


@pytest.mark.slow
def test_a_dry_run_submits_nothing(camx, monkeypatch, tmp_path):
    given = handed(monkeypatch)
    line = ("--submit", "slurm", "--nodes", 2, "--limit", 1, "--layer", "S5")
    done = camx("localize", *line, "--method", "layercam", "--set", "view=resize", "--dry-run")
    assert not given
    assert "time    about" in done.stdout
    assert done.stdout.endswith("not submitted: slurm, 2 machines x 1 process, each with no GPU\n")
    assert not (tmp_path / "results").exists()


def test_a_signal_ends_a_job_of_this_machine(monkeypatch, tmp_path):
    """It is passed on to the job, which is waited for; a second one, and the job is not."""
    sent = []
    monkeypatch.setattr(os, "kill", lambda *said: sent.append(said))

    class Stub:
        job_id = "7"
        paths = submitit.core.utils.JobPaths(tmp_path, job_id="7")
        asked = 0
        exception = staticmethod(lambda: "Ended: 143")  # by what it was sent

        def done(self):
            self.asked += 1
            if self.asked in self.stops:
                raise submission.stopping.Stopped(signal.SIGINT)
            return self.asked == 4

    stub = Stub()
    stub.stops = (2,)
    assert submission.followed(stub) == 130
    assert sent == [(7, signal.SIGTERM)]
    stub.asked, stub.stops = 0, (2, 3)
    with pytest.raises(submission.stopping.Stopped):
        submission.followed(stub)
    assert len(sent) == 3
