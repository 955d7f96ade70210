"""Sessions with their pppd: started together, ended in the one order that leaves nothing."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from l2tp.dataplane import DataPlane, SessionOptions
from l2tp.log import EventLog
from l2tp.ppp.exits import NOT_SET_UP, SILENT_PEER, PppExit, name_network_protocol
from l2tp.ppp.home import PppHome
from l2tp.ppp.options import PppCall, PppSettings, render_options
from l2tp.ppp.phases import Notice, Phase, PppState, parse_notice
from l2tp.ppp.pppd import Pppd
from l2tp.protocol.constants import CallResult
from l2tp.protocol.errors import KernelError, L2tpError

_CHUNK: Final = 65536
# With "debug" pppd prints packets; it hides PAP's password itself, but not CHAP's answer.
_PROOF: Final = re.compile(r"(\[CHAP Response id=\S+ )<[0-9a-f]+>")


class SessionSocket(Protocol):
    """A session's socket as pppd needs it."""

    def fileno(self) -> int:
        """Return the descriptor that the pppol2tp plugin takes."""

    def channel(self) -> int:
        """Make the session a PPP channel; returns its number."""


class PppDataPlane(DataPlane, Protocol):
    """A data plane whose sessions are sockets that a pppd can be given."""

    def session(self, local_tunnel_id: int, local_session_id: int) -> SessionSocket:
        """Return an open session; raises KernelError for one that is not there."""

    def has_tunnel(self, local_tunnel_id: int) -> bool:
        """Tell whether a tunnel is open."""

    def shares_ports(self) -> bool:
        """Tell whether tunnels may have the same addresses and the same ports."""


@dataclass(slots=True, eq=False)
class Session:
    """One session and its pppd."""

    call: PppCall
    peer_session_id: int
    pppd: Pppd
    data: SessionOptions
    ppp: PppState = field(default_factory=PppState)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    killer: asyncio.TimerHandle | None = None
    deadline: asyncio.TimerHandle | None = None
    verdict: PppExit | None = None
    """Why we end its PPP, where pppd's own status could not say it."""
    families: set[str] = field(default_factory=set)
    """The families ("ipv4", "ipv6") that are up with their addresses and routes."""
    ready: bool = False
    """Every family that is wanted is up."""

    @property
    def local_tunnel_id(self) -> int:
        """Return the id of the session's tunnel."""
        return self.call.local_tunnel_id

    @property
    def local_session_id(self) -> int:
        """Return the session's id."""
        return self.call.local_session_id


def numbered(data: SessionOptions) -> SessionOptions:
    """Return the options with numbers required both ways."""
    return replace(data, send_sequence=True, receive_sequence=True)


