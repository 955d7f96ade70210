"""Each deviation that l2tp/protocol/quirks.py lists, taken."""

from collections.abc import Callable

import pytest

from l2tp.protocol import quirks
from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.constants import StopResult
from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.events import (
    CallRequested,
    DatagramDropped,
    LinkInfoReceived,
    PeerAddressChanged,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
    TunnelRequested,
)
from l2tp.protocol.header import encode_control
from l2tp.protocol.messages import CDN, HELLO, ICCN, SCCCN, SLI, StopCCN
from l2tp.protocol.quirks import QUIRKS, Quirk
from l2tp.protocol.values import Accm, ProtocolVersion
from tests.support.memory_network import lac_config, lns_config
from tests.support.scripted_peer import (
    PEER,
    PEER_SESSION_ID,
    PEER_TUNNEL_ID,
    ScriptedPeer,
    icrq,
    sccrp,
    sccrq,
)

HOST_NAME_LAC = "8009 0000 0007 6c6163"
SCCRQ_START = "8008 0000 0000 0001 8008 0000 0002 0100 800a 0000 0003 00000003"
ASSIGNED_42 = "8008 0000 0009 002a"
REVEALED: dict[Quirk, Callable[[], None]] = {}


def shows(quirk: Quirk) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(function: Callable[[], None]) -> Callable[[], None]:
        REVEALED[quirk] = function
        return function

    return register


def remarks(octets: str) -> tuple[str, ...]:
    return decode_message(bytes.fromhex(octets)).remarks


@shows(quirks.WRONG_M_BIT)
def wrong_m_bit() -> None:
    # Vendor Name with M, Host Name without.
    body = f"{SCCRQ_START} 0009 0000 0007 6c6163 8007 0000 0008 78 {ASSIGNED_42}"
    assert remarks(body) == ("Host Name has a wrong M bit", "Vendor Name has a wrong M bit")


@shows(quirks.MISPLACED_AVP)
def misplaced_avp() -> None:
    body = f"{SCCRQ_START} {HOST_NAME_LAC} {ASSIGNED_42} 8008 0000 000e 0007"
    assert remarks(body) == ("Assigned Session ID does not belong in this message, ignored",)


@shows(quirks.REPEATED_AVP)
def repeated_avp() -> None:
    body = bytes.fromhex(f"{SCCRQ_START} {HOST_NAME_LAC} 8007 0000 0007 78 {ASSIGNED_42}")
    message = decode_message(body)
    assert message.remarks == ("Host Name came twice, the first counts",)
    assert message.host_name == "lac"  # type: ignore[attr-defined]


@shows(quirks.LONG_DATAGRAM)
def long_datagram() -> None:
    peer = ScriptedPeer(lns_config())
    peer.raw(encode_control(0, 0, 0, 0, encode_message(sccrq())) + bytes(18))
    assert peer.of(TunnelRequested)


@shows(quirks.RESERVED_HEADER_BITS)
def reserved_header_bits() -> None:
    peer = ScriptedPeer(lns_config())
    data = bytearray(encode_control(0, 0, 0, 0, encode_message(sccrq())))
    data[0] |= 0x35
    data[1] |= 0xF0
    peer.raw(bytes(data))
    assert peer.of(TunnelRequested)


@shows(quirks.OUT_OF_ORDER)
def out_of_order() -> None:
    peer = ScriptedPeer(lns_config())
    tunnel = peer.wait_ctl_conn()
    peer.ns += 1
    peer.say(icrq(), session_id=0)
    assert not peer.of(TunnelEstablished)
    peer.raw(encode_control(tunnel, 0, 1, peer.nr, encode_message(SCCCN())))
    assert peer.of(TunnelEstablished)
    assert [type(e).__name__ for e in peer.events].count("CallRequested") == 1


@shows(quirks.OTHER_PORT)
def other_port() -> None:
    peer = ScriptedPeer(lac_config())
    peer.wait_ctl_reply()
    peer.say(sccrp(), source=PEER._replace(port=40000))
    assert peer.of(PeerAddressChanged)[0].peer.port == 40000
    assert peer.of(TunnelEstablished)


@shows(quirks.MALFORMED_FAREWELL)
def malformed_farewell() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.body(bytes.fromhex("8008 0000 0000 0004 8008 0000 0001 0006 8008 0000 0009 0000"))
    (closed,) = peer.of(TunnelClosed)
    assert (closed.by_peer, closed.result_code) == (True, StopResult.SHUTTING_DOWN)


@shows(quirks.EARLY_LINK_REPORT)
def early_link_report() -> None:
    peer = ScriptedPeer(lac_config())
    tunnel, session = peer.call_wait_reply()
    peer.say(SLI(accm=Accm(1, 2)), session_id=session)
    assert peer.of(LinkInfoReceived)[0].accm == Accm(1, 2)
    info = peer.endpoint.describe_session(tunnel, session)
    assert info is not None
    assert info.accm == Accm(1, 2)
    # As LNS too, which is to send it and not to get it.
    peer = ScriptedPeer(lns_config())
    _, session = peer.call_established_as_lns()
    peer.say(SLI(accm=Accm(3, 4)), session_id=session)
    assert peer.of(LinkInfoReceived)[0].accm == Accm(3, 4)


