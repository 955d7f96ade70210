"""The asyncio shell of a LAC or LNS: sockets, one timer, signals, the control socket.

It decides nothing about the protocol (that is endpoint.py) and nothing that differs between LAC
and LNS (that is their Role); it carries things between the endpoint, the kernel and pppd.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from l2tp.config import DaemonConfig
from l2tp.constants import CallResult, ErrorCode, StopResult
from l2tp.control_server import ControlServer, RequestError
from l2tp.endpoint import Endpoint
from l2tp.errors import HANG_UP, SHUTDOWN, L2tpError, ResultCode
from l2tp.events import (
    CallAnswered,
    CallRequested,
    Event,
    MessageReceived,
    MessageSent,
    PeerAddressChanged,
    SessionClosed,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.kernel import network
from l2tp.log import EventLog
from l2tp.parameters import Address
from l2tp.ppp import options as ppp_options
from l2tp.ppp.exits import PppExit
from l2tp.ppp.home import PppHome
from l2tp.ppp.phases import Notice
from l2tp.ppp.sessions import Session, Sessions
from l2tp.roles import CallRefused, Role
from l2tp.sockets import UdpSockets
from l2tp.view import View, status

_UP: Final = {"ip-up": "ipv4", "ipv6-up": "ipv6"}
_DOWN: Final = {"ip-down": "ipv4", "ipv6-down": "ipv6"}

RoleFactory = Callable[["Daemon"], Role]


class Daemon:
    """One LAC or LNS; ``run`` until it is told to stop."""

    def __init__(self, config: DaemonConfig, home: PppHome, make_role: RoleFactory) -> None:
        self.config = config
        self.view = View()
        self.log = EventLog(config.state_folder / "log.jsonl")
        self.endpoint = Endpoint(config.endpoint, random=random.SystemRandom())
        self._loop = asyncio.get_running_loop()
        self.sockets = UdpSockets(
            self._loop,
            receive=self._receive,
            note_error=self._note_error,
            done=self.transact,
        )
        self.sessions = Sessions(
            loop=self._loop,
            home=home,
            pppd=config.pppd,
            settings=config.ppp,
            options=config.data,
            grace_s=config.ppp_timeout_s,
            log=self.log,
            on_notice=self._on_notice,
            on_end=self._on_ppp_end,
        )
        self._role = make_role(self)
        operations = {
            "status": self._status,
            "call": self._call,
            "hangup": self._hangup,
            "stop": self._stop_request,
        }
        self._control = ControlServer(config.state_folder / "control.sock", operations, self.log)
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._stop_task: asyncio.Task[None] | None = None
        self._finished = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        # Sessions that the protocol has closed while their PPP was still ending.
        self._closed: set[tuple[int, int]] = set()
        # What the CDN is to say of sessions whose PPP we are ending.
        self._results: dict[tuple[int, int], ResultCode] = {}
        self._released: set[int] = set()
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            TunnelRequested: self._tunnel_requested,
            PeerAddressChanged: self._peer_address_changed,
            TunnelEstablished: self._tunnel_established,
            TunnelClosed: self._tunnel_closed,
            TunnelReleased: self._tunnel_released,
            CallRequested: self._call_requested,
            CallAnswered: self._call_answered,
            SessionClosed: self._session_closed,
        }

    def now(self) -> float:
        """Return the time that the endpoint is given: seconds of the loop's monotonic clock."""
        return self._loop.time()

    async def run(self) -> None:
        """Start, serve until stopped, leave nothing behind; raises KernelError at the start."""
        try:
            self._role.start()
            await self._control.start()
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self.stop)
            self.log.write("DaemonReady", role=self.config.role)
            self.transact()
            # While the peer is answering: the first call needs it.
            self._loop.call_soon(ppp_options.preload)
            await self._finished
        finally:
            self.sessions.close()
            self.sockets.close_all()
            self.log.write("DaemonStopped", role=self.config.role)
            await self._control.close()
            self.log.close()

    def stop(self) -> None:
        """Begin the orderly end; asked again, end at once."""
        if self._stop_task is None:
            self._stop_task = self._loop.create_task(self._stop())
        elif not self._finished.done():
            self._finished.set_result(None)

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
        self._wake()

    def _on_timer(self) -> None:
        self.endpoint.handle_timer(self.now())
        self.transact()

    def _receive(self, data: bytes, source: Address, local_tunnel_id: int | None) -> None:
        self.endpoint.receive_datagram(data, source, self.now(), local_tunnel_id=local_tunnel_id)

    def _note_error(self, local_tunnel_id: int | None, destination: Address, text: str) -> None:
        self.log.write(
            "NetworkError", local_tunnel_id=local_tunnel_id, destination=destination, text=text
        )
        if local_tunnel_id is not None:
            self.endpoint.note_network_error(local_tunnel_id, text)

    def _handle(self, event: Event) -> None:
        if self.config.log_messages or not isinstance(event, MessageSent | MessageReceived):
            self.log.write_event(event)
        self.view.follow(event)
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    # Tunnels

    def _tunnel_requested(self, event: TunnelRequested) -> None:
        if self.config.lns is None:
            return
        try:
            self.sockets.open(event.local_tunnel_id, self.config.lns.listen, event.peer)
        except L2tpError as error:
            self._give_tunnel_up(event.local_tunnel_id, error)

    def _peer_address_changed(self, event: PeerAddressChanged) -> None:
        self._connect(event.local_tunnel_id, event.peer)

    def _tunnel_established(self, event: TunnelEstablished) -> None:
        self._connect(event.local_tunnel_id, event.peer)
        tunnel = self.sockets.find(event.local_tunnel_id)
        if tunnel is None or tunnel.peer is None:
            return
        try:
            self.sessions.open_tunnel(event.local_tunnel_id, event.peer_tunnel_id, tunnel.udp)
        except L2tpError as error:
            self._give_tunnel_up(event.local_tunnel_id, error)

    def _connect(self, local_tunnel_id: int, peer: Address) -> None:
        try:
            self.sockets.connect(local_tunnel_id, peer)
        except L2tpError as error:
            self._give_tunnel_up(local_tunnel_id, error)

    def _give_tunnel_up(self, local_tunnel_id: int, error: L2tpError) -> None:
        self.log.write("DataPlaneFailed", local_tunnel_id=local_tunnel_id, cause=str(error))
        result = ResultCode(
            StopResult.GENERAL_ERROR, ErrorCode.INSUFFICIENT_RESOURCES, "no data plane"
        )
        self.endpoint.close_tunnel(local_tunnel_id, self.now(), result)

    def _tunnel_closed(self, event: TunnelClosed) -> None:
        self._retire(event.local_tunnel_id)

    def _tunnel_released(self, event: TunnelReleased) -> None:
        self._released.add(event.local_tunnel_id)
        self._retire(event.local_tunnel_id)

    def _retire(self, local_tunnel_id: int) -> None:
        """Take a closed tunnel out of the kernel once its last session is gone."""
        tunnel = self.view.tunnels.get(local_tunnel_id)
        if self.sessions.of_tunnel(local_tunnel_id) or (tunnel and tunnel.state != "closed"):
            return
        if self.sessions.tunnel(local_tunnel_id) is not None:
            self.sessions.close_tunnel(local_tunnel_id)
            self.sockets.renew(local_tunnel_id)
            self.log.write("TunnelLeftKernel", local_tunnel_id=local_tunnel_id)
        self._role.forget_tunnel(local_tunnel_id)
        if local_tunnel_id in self._released:
            self._released.discard(local_tunnel_id)
            self.sockets.close(local_tunnel_id)

    # Sessions

    def _call_requested(self, event: CallRequested) -> None:
        ids = event.local_tunnel_id, event.local_session_id
        refused = self._open_session(event)
        if refused is None:
            self.endpoint.accept_call(*ids, self.now())
        else:
            self.endpoint.reject_call(*ids, self.now(), refused)

    def _call_answered(self, event: CallAnswered) -> None:
        refused = self._open_session(event)
        if refused is not None:
            ids = event.local_tunnel_id, event.local_session_id
            self.endpoint.hang_up(*ids, self.now(), refused)

    def _open_session(self, event: CallRequested | CallAnswered) -> ResultCode | None:
        """Open the kernel's session and start pppd; returns what to refuse the call with."""
        if self._stop_task is not None:
            return HANG_UP
        try:
            call = self._role.plan_call(event)
            self.sessions.open(call, event.peer_session_id)
        except L2tpError as error:
            self.log.write(
                "DataPlaneFailed",
                local_tunnel_id=event.local_tunnel_id,
                local_session_id=event.local_session_id,
                cause=str(error),
            )
            if isinstance(error, CallRefused):
                return error.result
            code = ErrorCode.INSUFFICIENT_RESOURCES
            return ResultCode(CallResult.GENERAL_ERROR, code, "no data plane")
        return None

    def _session_closed(self, event: SessionClosed) -> None:
        key = event.local_tunnel_id, event.local_session_id
        session = self.sessions.find(*key)
        if session is None:
            self._forget(*key)
        else:
            self._closed.add(key)
            self.sessions.end(session)

    def _on_ppp_end(self, session: Session, end: PppExit) -> None:
        """Tell the peer that PPP is over, unless it said so first."""
        key = session.local_tunnel_id, session.local_session_id
        if key in self._closed:
            self._closed.discard(key)
            self._forget(*key)
            self._retire(session.local_tunnel_id)
        else:
            result = self._results.pop(key, None) or end.result_code()
            self.endpoint.hang_up(*key, self.now(), result)
        self.transact()

    def _forget(self, local_tunnel_id: int, local_session_id: int) -> None:
        self._results.pop((local_tunnel_id, local_session_id), None)
        self._role.forget_session(local_tunnel_id, local_session_id)
        self.view.forget_session(local_tunnel_id, local_session_id)

    def _on_notice(self, session: Session, notice: Notice) -> None:
        ids = {
            "local_tunnel_id": session.local_tunnel_id,
            "local_session_id": session.local_session_id,
        }
        ppp = session.ppp
        if (family := _UP.get(notice.script)) is not None:
            self.log.write(
                "PppUp",
                **ids,
                family=family,
                interface=ppp.interface,
                user=ppp.user,
                local=getattr(ppp, f"local_{family}"),
                peer=getattr(ppp, f"peer_{family}"),
            )
            task = self._loop.create_task(self._set_network(session, family))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (family := _DOWN.get(notice.script)) is not None:
            self.log.write("PppDown", **ids, family=family, interface=ppp.interface)
        else:
            self.log.write("PppAuthenticated", **ids, user=ppp.user, interface=ppp.interface)

    async def _set_network(self, session: Session, family: str) -> None:
        """Install a session's addresses and routes; it is ready when all families have them."""
        ids = {
            "local_tunnel_id": session.local_tunnel_id,
            "local_session_id": session.local_session_id,
        }
        commands = self._role.network_commands(session, family)
        try:
            await network.apply(commands)
        except L2tpError as error:
            self.log.write("NetworkFailed", **ids, family=family, cause=str(error))
            return
        if commands:
            self.log.write("NetworkSet", **ids, family=family, commands=commands)
        session.families.add(family)
        wanted = {"ipv4", "ipv6"} if self.config.ppp.ipv6 else {"ipv4"}
        if session.families >= wanted and not session.ready:
            session.ready = True
            self.log.write("SessionReady", **ids, interface=session.ppp.interface)

    # What is asked for

    async def _status(self, _: Mapping[str, Any]) -> object:
        dropped = {str(reason): count for reason, count in self.endpoint.dropped.items()}
        return status(self.config, self.view, self.sockets, self.sessions, self._role, dropped)

    async def _call(self, arguments: Mapping[str, Any]) -> object:
        local_tunnel_id, local_session_id = self._role.place_call(arguments)
        self.transact()
        return {"local_tunnel_id": local_tunnel_id, "local_session_id": local_session_id}

    async def _hangup(self, arguments: Mapping[str, Any]) -> object:
        tunnel = self.view.tunnels.get(arguments.get("local_tunnel_id", 0))
        if tunnel is None:
            ids = ", ".join(str(number) for number in self.view.tunnels) or "none"
            raise RequestError(f"there is no tunnel of that local_tunnel_id; there are: {ids}")
        local_session_id = arguments.get("local_session_id")
        if local_session_id is None:
            await self._close_tunnel(tunnel.local_tunnel_id)
        elif local_session_id in tunnel.sessions:
            self._hang_up(tunnel.local_tunnel_id, local_session_id)
            await self._until(lambda: local_session_id not in tunnel.sessions)
        else:
            ids = ", ".join(str(number) for number in tunnel.sessions) or "none"
            raise RequestError(f"there is no session of that local_session_id; there are: {ids}")
        return None

    def _hang_up(self, local_tunnel_id: int, local_session_id: int) -> None:
        """End PPP first, so that its farewell still has a session to travel in; then the CDN."""
        session = self.sessions.find(local_tunnel_id, local_session_id)
        if session is None:
            self.endpoint.hang_up(local_tunnel_id, local_session_id, self.now())
            self.transact()
        else:
            self._results.setdefault((local_tunnel_id, local_session_id), HANG_UP)
            self.sessions.end(session)

    async def _close_tunnel(self, local_tunnel_id: int) -> None:
        for session in self.sessions.of_tunnel(local_tunnel_id):
            self._hang_up(local_tunnel_id, session.local_session_id)
        await self._until(lambda: not self.sessions.of_tunnel(local_tunnel_id))
        self.endpoint.close_tunnel(local_tunnel_id, self.now(), SHUTDOWN)
        self.transact()

    async def _stop_request(self, _: Mapping[str, Any]) -> object:
        self._loop.call_soon(self.stop)
        return None

    async def _stop(self) -> None:
        """Hang up everything, say StopCCN, wait for its acknowledgement, end."""
        started = time.monotonic_ns()
        open_tunnels = [
            one for one, tunnel in self.view.tunnels.items() if tunnel.state != "closed"
        ]
        try:
            async with asyncio.timeout(self.config.stop_timeout_s):
                await asyncio.gather(*map(self._close_tunnel, open_tunnels))
                await self._until(
                    lambda: not any(map(self.endpoint.has_unacknowledged, open_tunnels))
                )
        except TimeoutError:
            self.log.write("StopTimedOut", timeout_s=self.config.stop_timeout_s)
        self.log.write("Stopping", duration_ns=time.monotonic_ns() - started)
        if not self._finished.done():
            self._finished.set_result(None)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that only transactions change."""
        if not condition():
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append((condition, future))
            await future

    def _wake(self) -> None:
        for entry in tuple(self._waiting):
            condition, future = entry
            if future.done() or condition():
                self._waiting.remove(entry)
                if not future.done():
                    future.set_result(None)
