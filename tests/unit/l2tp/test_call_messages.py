"""Calls as their messages say them."""

from random import Random

import pytest

from l2tp.protocol.call_messages import (
    absorb,
    build,
    call_from_request,
    check_call,
    make_icrq,
    make_ocrq,
)
from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.constants import AvpType, ProxyAuthenType
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.hiding import MAXIMUM_HIDEABLE_SIZE, Hider
from l2tp.protocol.messages import HELLO, ICCN, ICRQ, OCRP
from l2tp.protocol.parameters import CallParameters

PROXY = {
    "proxy_authen_name": b"alice",
    "proxy_authen_challenge": b"c",
    "proxy_authen_id": 1,
    "proxy_authen_response": b"r",
}
# RFC 2661 §4.4.5, read by a person: what each Proxy Authen Type must come with.
NEEDS = {
    ProxyAuthenType.TEXTUAL: {"proxy_authen_name", "proxy_authen_response"},
    ProxyAuthenType.CHAP: set(PROXY),
    ProxyAuthenType.PAP: {"proxy_authen_name", "proxy_authen_id", "proxy_authen_response"},
    ProxyAuthenType.NONE: set(),
    ProxyAuthenType.MSCHAPV1: set(PROXY),
}


@pytest.mark.rfc2661("4.4.5-complete")
@pytest.mark.parametrize("kind", list(ProxyAuthenType))
@pytest.mark.parametrize("left_out", list(PROXY))
def test_a_call_has_what_its_proxy_authen_type_asks_for(
    kind: ProxyAuthenType, left_out: str
) -> None:
    values = {**PROXY, left_out: None}
    call = CallParameters(proxy_authen_type=int(kind), **values)  # type: ignore[arg-type]
    if left_out in NEEDS[kind]:
        with pytest.raises(LocalProtocolError, match=f"needs its {left_out}"):
            check_call(call, outgoing=False)
    else:
        check_call(call, outgoing=False)


@pytest.mark.parametrize("outgoing", [False, True])
def test_what_a_call_says_fits_also_hidden(outgoing: bool) -> None:
    hider = Hider(b"secret", {AvpType.CALLED_NUMBER}, Random(1))
    for size in range(MAXIMUM_HIDEABLE_SIZE - 20, MAXIMUM_HIDEABLE_SIZE + 1):
        call = CallParameters(called_number="5" * size)
        check_call(call, outgoing=outgoing)
        body = encode_message(make_icrq(call, 1), hider=hider)
        message = decode_message(body, secret=b"secret")
        assert isinstance(message, ICRQ)
        assert message.called_number == call.called_number
    call = CallParameters(called_number="5" * (MAXIMUM_HIDEABLE_SIZE + 1))
    with pytest.raises(LocalProtocolError, match=r"called_number has 1016 octets.*shorten it"):
        check_call(call, outgoing=outgoing)


def test_a_call_comes_back_from_its_messages() -> None:
    call = CallParameters(
        call_serial_number=4,
        called_number="1",
        calling_number="2",
        sub_address="3",
        bearer_type=1,
        physical_channel_id=6,
        tx_connect_speed_bps=7,
        rx_connect_speed_bps=8,
        framing_type=1,
        private_group_id=b"g",
        initial_received_lcp_confreq=b"i",
        proxy_authen_type=4,
    )
    asked = call_from_request(make_icrq(call, 9))
    assert absorb(asked, build(ICCN, call)) == call
    outgoing = CallParameters(
        call_serial_number=4,
        called_number="1",
        sub_address="3",
        bearer_type=1,
        framing_type=1,
        minimum_bps=5,
        maximum_bps=6,
        tx_connect_speed_bps=0,
    )
    assert call_from_request(make_ocrq(outgoing, 9)) == outgoing
    channel = OCRP(assigned_session_id=1, physical_channel_id=3)
    assert absorb(outgoing, channel).physical_channel_id == 3
    assert absorb(call, HELLO()) == call