@shows(quirks.EARLY_HELLO)
def early_hello() -> None:
    peer = ScriptedPeer(lns_config())
    peer.wait_ctl_conn()
    peer.body(bytes.fromhex("8008 0000 0000 0006"))
    peer.say(SCCCN())
    assert peer.of(TunnelEstablished)


@shows(quirks.STRAY_SESSION_ID)
def stray_session_id() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.say(icrq(assigned_session_id=5), session_id=9)
    # One that cannot be read is refused by its assigned id, too.
    peer.body(encode_message(icrq()) + bytes.fromhex("8008 0000 00ff 0000"), session_id=9)
    assert [event.peer_session_id for event in peer.of(CallRequested)] == [5]
    assert [event.peer_session_id for event in peer.of(SessionClosed)] == [PEER_SESSION_ID]


@shows(quirks.SESSION_ID_FOR_TUNNEL)
def session_id_for_tunnel() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.say(HELLO(), session_id=9)
    peer.pass_time(1)
    assert not peer.of(DatagramDropped)
    stop = StopCCN(result_code=ResultCode(1), assigned_tunnel_id=PEER_TUNNEL_ID)
    peer.say(stop, session_id=9)
    assert peer.of(TunnelClosed)[0].by_peer


@shows(quirks.OTHER_ASSIGNED_ID)
def other_assigned_id() -> None:
    peer = ScriptedPeer(lns_config())
    _, session = peer.call_established_as_lns()
    cdn = CDN(result_code=ResultCode(1), assigned_session_id=PEER_SESSION_ID + 1)
    peer.say(cdn, session_id=session)
    assert peer.of(SessionClosed)[0].by_peer
    peer.say(StopCCN(result_code=ResultCode(1), assigned_tunnel_id=PEER_TUNNEL_ID + 1))
    assert peer.of(TunnelClosed)[0].by_peer


@shows(quirks.PROXY_ID_UPPER_OCTET)
def proxy_id_upper_octet() -> None:
    body = encode_message(ICCN(framing_type=1, tx_connect_speed=1))
    message = decode_message(body + bytes.fromhex("0008 0000 0020 0709"))
    assert message.proxy_authen_id == 9  # type: ignore[attr-defined]


@shows(quirks.NEWER_REVISION)
def newer_revision() -> None:
    peer = ScriptedPeer(lns_config())
    peer.say(sccrq(protocol_version=ProtocolVersion(1, 7)), tunnel_id=0)
    assert peer.of(TunnelRequested)


@shows(quirks.UNADVERTISED_FRAMING)
def unadvertised_framing() -> None:
    peer = ScriptedPeer(lns_config(framing_capabilities=1))
    _, session = peer.call_wait_connect()
    peer.say(ICCN(framing_type=0xF2, tx_connect_speed=1), session_id=session)
    assert peer.of(SessionEstablished)[0].call.framing_type == 0xF2


@shows(quirks.UNKNOWN_RESULT)
def unknown_result() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    result = ResultCode(999, 77, "odd")
    peer.say(StopCCN(result_code=result, assigned_tunnel_id=PEER_TUNNEL_ID))
    (closed,) = peer.of(TunnelClosed)
    assert (closed.result_code, closed.error_code, closed.message) == (999, 77, "odd")
    assert "unknown result code" in closed.cause


@shows(quirks.NOT_UTF8)
def not_utf8() -> None:
    body = bytes.fromhex(f"{SCCRQ_START} 800a 0000 0007 6df6 6265 {ASSIGNED_42}")
    assert decode_message(body).host_name == "m\\xf6be"  # type: ignore[attr-defined]


@shows(quirks.UNASKED_RESPONSE)
def unasked_response() -> None:
    peer = ScriptedPeer(lns_config())
    peer.wait_ctl_conn()
    peer.say(SCCCN(challenge_response=bytes(16)))
    assert peer.of(TunnelEstablished)


@shows(quirks.SYMMETRIC_SPEED)
def symmetric_speed() -> None:
    assert CallParameters().rx_connect_speed_bps is None
    peer = ScriptedPeer(lac_config())
    peer.call_established_as_lac()
    (iccn,) = (message for message in peer.said if isinstance(message, ICCN))
    assert iccn.rx_connect_speed is None


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_each_quirk_is_taken(quirk: Quirk) -> None:
    REVEALED[quirk]()


def test_each_quirk_has_its_reason() -> None:
    assert len({quirk.name for quirk in QUIRKS}) == len(QUIRKS) == len(REVEALED)
    for quirk in QUIRKS:
        assert quirk.what
        assert quirk.why
        assert quirk.section.startswith("§")
