"""Which lines of the kernel's log fail a test."""

from __future__ import annotations

import pytest

from tests.kernel.kernel_log import complaints


@pytest.mark.parametrize(
    "record",
    [
        "4,1,1,-;------------[ cut here ]------------\n",
        "4,1,1,-;WARNING: CPU: 0 PID: 1 at net/l2tp/l2tp_core.c:1\n SUBSYSTEM=x\n",
        "6,1,1,-;unregister_netdevice: waiting for ppp0 to become free. Usage count = 2\n",
        "3,1,1,-;l2tp_core: l2tp: tunnel IDR not empty at net 1 exit\n",
        "6,1,1,-;Call Trace:\n",
    ],
)
def test_trouble_is_told(record: str) -> None:
    assert complaints([record]) == [record.partition(";")[2].partition("\n")[0]]


@pytest.mark.parametrize(
    "record",
    [
        "6,1,1,-;PPP generic driver version 2.4.2\n",
        "4,1,1,-;clocksource: Long readout interval, skipping watchdog check\n",
        "12,1,1,-;WARNING: a program wrote this to the log\n",
        "7,1,1,-;l2tp_core: sess 1/2: recv data has no seq numbers when required. Discarding.\n",
    ],
)
def test_what_says_nothing_of_the_driver_is_no_complaint(record: str) -> None:
    assert complaints([record]) == []
