"""Routes of sessions: the newest comes first, and what cannot be is told."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from l2tp.kernel import network

SHOWN = """\
203.0.113.0/24 via 192.0.2.254 dev eth0
203.0.113.0/24 dev ppp1 scope link metric 999999991
203.0.113.0/24 dev ppp0 scope link metric 999999995
"""


def metric(prefix: str, interface: str) -> int:
    return int(network.route_command(prefix, interface).rpartition(" ")[2])


def test_the_later_interface_has_the_lower_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    indexes = {"ppp0": 70_000, "ppp1": 2_000_000}
    monkeypatch.setattr(socket, "if_nametoindex", indexes.__getitem__)
    assert 0 < metric("203.0.113.0/24", "ppp1") < metric("203.0.113.0/24", "ppp0") < 1 << 32


def test_an_interface_that_is_gone_is_told() -> None:
    with pytest.raises(network.NetworkError, match=r"cannot route 2001:db8::/64 into ppp-none: "):
        network.route_command("2001:db8::/64", "ppp-none")


def test_the_boxs_own_routes_to_the_prefix_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ip = tmp_path / "ip"
    ip.write_text(f"#!/bin/sh\ncat >{tmp_path}/asked\ncat <<END\n{SHOWN}END\n")
    ip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    commands = ["address replace 192.0.2.7/32 dev ppp1", "route replace 203.0.113.0/24 dev ppp1"]
    before = asyncio.run(network.apply(commands))
    assert before == ["203.0.113.0/24 via 192.0.2.254 dev eth0"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [*commands, "route show exact 203.0.113.0/24"]
    assert asyncio.run(network.apply([])) == []
