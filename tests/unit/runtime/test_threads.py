"""Worker threads that stay with the thread that uses them."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from reliableswap.runtime.threads import worker_pool


def ident() -> int:
    return threading.get_ident()


def used() -> int:
    """The worker thread of the calling thread."""
    with worker_pool() as work:
        return work.submit(ident).result()


def test_the_same_thread_works_each_time_and_another_for_each_caller() -> None:
    mine = used()
    assert mine == used()
    assert mine != ident()
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(used()))
    other.start()
    other.join()
    assert found[0] not in (mine, ident())


def test_work_inside_of_work_has_a_thread_of_its_own() -> None:
    with worker_pool() as work:
        inner = work.submit(used).result()
    assert inner not in (ident(), used())


def test_leaving_waits_for_all_work_even_after_an_error() -> None:
    done: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.05)
        done.append(number)

    def stopped() -> None:
        with worker_pool(2) as work:
            work.submit(slow, 1)
            work.submit(slow, 2)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stopped()
    assert sorted(done) == [1, 2]


def test_an_error_of_the_work_is_raised_where_the_result_is_asked_for() -> None:
    def fail() -> None:
        raise ValueError("wrong")

    with worker_pool() as work:
        future = work.submit(fail)
    with pytest.raises(ValueError, match="wrong"):
        future.result()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    used()
    child = os.fork()
    if child == 0:
        with worker_pool() as work:
            os._exit(7 if work.submit(lambda: 3).result(timeout=20) == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_threads_end_with_their_caller() -> None:
    found: list[threading.Thread] = []

    def caller() -> None:
        with worker_pool() as work:
            found.append(work.submit(threading.current_thread).result())

    thread = threading.Thread(target=caller)
    thread.start()
    thread.join()
    found[0].join(timeout=10)
    assert not found[0].is_alive()
