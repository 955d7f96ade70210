"""The console is read up to a line that matters, or to the guest's end."""

import socket
from collections.abc import Iterator

import pytest

from lab.errors import CannotRun
from lab.places.appliance.serial import USERLAND_UP, Console


@pytest.fixture
def ends() -> Iterator[tuple[Console, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield Console(here), there


Ends = tuple[Console, socket.socket]


def test_a_line_may_come_in_pieces(ends: Ends) -> None:
    console, guest = ends
    guest.sendall(b"booting\r\n" + USERLAND_UP[:7])
    assert console.read()
    assert not console.shows(USERLAND_UP)
    guest.sendall(USERLAND_UP[7:])
    console.wait_for(USERLAND_UP, 10)


def test_the_guests_end_is_told_with_its_last_line(ends: Ends) -> None:
    console, guest = ends
    guest.sendall(b"first\r\nthe last line\r\n")
    guest.close()
    with pytest.raises(CannotRun, match="ended while it booted: the last line"):
        console.wait_for(USERLAND_UP, 10)


def test_a_panic_is_told_rather_than_what_came_after(ends: Ends) -> None:
    console, guest = ends
    guest.sendall(b"[ 1.0] Kernel panic - not syncing: why\r\n[ 1.1] Kernel Offset: 0\r\n")
    guest.close()
    with pytest.raises(CannotRun, match="Kernel panic - not syncing: why"):
        console.wait_for(USERLAND_UP, 10)


def test_a_guest_that_gives_up_is_not_waited_for(ends: Ends) -> None:
    console, guest = ends
    guest.sendall(b"l2tp-lab: cannot boot: insmod ext4.ko\r\n")
    with pytest.raises(CannotRun, match=r"insmod ext4\.ko"):
        console.wait_for(USERLAND_UP, 10)


def test_a_silent_guest_has_a_deadline(ends: Ends) -> None:
    console, _ = ends
    with pytest.raises(CannotRun, match=r"did not come up.*nothing printed"):
        console.wait_for(USERLAND_UP, 0.0)
