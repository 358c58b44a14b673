import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sppdet.errors import SppdetError, SppdetWarning
from sppdet.images import read_image
from sppdet.runtime.processes import Processes


class Odd(Exception):
    """An error that cannot be unpickled."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one}, {other}")


def raise_odd() -> None:
    raise Odd("two", "things")


def wait_for_all(processes: Processes) -> None:
    while processes.starting:
        time.sleep(0.01)


@pytest.fixture
def two() -> Iterator[Processes]:
    processes = Processes(2, os.getpid)
    wait_for_all(processes)
    yield processes
    processes.close()


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_calls_are_shared_among_processes_and_arrays_pass_both_ways(two: Processes) -> None:
    with ThreadPoolExecutor(4) as threads:
        numbers = set(threads.map(lambda _: two.call(os.getpid), range(40)))
    assert len(numbers) <= 2
    assert os.getpid() not in numbers
    array = np.arange(3_000_000, dtype=np.uint8).reshape(1000, 1000, 3)
    result = two.call(np.flip, array, 0)
    np.testing.assert_array_equal(result, array[::-1])
    assert two.call(np.zeros, (0, 4)).shape == (0, 4)


def test_while_processes_start_the_calling_thread_works() -> None:
    processes = Processes(1, time.sleep, 1.0)
    try:
        assert processes.call(os.getpid) == os.getpid()
        wait_for_all(processes)
        assert processes.call(os.getpid) != os.getpid()
    finally:
        processes.close()
    assert processes.call(os.getpid) == os.getpid()  # none is left


def test_errors_and_warnings_arrive(two: Processes) -> None:
    with pytest.raises(SppdetError, match=r"nowhere\.png: no such file"):
        two.call(read_image, "nowhere.png")
    with pytest.raises(ZeroDivisionError):
        two.call(divmod, 1, 0)
    with pytest.raises(RuntimeError, match="Odd: two, things"):
        two.call(raise_odd)
    with pytest.warns(SppdetWarning, match="odd"):
        two.call(warnings.warn, "odd", SppdetWarning)
    two.call(print, "what is printed is no answer")
    assert two.call(abs, -3) == 3


def test_a_process_that_ends_is_one_error_and_another_takes_its_place(two: Processes) -> None:
    with pytest.raises(SppdetError, match="exit code 7"):
        two.call(os._exit, 7)
    wait_for_all(two)
    assert len({two.call(os.getpid) for _ in range(10)}) == 2


def test_all_end_with_close_also_in_the_middle_of_a_call(two: Processes) -> None:
    numbers = {two.call(os.getpid) for _ in range(10)}
    raised = []

    def sleep() -> None:
        try:
            two.call(time.sleep, 60)
        except SppdetError as error:
            raised.append(error)

    thread = threading.Thread(target=sleep)
    thread.start()
    time.sleep(0.1)
    two.close()
    thread.join(5)
    assert len(raised) == 1
    assert len(numbers) == 2
    assert not any(map(alive, numbers))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_they_end_with_this_process(number: signal.Signals) -> None:
    program = (
        "import os, sys, time\n"
        "from sppdet.runtime.processes import Processes\n"
        "print('the main module runs once')\n"
        "p = Processes(1, os.getpid)\n"
        "while p.starting: time.sleep(.01)\n"
        "print(p.call(os.getpid), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"the main module runs once\n"
        worker = int(process.stdout.readline())
        os.kill(worker, signal.SIGINT)  # a process ignores Ctrl-C
        time.sleep(0.1)
        assert alive(worker)
        process.send_signal(number)
        process.wait(10)
    for _ in range(100):
        if not alive(worker):
            return
        time.sleep(0.05)
    raise AssertionError("the process goes on")
