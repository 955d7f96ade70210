"""Why a tunnel or a session ended, in words that name the cause and the next step."""

from __future__ import annotations

from dataclasses import dataclass

from l2tp.protocol.constants import PORT, StopResult
from l2tp.protocol.errors import ResultCode, cite
from l2tp.protocol.messages import CDN
from l2tp.protocol.parameters import Address
from l2tp.protocol.values import DisconnectCause, Q931Cause


@dataclass(frozen=True, slots=True)
class Closure:
    """An end: `result` for the StopCCN or CDN (None when neither passes), `cause` for people.

    The line's and PPP's own causes go with a CDN only (RFC 2661 §4.4.4, RFC 3145).
    """

    result: ResultCode | None
    cause: str
    by_peer: bool = False
    q931_cause: Q931Cause | None = None
    disconnect_cause: DisconnectCause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What is known when a peer no longer answers; `heard_s_ago` is None if it never did."""

    peer: Address
    message: str
    retransmissions: int
    heard_s_ago: float | None
    network_error: str | None


# What a message without an answer points to, by its mnemonic, while the peer was never heard.
_NEVER_HEARD = {
    "SCCRQ": (
        "nobody listening there, a firewall, no route, or a peer that refuses in silence"
        " (wrong source port, unknown host name); see whether it listens with"
        " `ss -lun 'sport = :{port}'` on the peer, and whether anything comes back with"
        " `tcpdump -ni any udp port {port}` here"
    ),
}
# The same once the peer was heard.
_HEARD_BEFORE = {
    "SCCRP": (
        "the request came through but the answer does not: a firewall or NAT on the way back, or"
        " a peer that takes answers from port {port} only; compare both ends with"
        " `tcpdump -ni any udp`"
    ),
    "StopCCN": "the peer went away while the tunnel was being closed",
}
_GONE = (
    "the peer is gone or restarted, or the path broke; see `ip route get {host}` here and"
    " `tcpdump -ni any udp port {port}` on both ends"
)


def no_answer(silence: Silence) -> str:
    """Name what an exhausted retransmission points to (RFC 2661 §5.8)."""
    peer = silence.peer
    head = (
        f"no answer from {peer} to {silence.message} after {silence.retransmissions}"
        " retransmissions (RFC 2661 §5.8)"
    )
    if silence.network_error:
        return f"{head}: the network reported {silence.network_error}"
    if silence.heard_s_ago is None:
        hint = _NEVER_HEARD.get(silence.message, _NEVER_HEARD["SCCRQ"])
    else:
        head += f", last heard {silence.heard_s_ago:.0f} s ago"
        hint = _HEARD_BEFORE.get(silence.message, _GONE)
    return f"{head}: {hint.format(host=peer.host, port=peer.port)}"


def stopped_by_peer(peer: Address, result: ResultCode) -> str:
    """Say what a received StopCCN said."""
    text = f"{peer} closed the tunnel with {result.describe(of_call=False)}"
    if result.result == StopResult.NOT_AUTHORIZED:
        text += ": compare the shared secret and our host name with what the peer is configured for"
    return text


def hung_up_by_peer(message: CDN) -> Closure:
    """Say what a received CDN said."""
    said = message.result_code.describe(of_call=True)
    if message.ppp_disconnect_cause_code is not None:
        said += f", {message.ppp_disconnect_cause_code.describe()}"
    return Closure(
        message.result_code,
        f"the peer hung up with {said}",
        by_peer=True,
        q931_cause=message.q931_cause_code,
        disconnect_cause=message.ppp_disconnect_cause_code,
    )


# What a refusal's Result Code points to, in RFC 2661.
_REFUSALS = {
    StopResult.NOT_AUTHORIZED: "§5.1.1",
    StopResult.VERSION_NOT_SUPPORTED: "§4.4.3",
}


def refused(peer: Address, message: str, result: ResultCode) -> str:
    """Say what a peer's message was refused for."""
    section = _REFUSALS.get(StopResult(result.result), "§4.4.2")
    return f"{message} from {peer} refused: {result.message} ({cite(section)})"


def overrun(peer: Address, waiting: int) -> str:
    """Say that a peer asks for more than it takes the answers of."""
    return (
        f"{peer} asks faster than it acknowledges: {waiting} messages wait for it (RFC 2661 §5.8);"
        " see maximum_waiting_messages"
    )


def set_up_too_slow(peer: Address, state: str, timeout_s: float) -> str:
    """Say in which state a set-up stayed for too long."""
    where = f" on UDP port {PORT}" if peer.port == PORT else ""
    return (
        f"{peer}{where} acknowledges but does not go on: still {state} after {timeout_s:g} s"
        f" ({cite('§7.3')})"
    )
