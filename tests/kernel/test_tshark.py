"""tshark, which knows nothing of us, reads everything that we send.

It needs no driver, but lives where the driver does: in the appliance.
"""

from __future__ import annotations

import pytest

from l2tp.protocol.codec import encode_message
from l2tp.protocol.header import encode_control, encode_data
from tests.support.dissection import LAC, LNS, dissect, write_capture
from tests.support.sample_messages import full_messages, hidden_bodies

pytestmark = pytest.mark.kernel


def datagrams():
    bodies = {kind.name: encode_message(m) for kind, m in full_messages().items()}
    hidden = {f"{kind.name} hidden": body for kind, body in hidden_bodies().items()}
    named = {"ZLB": b"", **bodies, **hidden}
    return [
        (name, by_lac, encode_control(7, 9, number, 3, body))
        for by_lac in (True, False)
        for number, (name, body) in enumerate(named.items())
    ]


def test_every_message_is_dissected_without_a_mark(tmp_path):
    sent = datagrams()
    seen = dissect(write_capture([(by_lac, data) for _, by_lac, data in sent], tmp_path))
    assert len(seen) == len(sent)
    marks = [
        (name, one.warnings)
        for (name, _, _), one in zip(sent, seen, strict=True)
        if one.severity or "_ws.malformed" in one.protocols
    ]
    assert marks == []
    for (name, by_lac, _), one in zip(sent, seen, strict=True):
        # An ICCN goes on with the PPP options that it carries.
        assert one.protocols.startswith("eth:ethertype:ip:udp:l2tp"), (name, one)
        assert one.source == (LAC if by_lac else LNS)
        assert one.summary.startswith("Control Message"), (name, one)


@pytest.mark.long
def test_a_broken_message_is_marked(tmp_path):
    """Or the other test would show nothing."""
    _, by_lac, data = datagrams()[1]
    broken = data[:12] + b"\x80\x04" + data[14:]
    (seen,) = dissect(write_capture([(by_lac, broken)], tmp_path))
    assert seen.severity or "_ws.malformed" in seen.protocols


@pytest.mark.long
def test_data_with_every_header_is_dissected_without_a_mark(tmp_path):
    frame = bytes.fromhex("ff03c0210901000800000000")
    sent = [(True, encode_data(7, 9, frame)), (False, encode_data(7, 9, frame))]
    for one in dissect(write_capture(sent, tmp_path)):
        assert one.protocols == "eth:ethertype:ip:udp:l2tp:ppp:lcp"
        assert not one.severity
