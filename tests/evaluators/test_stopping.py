"""Signals: the first one is heeded where something ends, a second one at once."""

import os
import signal
import threading
import time

import pytest

from camx.evaluators import stopping
from camx.evaluators.stopping import Stopped


@pytest.fixture(autouse=True)
def _heard():
    """A shell's background, and nohup, have their processes ignore some of the signals."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in stopping.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def heard():
    """Wait until the signal has come."""
    while not stopping.asked():
        time.sleep(0.01)


def waited():
    """A signal may come by another thread, a moment later."""
    for _ in range(500):
        time.sleep(0.01)
    raise AssertionError("it went on")


def ended(work):
    """What ends `work` where signals are heeded."""
    try:
        with stopping.heeded():
            work()
    except (Stopped, ValueError) as end:
        return end
    return None


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_ends_what_is_not_patient(number):
    told = []

    def work():
        told.append(stopping.asked())
        send(number)
        waited()

    assert ended(work).code == 128 + number
    assert told == [False]


def test_what_is_patient_ends_by_itself(capfd):
    done = []

    def work():
        with stopping.patiently():
            send()
            heard()
            done.extend(stopping.until_asked(range(3)))
            done.append("written")
        done.append("never")

    assert ended(work).code == 143
    assert done == ["written"]
    assert "finishing what is under way" in capfd.readouterr().err


def test_items_end_with_the_one_under_way(capfd):
    done = []

    def work():
        with stopping.patiently():
            for item in stopping.until_asked(range(5)):
                done.append(item)
                if item == 2:
                    send()
                    heard()

    assert ended(work).code == 143
    assert done == [0, 1, 2]
    capfd.readouterr()


def test_a_second_signal_ends_at_once(capfd):
    done = []

    def work():
        with stopping.patiently():
            send()
            heard()
            done.append(stopping.asked())
            send(signal.SIGINT)
            waited()

    assert ended(work).code == 130
    assert done == [True]
    capfd.readouterr()


@pytest.mark.parametrize(
    ("error", "kind"), [(ValueError("damaged"), Stopped), (OSError(28, "full"), OSError)]
)
def test_an_error_that_a_library_made_of_a_signal_is_none(error, kind):
    """As readers of weights do, in whose middle a signal raised; what could not be written is."""

    def work():
        try:
            send(signal.SIGHUP)
            waited()
        except BaseException:
            raise error from None

    with pytest.raises(kind) as told, stopping.heeded():
        work()
    assert getattr(told.value, "code", 129) == 129
    with pytest.raises(ValueError, match="mine"), stopping.heeded():  # it is over then
        raise ValueError("mine")


def test_an_error_is_not_hidden_by_a_signal(capfd):
    def work():
        with stopping.patiently():
            send()
            heard()
            raise ValueError("mine")

    assert str(ended(work)) == "mine"
    capfd.readouterr()


def test_without_a_signal_nothing_ends():
    done = []

    def work():
        with stopping.patiently():
            done.extend(stopping.until_asked(range(3)))

    assert ended(work) is None
    assert done == [0, 1, 2]


def test_handlers_are_as_before():
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stopping.heeded():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not before[1]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before[2])
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before


def test_a_thread_does_not_listen():
    told = []

    def work():
        with stopping.heeded():
            told.append(stopping.asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == [False]


def test_a_launcher_s_echo_is_no_second_signal(monkeypatch):
    """Within `echo` seconds of the first; later it ends at once."""
    now = [100.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])

    def finish():
        with stopping.heeded(2.0), stopping.patiently():
            for at in (100.0, 100.5, 101.9, 102.0, 103.0):
                now[0] = at
                signal.raise_signal(signal.SIGTERM)
                assert stopping.asked()

    with pytest.raises(Stopped):
        finish()
    assert now[0] == 102.0
