"""A peer of one endpoint that says exactly what the test tells it to, right or wrong."""

from __future__ import annotations

from random import Random
from typing import TypeVar

from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.endpoint import Address, CallParameters, Endpoint, EndpointConfig
from l2tp.protocol.events import CallRequested, Event
from l2tp.protocol.header import ControlHeader, decode_header, encode_control
from l2tp.protocol.messages import (
    ICCN,
    ICRP,
    ICRQ,
    OCCN,
    OCRP,
    OCRQ,
    OUR_VERSION,
    SCCCN,
    SCCRP,
    SCCRQ,
    ControlMessage,
)

T = TypeVar("T")

PEER = Address("203.0.113.9", 1701)
PEER_TUNNEL_ID = 4242
PEER_SESSION_ID = 77


def sccrq(**changes: object) -> SCCRQ:
    """An acceptable SCCRQ of the peer."""
    values = {
        "protocol_version": OUR_VERSION,
        "framing_capabilities": 3,
        "host_name": "peer",
        "assigned_tunnel_id": PEER_TUNNEL_ID,
        **changes,
    }
    return SCCRQ(**values)  # type: ignore[arg-type]


def sccrp(**changes: object) -> SCCRP:
    """An acceptable SCCRP of the peer."""
    values = {
        "protocol_version": OUR_VERSION,
        "framing_capabilities": 3,
        "host_name": "peer",
        "assigned_tunnel_id": PEER_TUNNEL_ID,
        **changes,
    }
    return SCCRP(**values)  # type: ignore[arg-type]


def icrq(**changes: object) -> ICRQ:
    """An acceptable ICRQ of the peer."""
    values = {"assigned_session_id": PEER_SESSION_ID, "call_serial_number": 9, **changes}
    return ICRQ(**values)  # type: ignore[arg-type]


def ocrq(**changes: object) -> OCRQ:
    """An acceptable OCRQ of the peer."""
    values = {
        "assigned_session_id": PEER_SESSION_ID,
        "call_serial_number": 9,
        "minimum_bps": 0,
        "maximum_bps": 64_000,
        "bearer_type": 1,
        "framing_type": 1,
        "called_number": "555",
        **changes,
    }
    return OCRQ(**values)  # type: ignore[arg-type]


def occn() -> OCCN:
    """An acceptable OCCN of the peer."""
    return OCCN(framing_type=1, tx_connect_speed=64_000)


def iccn() -> ICCN:
    """An acceptable ICCN of the peer."""
    return ICCN(framing_type=1, tx_connect_speed=64_000)


