import hashlib
from random import Random

import pytest

from l2tp.protocol.constants import MessageType
from l2tp.protocol.errors import RemoteProtocolError
from l2tp.protocol.hiding import Authentication, challenge_response, hide, is_response_right, reveal

SECRET = b"tunnel secret"
VECTOR = bytes(range(16))


@pytest.mark.rfc2661("5.1.1-response")
def test_response_is_the_chap_digest_with_the_message_type_as_id() -> None:
    expected = hashlib.md5(b"\x02" + SECRET + b"challenge").digest()
    assert challenge_response(MessageType.SCCRP, SECRET, b"challenge") == expected
    assert is_response_right(expected, MessageType.SCCRP, SECRET, b"challenge")
    assert not is_response_right(expected, MessageType.SCCCN, SECRET, b"challenge")
    assert not is_response_right(expected, MessageType.SCCRP, SECRET, b"challengf")


@pytest.mark.rfc2661("4.3-chain")
def test_hiding_follows_the_chain_of_section_4_3() -> None:
    # Written out block by block, as the RFC does, for a value of two blocks and a bit.
    value = bytes(range(100, 135))
    plain = b"\x00\x23" + value
    first = hashlib.md5(b"\x00\x15" + SECRET + VECTOR).digest()
    c1 = bytes(a ^ b for a, b in zip(plain[:16], first, strict=True))
    second = hashlib.md5(SECRET + c1).digest()
    c2 = bytes(a ^ b for a, b in zip(plain[16:32], second, strict=True))
    third = hashlib.md5(SECRET + c2).digest()
    c3 = bytes(a ^ b for a, b in zip(plain[32:], third, strict=False))
    assert hide(21, value, secret=SECRET, random_vector=VECTOR) == c1 + c2 + c3


@pytest.mark.rfc2661("4.3-padding")
@pytest.mark.parametrize("size", [0, 1, 13, 14, 15, 30, 31, 200])
@pytest.mark.parametrize("padding", [b"", b"some padding of 24 octet"])
def test_hidden_values_come_back(size: int, padding: bytes) -> None:
    value = bytes(size)
    hidden = hide(21, value, secret=SECRET, random_vector=VECTOR, padding=padding)
    assert len(hidden) == 2 + size + len(padding)
    assert reveal(21, hidden, secret=SECRET, random_vector=VECTOR) == value


@pytest.mark.parametrize("hidden", [b"", b"x", hide(21, bytes(9), secret=b"", random_vector=b"")])
def test_what_reveals_no_value_is_refused(hidden: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="same secret"):
        reveal(21, hidden, secret=SECRET, random_vector=VECTOR)


@pytest.mark.rfc2661("5.1.1-secret")
def test_each_end_can_prove_itself() -> None:
    here, there = (
        Authentication(SECRET, Random(1), challenges=True),
        Authentication(SECRET, Random(2), challenges=True),
    )
    response = there.respond(MessageType.SCCRP, here.challenge)
    assert response is not None
    assert here.find_fault(MessageType.SCCRP, response=response, challenge=there.challenge) is None


def test_without_a_secret_nothing_is_asked() -> None:
    open_end = Authentication(None, Random(1), challenges=True)
    assert open_end.challenge is None
    assert open_end.respond(MessageType.SCCRP, None) is None
    assert open_end.find_fault(MessageType.SCCRP, response=None) is None


@pytest.mark.rfc2661("5.1.1-refuse")
@pytest.mark.parametrize(
    ("secret", "kind", "response", "challenge", "fault"),
    [
        (None, MessageType.SCCRQ, None, b"x", "no secret is configured"),
        (SECRET, MessageType.SCCRQ, None, b"x", None),
        (SECRET, MessageType.SCCRP, None, None, "no Challenge Response"),
        (SECRET, MessageType.SCCRP, bytes(16), None, "different secrets"),
        (SECRET, MessageType.SCCCN, bytes(16), None, "different secrets"),
    ],
)
def test_names_the_fault(
    secret: bytes | None,
    kind: MessageType,
    response: bytes | None,
    challenge: bytes | None,
    fault: str | None,
) -> None:
    end = Authentication(secret, Random(1), challenges=True)
    found = end.find_fault(kind, response=response, challenge=challenge)
    assert (found is None) if fault is None else (found is not None and fault in found)
