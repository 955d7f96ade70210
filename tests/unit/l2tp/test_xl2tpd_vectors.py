"""What xl2tpd really sends is understood: octets of captures, tests/vectors/xl2tpd.json."""

import json
from pathlib import Path

import pytest

from l2tp.protocol.avp import split_avps
from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.constants import AvpType
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.header import CONTROL_HEADER_SIZE, ControlHeader, decode_header, encode_control
from l2tp.protocol.messages import CDN, ICCN, OCRQ, SCCRP, SCCRQ, ControlMessage, StopCCN

PATH = Path(__file__).parents[2] / "vectors" / "xl2tpd.json"
TAKEN = json.loads(PATH.read_text(encoding="utf-8"))
EXCHANGES = {exchange["name"]: exchange["octets"] for exchange in TAKEN["exchanges"]}
ALL = [octets for exchange in EXCHANGES.values() for octets in exchange]


def parts(octets: str) -> tuple[ControlHeader, bytes]:
    data = bytes.fromhex(octets)
    header = decode_header(data)
    assert isinstance(header, ControlHeader)
    return header, data[CONTROL_HEADER_SIZE : header.length]


def messages(name: str) -> list[ControlMessage]:
    """The messages of an exchange without ZLBs and what was sent again."""
    bodies = [parts(octets)[1] for octets in EXCHANGES[name]]
    return [decode_message(body) for body in dict.fromkeys(bodies) if body]


def test_it_is_said_where_they_come_from():
    assert TAKEN["program"].startswith("xl2tpd 1.3.18")
    assert TAKEN["kernel"]
    assert "tcpdump" in TAKEN["how"]
    assert TAKEN["command"].endswith("tests.vectors.take")


@pytest.mark.parametrize("octets", ALL)
def test_nothing_is_odd_and_we_would_say_the_same(octets):
    header, body = parts(octets)
    assert encode_control(*header[1:], body) == bytes.fromhex(octets)
    if not body:
        return
    message = decode_message(body)
    assert message.remarks == message.unrecognized == ()
    theirs, ours = (split_avps(one)[0] for one in (body, encode_message(message)))
    # “hidden bit = yes” adds a vector that nothing needs: xl2tpd then hides nothing.
    assert sorted(ours) == sorted(avp for avp in theirs if avp.type != AvpType.RANDOM_VECTOR)


def test_types_in_the_order_of_their_exchange():
    assert [one.name for one in messages("as-lns")] == ["SCCRP", "ICRP", "ICRP", "HELLO"]
    lac = ["SCCRQ", "SCCCN", "ICRQ", "ICCN", "CDN", "StopCCN"]
    assert [one.name for one in messages("as-lac")] == lac
    assert [one.name for one in messages("dials")][:3] == ["SCCRQ", "SCCCN", "OCRQ"]


def test_what_they_say():
    sccrp = messages("as-lns")[0]
    assert isinstance(sccrp, SCCRP)
    assert (sccrp.host_name, sccrp.vendor_name) == ("lns", "xelerance.com")
    assert sccrp.receive_window_size == 4
    assert sccrp.challenge and sccrp.challenge_response
    sccrq, _, _, iccn, cdn, stop = messages("as-lac")
    assert isinstance(sccrq, SCCRQ)
    assert sccrq.firmware_revision == 1680
    assert isinstance(iccn, ICCN)
    assert (iccn.framing_type, iccn.tx_connect_speed) == (1, 0)
    assert isinstance(cdn, CDN)
    assert cdn.result_code == ResultCode(1, 0)
    assert isinstance(stop, StopCCN)
    assert stop.result_code == ResultCode(1, 0, "Goodbye!")
    ocrq = messages("dials")[2]
    assert isinstance(ocrq, OCRQ)
    assert (ocrq.called_number, ocrq.bearer_type) == ("5551234", 0)
    assert (ocrq.minimum_bps, ocrq.maximum_bps) == (10_000, 10_000_000)
