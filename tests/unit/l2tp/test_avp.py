import dataclasses

import pytest

from l2tp.protocol.access_line import AccessLine
from l2tp.protocol.avp import AVP_TABLE, RULES, RawAvp, encode_avp, find_rule, split_avps
from l2tp.protocol.constants import AvpType, MessageType
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.messages import MESSAGE_CLASSES, ControlMessage

# RFC 2661 §6, read by a person: which AVPs (attribute numbers) each message must and may carry.
SECTION_6 = {
    "SCCRQ": ({2, 3, 7, 9}, {4, 5, 6, 8, 10, 11}),
    "SCCRP": ({2, 3, 7, 9}, {4, 6, 8, 10, 11, 13}),
    "SCCCN": (set(), {13}),
    "StopCCN": ({1, 9}, set()),
    "HELLO": (set(), set()),
    "ICRQ": ({14, 15}, {18, 21, 22, 23, 25, 98}),
    "ICRP": ({14}, set()),
    "ICCN": ({19, 24}, {26, 27, 28, 29, 30, 31, 32, 33, 37, 38, 39}),
    "OCRQ": ({14, 15, 16, 17, 18, 19, 21}, {23}),
    "OCRP": ({14}, {25}),
    "OCCN": ({19, 24}, {38, 39}),
    "CDN": ({1, 14}, {12, 46}),
    "WEN": ({34}, set()),
    "SLI": ({35}, set()),
    "CSUN": ({97}, set()),
    "CSURQ": ({97}, set()),
}
WITHOUT_M = {5, 6, 8, 25, 26, 27, 28, 29, 30, 31, 32, 33, 37, 38, 46, 97, 98}
LINE = {1, 2, *range(129, 143), 144, 145, 254}
NEVER_HIDDEN = {0, 1, 2, 5, 7, 10, 12, 36, 39}


def test_every_attribute_has_one_row() -> None:
    assert len(RULES) == len(AvpType) == 42
    assert set(RULES) == set(range(40)) - {20} | {46, 97, 98}
    assert len(AVP_TABLE) == 42 + len(LINE)


def test_the_line_is_described_in_an_icrq_only() -> None:
    rules = [rule for rule in AVP_TABLE if rule.vendor_id]
    assert {int(rule.type) for rule in rules} == LINE
    for rule in rules:
        assert (rule.vendor_id, rule.mandatory_bit, rule.may_hide) == (3561, False, True)
        assert (rule.required_in, rule.optional_in) == (frozenset(), {MessageType.ICRQ})
        assert find_rule(3561, rule.type) is rule
    assert {rule.field for rule in rules} == {
        field.name for field in dataclasses.fields(AccessLine)
    }


@pytest.mark.rfc2661("6-avps")
@pytest.mark.parametrize("kind", list(MessageType))
def test_messages_carry_what_section_6_says(kind: MessageType) -> None:
    rules = RULES.values()
    must = {int(rule.type) for rule in rules if kind in rule.required_in}
    may = {int(rule.type) for rule in rules if kind in rule.optional_in}
    expected_must, expected_may = SECTION_6[kind.name]
    assert must == expected_must | {0}
    assert may == expected_may | {36}


@pytest.mark.rfc2661("4.4.1-bits")
def test_bits_are_those_of_section_4() -> None:
    assert {kind for kind, rule in RULES.items() if not rule.mandatory_bit} == WITHOUT_M
    assert {kind for kind, rule in RULES.items() if not rule.may_hide} == NEVER_HIDDEN


@pytest.mark.parametrize("kind", list(MessageType))
def test_dataclasses_agree_with_the_table(kind: MessageType) -> None:
    own = {field.name: field for field in dataclasses.fields(MESSAGE_CLASSES[kind])}
    for inherited in dataclasses.fields(ControlMessage):
        del own[inherited.name]
    rules = {
        rule.group or rule.field: rule
        for rule in AVP_TABLE
        if kind in rule.required_in | rule.optional_in and rule.type not in (0, 36)
    }
    assert own.keys() == rules.keys()
    for name, field in own.items():
        is_required = field.default is dataclasses.MISSING
        assert is_required == (kind in rules[name].required_in), name


@pytest.mark.rfc2661("4.1-length")
def test_splits() -> None:
    body = bytes.fromhex("8008 0000 0000 0006") + bytes.fromhex("4c09 0009 002a aabbcc")
    avps, broken = split_avps(body)
    assert broken is None
    assert avps == [
        RawAvp(True, False, 0, 0, 0, b"\x00\x06"),
        RawAvp(False, True, 0x0C00, 9, 42, b"\xaa\xbb\xcc"),
    ]


@pytest.mark.rfc2661("4.1-length")
@pytest.mark.parametrize(
    ("octets", "whole", "text"),
    [
        ("8008 0000 0000 0006 8008 0000 00", 1, "5 octets at 8"),
        ("8008 0000 0000 0006 8005 0000 0001", 1, "Length of 5"),
        ("8008 0000 0000 0006 8000 0000 0001", 1, "Length of 0"),
        ("8009 0000 0000 0006", 0, "AVP 0 at 0 has a Length of 9"),
    ],
)
def test_keeps_what_came_before_a_bad_length(octets: str, whole: int, text: str) -> None:
    avps, broken = split_avps(bytes.fromhex(octets))
    assert len(avps) == whole
    assert broken is not None
    assert text in broken


@pytest.mark.rfc2661("4.1-largest")
def test_largest_avp_fits_and_a_larger_one_does_not() -> None:
    data = encode_avp(7, bytes(1017), mandatory=True)
    assert split_avps(data) == ([RawAvp(True, False, 0, 0, 7, bytes(1017))], None)
    with pytest.raises(LocalProtocolError, match="1024 octets"):
        encode_avp(7, bytes(1018), mandatory=True)


@pytest.mark.parametrize(
    ("avp", "text"),
    [
        (RawAvp(True, False, 0, 0, 7, b""), "Host Name"),
        (RawAvp(True, False, 0, 9, 7, b""), "AVP 7 of vendor 9"),
        (RawAvp(True, False, 0, 0, 20, b""), "AVP 20 of vendor 0"),
    ],
)
def test_names_an_avp(avp: RawAvp, text: str) -> None:
    assert avp.describe() == text
