"""Which sessions have a radvd: started when IPv6 is up on one, ended with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from l2tp.log import EventLog
from l2tp.ppp.advertiser import Advertiser, advertisement
from l2tp.ppp.home import PppHome
from l2tp.protocol.errors import L2tpError

if TYPE_CHECKING:
    from l2tp.ppp.sessions import Session


class Advertising:
    """Advertises prefixes on sessions' interfaces, one radvd each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, home: PppHome, log: EventLog) -> None:
        self._loop = loop
        self._home = home
        self._log = log
        self._running: dict[Session, Advertiser] = {}

    def start(self, session: Session, prefix: str, mtu: int) -> None:
        """Advertise ``prefix`` on a session's interface; what goes wrong is logged."""
        interface = session.ppp.interface
        if interface is None or session in self._running:
            return
        text = advertisement(interface, prefix, mtu)
        files = self._home.write_advertisement(session.call.session, text)
        advertiser = Advertiser(
            self._loop,
            on_line=lambda line: self._write(session, "RadvdSaid", line=line),
            on_exit=lambda status: self._ended(session, status),
        )
        try:
            advertiser.start(*files)
        except L2tpError as error:
            self._write(session, "NetworkFailed", family="ipv6", cause=str(error))
            return
        self._running[session] = advertiser
        self._write(session, "PrefixAdvertised", prefix=prefix, interface=interface)

    def stop(self, session: Session) -> None:
        """End a session's radvd, if it has one."""
        advertiser = self._running.pop(session, None)
        if advertiser is not None:
            advertiser.stop()

    def _ended(self, session: Session, status: int) -> None:
        if self._running.pop(session, None) is not None:
            self._write(
                session,
                "NetworkFailed",
                family="ipv6",
                cause=f"radvd ended with status {status}: its prefix is advertised no more",
            )

    def _write(self, session: Session, event: str, **fields: object) -> None:
        self._log.write(
            event,
            local_tunnel_id=session.local_tunnel_id,
            local_session_id=session.local_session_id,
            **fields,
        )
