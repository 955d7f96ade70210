"""The asyncio shell of a LAC or LNS: sockets, one timer, signals, the control socket.

It decides nothing about the protocol (that is l2tp.protocol) and nothing that differs between LAC
and LNS (that is their Role); it carries things between the endpoint, the kernel and pppd.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from l2tp.config.settings import DaemonConfig
from l2tp.daemon.conditions import Conditions
from l2tp.daemon.control_server import ControlServer
from l2tp.daemon.flood_log import FloodLog
from l2tp.daemon.network_errors import NetworkErrors
from l2tp.daemon.operations import Operations
from l2tp.daemon.reload import reload
from l2tp.daemon.remains import Remains
from l2tp.daemon.roles import Role
from l2tp.daemon.session_events import SessionEvents
from l2tp.daemon.sockets import UdpSockets
from l2tp.daemon.tunnel_events import TunnelEvents
from l2tp.daemon.view import View
from l2tp.log import EventLog
from l2tp.ppp.home import PppHome
from l2tp.ppp.sessions import PppDataPlane, Sessions
from l2tp.protocol.endpoint import Endpoint
from l2tp.protocol.errors import KernelError, L2tpError
from l2tp.protocol.events import (
    CallAnswered,
    CallRequested,
    DatagramDropped,
    Event,
    MessageReceived,
    MessageSent,
    PeerAddressChanged,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.protocol.parameters import Address

RoleFactory = Callable[["Daemon"], Role]


class Daemon:
    """One LAC or LNS; ``run`` until it is told to stop."""

    def __init__(
        self,
        config: DaemonConfig,
        home: PppHome,
        make_role: RoleFactory,
        plane: PppDataPlane,
        remains: Remains,
        listeners: Sequence[socket.socket] = (),
    ) -> None:
        """Prepare a daemon inside a running event loop; ``make_role`` gets it half made.

        ``remains`` notes what we have in the kernel, ``listeners`` are open UDP sockets, whose
        requests for tunnels are answered.
        """
        self.config = config
        self.home = home
        self.remains = remains
        self.view = View()
        self.log = EventLog(config.state_folder / "log.jsonl")
        self.endpoint = Endpoint(
            config.endpoint, random=random.SystemRandom(), received_data=self._received_data
        )
        self._loop = asyncio.get_running_loop()
        self._floods = FloodLog(self.log, self._loop.call_later)
        self.network_errors = NetworkErrors(self.log, self._floods, self.endpoint)
        self.sockets = UdpSockets(
            self._loop,
            receive=self._receive,
            note_error=self.network_errors.note,
            done=self.transact,
        )
        for listener in listeners:
            self.sockets.listen(listener)
        # The listener that the datagram came to which is being looked at.
        self.arrival: Address | None = None
        self.plane = plane
        self.tunnel_events = TunnelEvents(self)
        self.session_events = SessionEvents(self, home)
        self.sessions = Sessions(
            loop=self._loop,
            plane=self.plane,
            home=home,
            pppd=config.pppd,
            settings=config.ppp,
            options=config.data,
            grace_s=config.ppp_timeout_s,
            log=self.log,
            on_notice=self.session_events.ppp_noticed,
            on_end=self.session_events.ppp_ended,
        )
        self.role = make_role(self)
        self._operations = Operations(self)
        self._control = ControlServer(
            config.state_folder / "control.sock", self._operations.table(), self.log
        )
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._stop_task: asyncio.Task[None] | None = None
        self._finished = self._loop.create_future()
        self._conditions = Conditions(self._loop)
        self.until = self._conditions.until
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            TunnelRequested: self.tunnel_events.requested,
            PeerAddressChanged: self.tunnel_events.moved,
            TunnelEstablished: self.tunnel_events.established,
            TunnelClosed: self.tunnel_events.closed,
            TunnelReleased: self.tunnel_events.released,
            CallRequested: self.session_events.requested,
            CallAnswered: self.session_events.answered,
            SessionEstablished: self.session_events.established,
            SessionClosed: self.session_events.closed,
        }

    @property
    def stopping(self) -> bool:
        """Tell whether the end has begun: nothing new is taken then."""
        return self._stop_task is not None

    def now(self) -> float:
        """Return the time that the endpoint is given: seconds of the loop's monotonic clock."""
        return self._loop.time()

    async def run(self) -> None:
        """Start, serve until stopped, leave nothing behind; raises KernelError at the start."""
        self._loop.set_exception_handler(self._log_failure)
        try:
            self._log_cleared()
            self.role.start()
            await self._control.start()
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self.stop)
            self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
            self.log.write("DaemonReady", role=self.config.role)
            self.transact()
            await self._finished
        finally:
            await self._leave_off()
            if self._timer is not None:
                self._timer.cancel()
            await self.sessions.close()
            self.plane.close()
            self.sockets.close_all()
            self.remains.close()
            self._floods.close()
            self.log.write("DaemonStopped", role=self.config.role)
            await self._control.close()
            self.log.close()

    def _log_cleared(self) -> None:
        for tunnel in self.remains.cleared_tunnels:
            ids = {"local_tunnel_id": tunnel.local_tunnel_id}
            self.log.write("LeftoverRemoved", **ids, peer=tunnel.peer)
        for pid in self.remains.cleared_pids:
            self.log.write("LeftoverRemoved", pid=pid)

    def reload(self) -> dict[str, list[str]]:
        """Read the configuration again (l2tp.daemon.reload); raises what is wrong with it."""
        try:
            result = reload(self)
        except L2tpError as error:
            self.log.write("ReloadFailed", problems=str(error).splitlines())
            raise
        self.log.write("Reloaded", changed=result["changed"], needs_restart=result["needs_restart"])
        self.transact()
        return result

    def _on_hangup(self) -> None:
        with contextlib.suppress(L2tpError):  # the log has it
            self.reload()

    def stop(self) -> None:
        """Begin the orderly end; asked again, end at once."""
        if self._stop_task is None:
            self.role.close()
            self._stop_task = self._loop.create_task(self._tear_down())
        else:
            self._finish()

    async def _tear_down(self) -> None:
        await self._operations.tear_down()
        self._finish()

    async def _leave_off(self) -> None:
        """End an orderly end that nobody wants to wait for any more."""
        if self._stop_task is not None:
            self._stop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._stop_task

    def _finish(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)

    def _log_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log a fault of ours with its trace; it is no reason to end every other session."""
        error = context.get("exception")
        trace = traceback.format_exception(error) if isinstance(error, BaseException) else []
        self.log.write("InternalError", text=context["message"], trace="".join(trace))

    # Between the endpoint and the world

    def transact(self) -> None:
        """Do what the endpoint has to say: events, then datagrams, then the timer."""
        if self._busy:
            return
        self._busy = True
        try:
            while True:
                if (event := self.endpoint.next_event()) is not None:
                    self._handle(event)
                elif datagrams := self.endpoint.datagrams_to_send():
                    for datagram in datagrams:
                        if self.arrival is not None:
                            self.sockets.answer_from(datagram.local_tunnel_id, self.arrival)
                        self.sockets.send(datagram)
                else:
                    break
        finally:
            self._busy = False
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.endpoint.get_timer()
        self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._on_timer)
        self._conditions.look()

    def _on_timer(self) -> None:
        self.endpoint.handle_timer(self.now())
        self.transact()

    def _receive(
        self, data: bytes, source: Address, local_tunnel_id: int | None, local: Address
    ) -> None:
        self.network_errors.heard(source)
        self.endpoint.receive_datagram(data, source, self.now(), local_tunnel_id=local_tunnel_id)
        # A request must be answered from where it came to: now, while that is known. It may come
        # on any socket of that address, a connected one of the same peer included.
        self.arrival = local
        self.transact()
        self.arrival = None

    def _received_data(self, local_tunnel_id: int) -> int:
        """Ask the driver how many data messages a tunnel got, before a HELLO (RFC 2661 §5.5)."""
        try:
            return self.plane.statistics(local_tunnel_id).rx_packets
        except KernelError:
            return 0  # not in the kernel (yet, or any more)

    def _handle(self, event: Event) -> None:
        if isinstance(event, DatagramDropped):
            if self._floods.admits(type(event).__name__, event.reason):
                self.log.write_event(event)
        elif self.config.log_messages or not isinstance(event, MessageSent | MessageReceived):
            self.log.write_event(event)
        self.view.follow(event)
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
