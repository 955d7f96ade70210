"""What goes wrong on the wire: the reaction, the codes that the peer is told, and one cause.

A fault in a header is dropped, one in a message of a session ends the session, any other one ends
the tunnel (RFC 2661 §7.1); every cause names the section.
"""

import pytest

from l2tp.protocol.constants import CallResult, ErrorCode, StopResult
from l2tp.protocol.events import DatagramDropped, DropReason, SessionClosed, TunnelClosed
from l2tp.protocol.header import encode_control
from l2tp.protocol.messages import CDN, StopCCN
from tests.support.memory_network import lns_config
from tests.support.scripted_peer import ScriptedPeer

HELLO = "8008 0000 0000 0006"
ICRQ = "8008 0000 0000 000a 8008 0000 000e 0063 800a 0000 000f 00000001"
ICCN = "8008 0000 0000 000c 800a 0000 0013 00000001 800a 0000 0018 00000001"
SCCRQ = (
    "8008 0000 0000 0001 800a 0000 0003 00000003 8009 0000 0007 6c6163 8008 0000 0009 0063"
    " 8008 0000 0002 "
)
GENERAL = int(StopResult.GENERAL_ERROR)
LENGTH, VALUE = int(ErrorCode.LENGTH_IS_WRONG), int(ErrorCode.VALUE_OUT_OF_RANGE)
UNKNOWN = int(ErrorCode.UNKNOWN_MANDATORY_AVP)


def header(peer: ScriptedPeer, **changes: int) -> bytes:
    """A HELLO in sequence, with fields of its header changed."""
    values = {"flags": 0xC802, "length": 20, "tunnel_id": peer.tunnel_id, "session_id": 0} | changes
    fields = (*values.values(), peer.ns, peer.nr)
    return b"".join(field.to_bytes(2, "big") for field in fields) + bytes.fromhex(HELLO)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"flags": 0xC801}, "1 (L2F)"),
        ({"flags": 0xC803}, "3 (L2TPv3)"),
        ({"flags": 0xC80F}, "15"),
        ({"flags": 0x8802}, "flags 0x8802"),
        ({"flags": 0xC002}, "flags 0xc002"),
        ({"flags": 0xCA02}, "flags 0xca02"),
        ({"length": 11}, "Length is 11"),
        ({"length": 21}, "Length is 21"),
        ({"length": 0}, "Length is 0"),
        ({"tunnel_id": 9999}, "no tunnel 9999"),
        ({"tunnel_id": 0}, "tunnel id 0"),
    ],
)
def test_a_faulty_header_is_dropped(changes: dict[str, int], text: str) -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.names()
    peer.raw(header(peer, **changes))
    (dropped,) = peer.of(DatagramDropped)
    assert text in dropped.cause
    assert dropped.section == "§3.1"
    assert peer.names() == []
    assert not peer.of(TunnelClosed)
    # Its number was not used up: the message that it should have been is taken.
    peer.raw(header(peer))
    assert not peer.of(TunnelClosed)
    assert len(peer.of(DatagramDropped)) == 1


@pytest.mark.parametrize(
    ("body", "result", "error", "section"),
    [
        # A Length that leaves the message, one below 6, a tail too short for an AVP.
        (f"{HELLO} 8010 0000 0007 6162", GENERAL, LENGTH, "§4.1"),
        (f"{HELLO} 8005 0000 0007", GENERAL, LENGTH, "§4.1"),
        (f"{HELLO} 8008 00", GENERAL, LENGTH, "§4.1"),
        # No Message Type first, one that is cut, one of a wrong size, one that is hidden.
        ("8008 0000 0009 0001", GENERAL, VALUE, "§4.4.1"),
        ("8008 0000 00", GENERAL, LENGTH, "§4.4.1"),
        ("8009 0000 0000 000600", GENERAL, VALUE, "§4.4.1"),
        ("c008 0000 0000 0006", GENERAL, VALUE, "§4.4.1"),
        ("a008 0000 0000 0006", GENERAL, VALUE, "§4.4.1"),
        # What nobody knows, with the M bit: a message, an AVP, a vendor's AVP, reserved bits.
        ("8008 0000 0000 00ff", GENERAL, UNKNOWN, "§4.4.1"),
        (f"{HELLO} 8006 0000 00ff", GENERAL, UNKNOWN, "§4.2"),
        (f"{HELLO} 8006 0009 0001", GENERAL, UNKNOWN, "§4.2"),
        (f"{HELLO} a408 0000 0009 0001", GENERAL, UNKNOWN, "§4.2"),
        # A message of the tunnel out of its turn.
        ("8008 0000 0000 0003", int(StopResult.STATE_MACHINE_ERROR), 0, "§7.2.1"),
        (f"{SCCRQ} 0100", int(StopResult.STATE_MACHINE_ERROR), 0, "§7.2.1"),
    ],
)
def test_a_faulty_message_of_the_tunnel_ends_it(
    body: str, result: int, error: int, section: str
) -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.said.clear()
    peer.body(bytes.fromhex(body))
    (stop,) = peer.said
    assert isinstance(stop, StopCCN)
    assert (stop.result_code.result, stop.result_code.error) == (result, error)
    (closed,) = peer.of(TunnelClosed)
    assert f"(RFC 2661 {section})" in closed.cause
    assert not closed.by_peer


