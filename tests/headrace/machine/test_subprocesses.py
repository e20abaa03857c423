"""What the command line does with its children and with signals."""

from __future__ import annotations

import os
import signal

import pytest

from headrace.machine.subprocesses import sigterm_as_ctrl_c


def test_sigterm_is_ctrl_c_inside_and_what_it_was_after() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert signal.getsignal(signal.SIGTERM) is before