class Sessions:
    """Opens sessions in the tunnels of a data plane, each with a pppd, and ends them.

    ``on_notice`` hears of a session's PPP going up and down, ``on_end`` when its pppd, its
    interface and its socket are gone.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        plane: PppDataPlane,
        home: PppHome,
        pppd: Path,
        settings: PppSettings,
        options: SessionOptions,
        grace_s: float,
        log: EventLog,
        on_notice: Callable[[Session, Notice], None],
        on_end: Callable[[Session, PppExit], None],
    ) -> None:
        self._loop = loop
        self._plane = plane
        self._home = home
        self._pppd = pppd
        self._settings = settings
        self._data = options
        self._grace_s = grace_s
        self._log = log
        self._on_notice = on_notice
        self._on_end = on_end
        self._sessions: dict[tuple[int, int], Session] = {}
        self._events = home.open_events()
        self._unread = b""
        loop.add_reader(self._events, self._read_notices)

    def of_tunnel(self, local_tunnel_id: int) -> list[Session]:
        """Return the tunnel's sessions that are not gone yet."""
        return [one for one in self._sessions.values() if one.local_tunnel_id == local_tunnel_id]

    def find(self, local_tunnel_id: int, local_session_id: int) -> Session | None:
        """Return a session that is not gone yet, or None."""
        return self._sessions.get((local_tunnel_id, local_session_id))

    def __iter__(self) -> Iterator[Session]:
        """Iterate over the sessions that are not gone yet."""
        return iter(tuple(self._sessions.values()))

    def open(self, call: PppCall, peer_session_id: int) -> Session:
        """Open a session in an open tunnel and start its pppd; raises KernelError.

        Asking for the channel at once makes the kernel queue what the peer sends before pppd
        is there (32 frames); without a channel it would go to the socket, where nobody reads.
        """
        ids = call.local_tunnel_id, call.local_session_id
        data = numbered(self._data) if call.sequencing else self._data
        self._plane.create_session(*ids, peer_session_id, data)
        try:
            kernel = self._plane.session(*ids)
            kernel.channel()
            text = render_options(self._settings, call, kernel.fileno(), data)
            options = self._home.write_options(call.session, text)
        except BaseException:
            self._plane.close_session(*ids)
            raise
        pppd = Pppd(
            self._loop,
            self._pppd,
            on_line=lambda line: self._log_line(session, line),
            on_exit=lambda end: self._ended(session, end),
        )
        session = Session(call, peer_session_id, pppd, data)
        self._sessions[ids] = session
        session.deadline = self._loop.call_later(
            self._settings.setup_timeout_s, self._give_up, session
        )
        # After what is due to be sent: the peer need not wait for our fork.
        self._loop.call_soon(self._start, session, options, kernel.fileno())
        return session

    def reconfigure(
        self, *, pppd: Path, settings: PppSettings, options: SessionOptions, grace_s: float
    ) -> None:
        """Open further sessions like this; those that are open stay as they are."""
        self._pppd = pppd
        self._settings = settings
        self._data = options
        self._grace_s = grace_s

    def number(self, session: Session) -> None:
        """Number a session's data both ways from now on (RFC 2661 §5.4); raises KernelError."""
        session.data = numbered(session.data)
        ids = session.local_tunnel_id, session.local_session_id
        self._plane.configure_session(*ids, session.data)

    def end(self, session: Session, verdict: PppExit | None = None) -> None:
        """End a session's PPP in order, by force when it takes longer than the grace time.

        ``verdict`` is why, unless somebody asked for it; the first one counts.
        """
        if session.killer is None:
            session.verdict = verdict
            session.pppd.terminate()
            session.killer = self._loop.call_later(self._grace_s, session.pppd.kill)

    def _give_up(self, session: Session) -> None:
        """End a session on which no network protocol came up in time.

        An answering pppd waits for the caller's first LCP packet for ever.
        """
        if session.ppp.phase in (Phase.ESTABLISH, Phase.NETWORK):
            self.end(session, SILENT_PEER if self._heard_nothing(session) else NOT_SET_UP)

    def _heard_nothing(self, session: Session) -> bool:
        ids = session.local_tunnel_id, session.local_session_id
        try:
            return self._plane.statistics(*ids).rx_packets == 0
        except KernelError:
            return False

    async def close(self) -> None:
        """Kill the pppds that still run, and wait until the kernel has taken their interfaces."""
        for session in self:
            session.pppd.kill()
        await asyncio.gather(*(session.ended.wait() for session in self))
        self._loop.remove_reader(self._events)
        os.close(self._events)

    def _start(self, session: Session, options: Path, session_fd: int) -> None:
        try:
            session.pppd.start(options, session_fd)
        except L2tpError as error:
            self._log_line(session, str(error))
            self._ended(session, PppExit(-1, str(error), CallResult.GENERAL_ERROR))

    def _ended(self, session: Session, end: PppExit) -> None:
        # Its last scripts have run: what they said comes before the end.
        self._read_notices()
        session.ppp.phase = Phase.DEAD
        for timer in (session.killer, session.deadline):
            if timer is not None:
                timer.cancel()
        end = name_network_protocol(session.verdict or end, self._settings.families)
        self._home.remove_options(session.call.session)
        ids = session.local_tunnel_id, session.local_session_id
        self._plane.close_session(*ids)
        del self._sessions[ids]
        self._log.write(
            "PppExited",
            local_tunnel_id=session.local_tunnel_id,
            local_session_id=session.local_session_id,
            status=end.status,
            cause=end.cause,
        )
        session.ended.set()
        self._on_end(session, end)

    def _log_line(self, session: Session, line: str) -> None:
        self._log.write(
            "PppdSaid",
            local_tunnel_id=session.local_tunnel_id,
            local_session_id=session.local_session_id,
            line=_PROOF.sub(r"\1<hidden>", line),
        )

    def _read_notices(self) -> None:
        try:
            data = os.read(self._events, _CHUNK)
        except BlockingIOError:
            return
        lines = (self._unread + data).split(b"\n")
        self._unread = lines.pop()
        for line in lines:
            notice = parse_notice(line.decode(errors="replace"))
            session = self._by_name(notice.session) if notice else None
            if notice is not None and session is not None:
                session.ppp.apply(notice)
                self._on_notice(session, notice)

    def _by_name(self, name: str) -> Session | None:
        return next((one for one in self._sessions.values() if one.call.session == name), None)
