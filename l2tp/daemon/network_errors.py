"""What the network reports of datagrams that we sent: in the log, and who listens no more."""

from __future__ import annotations

import errno
import os
from typing import Final

from l2tp.daemon.flood_log import FloodLog
from l2tp.daemon.network_causes import explain
from l2tp.kernel.udp import NetworkReport
from l2tp.log import EventLog
from l2tp.protocol.endpoint import Endpoint
from l2tp.protocol.parameters import Address

_EVENT: Final = "NetworkError"
# Requests with forged sources make as many of them as somebody likes.
_DEAF_KEPT: Final = 4096


class NetworkErrors:
    """Takes the network's reports, for the log, for the causes of closed tunnels, and for the end.

    Of peers on whose port nobody listens the newest 4096 are remembered.
    """

    def __init__(self, log: EventLog, floods: FloodLog, endpoint: Endpoint) -> None:
        self._log = log
        self._floods = floods
        self._endpoint = endpoint
        self._deaf: dict[Address, None] = {}

    def note(self, local_tunnel_id: int | None, report: NetworkReport) -> None:
        """Take note of a report from the socket of a tunnel (None: from a listener)."""
        destination = Address(*report.destination)
        if report.errno == errno.ECONNREFUSED:
            self._remember(destination)
        text = explain(report.errno, report.text, destination)
        if self._floods.admits(_EVENT, os.strerror(report.errno)):
            self._log.write(
                _EVENT, local_tunnel_id=local_tunnel_id, destination=destination, text=text
            )
        if local_tunnel_id is not None:
            self._endpoint.note_network_error(local_tunnel_id, text)

    def heard(self, source: Address) -> None:
        """Note that somebody sends from there again."""
        self._deaf.pop(source, None)

    def is_deaf(self, peer: Address) -> bool:
        """Tell whether ICMP said that nobody listens there."""
        return peer in self._deaf

    def _remember(self, peer: Address) -> None:
        self._deaf.pop(peer, None)
        self._deaf[peer] = None
        if len(self._deaf) > _DEAF_KEPT:
            del self._deaf[next(iter(self._deaf))]