@pytest.mark.parametrize(
    ("body", "error", "section"),
    [
        (f"{ICCN} 8010 0000 0026 6162", LENGTH, "§4.1"),
        ("8008 0000 0000 000c 8009 0000 0013 000001 800a 0000 0018 00000001", LENGTH, "§4.4.4"),
        ("8008 0000 0000 000c 800a 0000 0013 00000001", VALUE, "§6"),
        (f"{ICCN} 8006 0000 00ff", UNKNOWN, "§4.2"),
        (f"{ICCN} 8006 0009 0001", UNKNOWN, "§4.2"),
        ("8008 0000 0000 000c c00a 0000 0013 00000001 800a 0000 0018 00000001", UNKNOWN, "§4.2"),
        (ICRQ, int(ErrorCode.VENDOR_SPECIFIC), "§7.4"),
    ],
)
def test_a_faulty_message_of_a_session_ends_it_alone(body: str, error: int, section: str) -> None:
    peer = ScriptedPeer(lns_config())
    _, session = peer.call_wait_connect()
    peer.said.clear()
    peer.body(bytes.fromhex(body), session_id=session)
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert (cdn.result_code.result, cdn.result_code.error) == (CallResult.GENERAL_ERROR, error)
    (closed,) = peer.of(SessionClosed)
    assert f"(RFC 2661 {section})" in closed.cause
    assert not peer.of(TunnelClosed)


@pytest.mark.parametrize(
    ("rest", "tail"),
    [
        # Without the M bit nothing unknown or malformed ends anything.
        ("0006 0000 00ff", ""),
        ("0006 0009 0001", ""),
        ("3c0a 0000 0012 00000000", ""),
        ("0007 0000 0026 00", "ignored"),
        # What came twice, where the first one counts.
        ("800a 0000 0018 00000009", "twice"),
    ],
)
def test_what_is_without_the_m_bit_or_repeated_ends_nothing(rest: str, tail: str) -> None:
    peer = ScriptedPeer(lns_config())
    _, session = peer.call_wait_connect()
    peer.said.clear()
    peer.body(bytes.fromhex(f"{ICCN} {rest}"), session_id=session)
    assert peer.names() == []
    assert not peer.of(SessionClosed)
    info = peer.endpoint.describe_session(*_only(peer))
    assert info is not None
    assert (str(info.state), info.call.tx_connect_speed_bps) == ("established", 1)


def _only(peer: ScriptedPeer) -> tuple[int, int]:
    (tunnel,) = peer.endpoint._tunnels.by_id.values()
    (session,) = tunnel.calls.sessions
    return tunnel.local_tunnel_id, session


@pytest.mark.rfc2661("7.1-clear")
def test_a_message_without_a_type_ends_the_tunnel_whatever_session_it_names() -> None:
    # Its type alone would say that it is of a session, so this one is beyond repair (§7.1).
    peer = ScriptedPeer(lns_config())
    _, session = peer.call_established_as_lns()
    peer.said.clear()
    peer.body(bytes.fromhex("800a 0000 0013 00000001"), session_id=session)
    assert [type(message) for message in peer.said] == [StopCCN]
    assert "not a Message Type" in peer.of(TunnelClosed)[0].cause


def test_a_message_for_a_session_that_is_anothers_or_nobodys_is_dropped() -> None:
    peer = ScriptedPeer(lns_config())
    _, session = peer.call_wait_connect()
    peer.said.clear()
    peer.body(bytes.fromhex(ICCN), session_id=session ^ 1)
    (dropped,) = peer.of(DatagramDropped)
    assert (dropped.reason, dropped.section) == (DropReason.UNKNOWN_SESSION, "§7.4")
    assert peer.names() == []
    assert not peer.of(SessionClosed)


@pytest.mark.parametrize("body", [ICRQ, ICCN, "8008 0000 0000 000f 8006 0000 0022"])
def test_a_message_of_a_session_on_a_tunnel_that_is_not_up_ends_the_tunnel(body: str) -> None:
    peer = ScriptedPeer(lns_config())
    peer.wait_ctl_conn()
    peer.zlb()
    peer.said.clear()
    peer.body(bytes.fromhex(body))
    (stop,) = peer.said
    assert isinstance(stop, StopCCN)
    assert "(RFC 2661 §" in peer.of(TunnelClosed)[0].cause


@pytest.mark.parametrize(
    ("version", "result", "error", "section"),
    [
        ("0200", StopResult.VERSION_NOT_SUPPORTED, 0x0100, "§4.4.3"),
        ("01", GENERAL, LENGTH, "§4.4.3"),
    ],
)
def test_an_unacceptable_protocol_version_is_refused(
    version: str, result: int, error: int, section: str
) -> None:
    size = 6 + len(version) // 2
    body = bytes.fromhex(
        SCCRQ.replace("8008 0000 0002", f"{0x8000 | size:04x} 0000 0002") + version
    )
    peer = ScriptedPeer(lns_config())
    peer.raw(encode_control(0, 0, 0, 0, body))
    (stop,) = peer.said
    assert isinstance(stop, StopCCN)
    assert (stop.result_code.result, stop.result_code.error) == (result, error)
    assert section in peer.of(TunnelClosed)[0].cause


def test_a_refusal_names_its_section() -> None:
    peer = ScriptedPeer(lns_config(accepts_tunnels=False))
    peer.wait_ctl_conn()
    assert "(RFC 2661 §5.1.1)" in peer.of(TunnelClosed)[0].cause
    peer = ScriptedPeer(lns_config(accepts_calls=False))
    peer.established()
    peer.body(bytes.fromhex(ICRQ))
    assert "(RFC 2661 §7.4.2)" in peer.of(SessionClosed)[0].cause
