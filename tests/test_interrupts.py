"""An interrupt waits for what must not be left half-done, and never gets lost."""

import signal
import threading

from falcon_edu.storage.interrupts import uninterrupted

import pytest


def interrupt():
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_waits_until_the_block_ends():
    done = []

    def work():
        with uninterrupted() as hold:
            assert not hold
            interrupt()
            interrupt()
            done.append(bool(hold))

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_interrupt_is_let_through_and_what_cleans_up_after_it_is_not_disturbed():
    steps = []

    def work():
        with uninterrupted() as hold:
            try:
                with hold.let_through():
                    interrupt()
                    steps.append("never")
            finally:
                interrupt()
                steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["cleaned up"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_waits_comes_where_it_is_let_through():
    steps = []

    def work():
        with uninterrupted() as hold:
            interrupt()
            steps.append("before")
            with hold.let_through():
                steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["before"]


def test_blocks_may_stand_inside_each_other():
    steps = []

    def work():
        with uninterrupted():
            with uninterrupted():
                interrupt()
            steps.append("the outer one waits on")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["the outer one waits on"]


def test_an_error_in_the_block_is_not_hidden():
    with pytest.raises(OSError, match="full"), uninterrupted():
        raise OSError("full")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_handlers_of_the_system_stay_as_they_are(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with uninterrupted():
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_is_held():
    seen = []

    def run():
        with uninterrupted() as hold, hold.let_through():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