class ScriptedPeer:
    """Talks to `endpoint`, keeps its own Ns and Nr, and collects what comes back."""

    def __init__(self, config: EndpointConfig, *, seed: int = 5) -> None:
        self.endpoint = Endpoint(config, random=Random(seed))
        self.now = 50.0
        self.ns = 0
        self.nr = 0
        self.tunnel_id = 0
        self.session_id = 0
        self.events: list[Event] = []
        self.said: list[ControlMessage] = []
        self.headers: list[ControlHeader] = []

    def of(self, kind: type[T]) -> list[T]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def names(self) -> list[str]:
        """The names of the messages that came back, and forget them."""
        names = [message.name for message in self.said]
        self.said.clear()
        return names

    def raw(self, data: bytes, *, source: Address = PEER) -> None:
        """Send these octets."""
        self.endpoint.receive_datagram(data, source, self.now)
        self.collect()

    def body(
        self,
        body: bytes,
        *,
        session_id: int = 0,
        tunnel_id: int | None = None,
        source: Address = PEER,
    ) -> None:
        """Send a control message with this body, in sequence."""
        target = self.tunnel_id if tunnel_id is None else tunnel_id
        data = encode_control(target, session_id, self.ns, self.nr, body)
        self.ns += 1
        self.raw(data, source=source)

    def say(
        self,
        message: ControlMessage,
        *,
        session_id: int = 0,
        tunnel_id: int | None = None,
        source: Address = PEER,
    ) -> None:
        """Send this message, in sequence."""
        self.body(
            encode_message(message), session_id=session_id, tunnel_id=tunnel_id, source=source
        )

    def zlb(self) -> None:
        """Acknowledge everything that came."""
        self.raw(encode_control(self.tunnel_id, 0, self.ns, self.nr))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, calling the timer whenever it is due."""
        end = self.now + seconds
        stuck = 0
        while (timer := self.endpoint.get_timer()) is not None and timer <= end:
            stuck = 0 if timer > self.now else stuck + 1
            assert stuck < 1000, "time stands still: a deadline is never met"
            self.now = max(timer, self.now)
            self.endpoint.handle_timer(self.now)
            self.collect()
        self.now = end

    def collect(self) -> None:
        """Take what the endpoint says and sends."""
        while (event := self.endpoint.next_event()) is not None:
            self.events.append(event)
        for datagram in self.endpoint.datagrams_to_send():
            header = decode_header(datagram.data)
            assert isinstance(header, ControlHeader)
            self.headers.append(header)
            if header.length == 12:
                continue
            message = decode_message(datagram.data[12 : header.length])
            self.said.append(message)
            if header.ns == self.nr:
                self.nr += 1
            self._learn(message)

    def _learn(self, message: ControlMessage) -> None:
        if isinstance(message, SCCRQ | SCCRP):
            self.tunnel_id = message.assigned_tunnel_id
        elif isinstance(message, ICRQ | ICRP | OCRQ | OCRP):
            self.session_id = message.assigned_session_id

    # Ways into a state.

    def wait_ctl_reply(self) -> int:
        """Let the endpoint send a SCCRQ."""
        local = self.endpoint.open_tunnel(PEER, self.now)
        self.collect()
        return local

    def wait_ctl_conn(self) -> int:
        """Send a SCCRQ, and let the endpoint answer."""
        self.say(sccrq(), tunnel_id=0)
        return self.tunnel_id

    def established(self) -> int:
        """Open a tunnel from this side."""
        local = self.wait_ctl_conn()
        self.say(SCCCN())
        return local

    def established_by_endpoint(self) -> int:
        """Open a tunnel from the endpoint's side."""
        local = self.wait_ctl_reply()
        self.say(sccrp())
        return local

    def call_wait_reply(self) -> tuple[int, int]:
        """Let the endpoint, as LAC, send an ICRQ."""
        tunnel = self.established_by_endpoint()
        session = self.endpoint.place_call(tunnel, self.now, CallParameters())
        self.collect()
        return tunnel, session

    def call_wait_answer(self) -> tuple[int, int]:
        """Send an ICRQ to the endpoint as LNS."""
        tunnel = self.established()
        self.say(icrq())
        return tunnel, self.of(CallRequested)[-1].local_session_id

    def call_wait_connect(self) -> tuple[int, int]:
        """Send an ICRQ, and let the endpoint accept it."""
        tunnel, session = self.call_wait_answer()
        self.endpoint.accept_call(tunnel, session, self.now)
        self.collect()
        return tunnel, session

    def call_established_as_lns(self) -> tuple[int, int]:
        """Set up a call to the endpoint as LNS."""
        tunnel, session = self.call_wait_connect()
        self.say(iccn(), session_id=session)
        return tunnel, session

    def call_established_as_lac(self) -> tuple[int, int]:
        """Set up a call from the endpoint as LAC."""
        tunnel, session = self.call_wait_reply()
        self.say(ICRP(assigned_session_id=PEER_SESSION_ID), session_id=session)
        return tunnel, session

    def outgoing_wait_answer(self) -> tuple[int, int]:
        """Send an OCRQ to the endpoint as LAC."""
        tunnel = self.established()
        self.say(ocrq())
        return tunnel, self.of(CallRequested)[-1].local_session_id

    def outgoing_wait_cs_answer(self) -> tuple[int, int]:
        """Send an OCRQ, and let the endpoint dial."""
        tunnel, session = self.outgoing_wait_answer()
        self.endpoint.accept_call(tunnel, session, self.now)
        self.collect()
        return tunnel, session

    def outgoing_established_as_lac(self) -> tuple[int, int]:
        """Send an OCRQ that the endpoint dials with success."""
        tunnel, session = self.outgoing_wait_cs_answer()
        self.zlb()
        self.endpoint.connect_call(tunnel, session, self.now, tx_connect_speed_bps=64_000)
        self.collect()
        return tunnel, session

    def outgoing_wait_reply(self) -> tuple[int, int]:
        """Let the endpoint, as LNS, send an OCRQ."""
        tunnel = self.wait_ctl_reply()
        self.say(sccrp(bearer_capabilities=3))
        session = self.endpoint.request_call(tunnel, self.now, CallParameters(called_number="5"))
        self.collect()
        return tunnel, session

    def outgoing_wait_connect(self) -> tuple[int, int]:
        """Let the endpoint, as LNS, send an OCRQ, and dial."""
        tunnel, session = self.outgoing_wait_reply()
        self.say(OCRP(assigned_session_id=PEER_SESSION_ID), session_id=session)
        return tunnel, session

    def outgoing_established_as_lns(self) -> tuple[int, int]:
        """Let the endpoint, as LNS, send an OCRQ, and dial with success."""
        tunnel, session = self.outgoing_wait_connect()
        self.say(occn(), session_id=session)
        return tunnel, session
