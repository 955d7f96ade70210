"""What is fuzzed: functions of octets that must not raise, and need no fuzzer to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from l2tp.protocol.avp import MAXIMUM_AVP_SIZE, encode_avp
from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.errors import HeaderError, LocalProtocolError, MessageError
from l2tp.protocol.events import CallRequested
from l2tp.protocol.header import ControlHeader, decode_header, encode_control
from tests.properties.test_l2tp_endpoint import LOCAL, STATES, all_closed, local
from tests.support.memory_network import lns_config
from tests.support.scripted_peer import ScriptedPeer

SECRET = b"between us"
_MOST_STEPS = 12
_AVP_ROOM = MAXIMUM_AVP_SIZE - 6


def decoder(data: bytes) -> None:
    """Any octets are a header and a message, or a protocol error; what was understood can be said.

    The first octet says whether a secret is known.
    """
    secret = SECRET if data[:1] > b"\x7f" else None
    try:
        header = decode_header(data[1:])
    except HeaderError as error:
        _expect(bool(error.text), "a header error says nothing")
        return
    if not isinstance(header, ControlHeader):
        _expect(header.payload_end <= len(data) - 1, "a payload leaves its datagram")
        return
    body = data[13 : 1 + header.length]
    _expect(
        decode_header(encode_control(*header[1:], body)) == header,
        "a header does not survive being written again",
    )
    try:
        message = decode_message(body, secret=secret)
    except MessageError as error:
        _expect(bool(error.section and str(error)), "a protocol error says nothing")
        return
    if not any(raw.reserved or raw.hidden for raw in message.unrecognized):
        _again(message, header)


def _again(message: object, header: ControlHeader) -> None:
    try:
        body = encode_message(message)  # type: ignore[arg-type]
    except LocalProtocolError:
        return  # a value that our table would not send, such as one that is too long together
    again = decode_message(body)
    _expect(type(again) is type(message), f"{message} becomes {again}, header {header}")


def endpoint(data: bytes) -> None:
    """No peer and no user makes an endpoint stumble, whatever state it is in.

    The first octet chooses the state; then come steps, each an octet for its kind.
    """
    octets = Octets(data)
    state = STATES[octets.take() % len(STATES)]
    peer = ScriptedPeer(lns_config(accepts_outgoing_calls=True))
    getattr(peer, state)()
    for _ in range(_MOST_STEPS):
        if not octets:
            break
        _step(peer, octets)
    all_closed(peer)


class Octets:
    """Reads octets from the front; past the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self) -> int:
        """Take one octet."""
        self._position += 1
        return self._data[self._position - 1] if self._position <= len(self._data) else 0

    def take_many(self, count: int) -> bytes:
        """Take as many octets as there are, at most `count`."""
        taken = self._data[self._position : self._position + count]
        self._position += count
        return taken


def _step(peer: ScriptedPeer, octets: Octets) -> None:
    kind = octets.take()
    _STEPS[kind % len(_STEPS)](peer, octets, kind // len(_STEPS))


def _raw(peer: ScriptedPeer, octets: Octets, _: int) -> None:
    peer.raw(octets.take_many(octets.take()))


def _say_body(peer: ScriptedPeer, octets: Octets, variant: int) -> None:
    peer.body(octets.take_many(octets.take()), session_id=_session(peer, variant))


def _say_avps(peer: ScriptedPeer, octets: Octets, variant: int) -> None:
    """Send well-formed AVPs, which random octets seldom are."""
    peer.body(b"".join(_avps(octets)), session_id=_session(peer, variant))


def _avps(octets: Octets) -> Iterator[bytes]:
    yield encode_avp(0, octets.take().to_bytes(2, "big"), mandatory=True)
    for _ in range(octets.take() % 8):
        flags = octets.take()
        yield encode_avp(
            octets.take(),
            octets.take_many(octets.take())[:_AVP_ROOM],
            mandatory=bool(flags & 1),
            hidden=flags & 0xC0 == 0xC0,
            vendor_id=9 if flags & 0x30 == 0x30 else 0,
        )


def _out_of_turn(peer: ScriptedPeer, octets: Octets, variant: int) -> None:
    ns, nr = octets.take(), octets.take()
    body = octets.take_many(octets.take())
    tunnel = (peer.tunnel_id, 0, 999)[variant % 3]
    peer.raw(encode_control(tunnel, _session(peer, variant), (peer.ns + ns - 8) & 0xFFFF, nr, body))


def _local(peer: ScriptedPeer, octets: Octets, variant: int) -> None:
    step = LOCAL[variant % len(LOCAL)]
    if step == "wait":
        peer.pass_time(octets.take())
    else:
        local(peer, step, _session(peer, 0))


_STEPS: tuple[Callable[[ScriptedPeer, Octets, int], None], ...] = (
    _say_avps,
    _say_body,
    _local,
    _out_of_turn,
    _raw,
)


def _session(peer: ScriptedPeer, variant: int) -> int:
    requests = peer.of(CallRequested)
    own = requests[-1].local_session_id if requests else peer.session_id
    return (own, 0, 999)[variant % 3]


def _expect(held: bool, otherwise: str) -> None:
    if not held:
        raise AssertionError(otherwise)


TARGETS: dict[str, Callable[[bytes], None]] = {"decoder": decoder, "endpoint": endpoint}
"""Every target by its name, which is its corpus's too."""
