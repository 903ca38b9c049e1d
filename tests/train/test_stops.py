"""SIGTERM where Python drops exceptions is not lost."""

import os
import signal

import pytest

from cnnjax.train.stops import Terminated, ending_after_the_step, ending_at_once


def test_a_termination_that_was_dropped_ends_the_next_loop():
    with ending_at_once():
        with pytest.raises(Terminated):
            # As a finaliser would, pytest catches what was raised.
            os.kill(os.getpid(), signal.SIGTERM)
        with ending_after_the_step() as asked:
            assert asked.is_set()
    with ending_at_once(), ending_after_the_step() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.is_set()
