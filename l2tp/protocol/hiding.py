"""Tunnel authentication (RFC 2661 §5.1.1) and the hiding of AVP values (§4.3), both on MD5."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Collection
from hashlib import md5
from random import Random
from typing import Final

from l2tp.protocol.avp import AVP_HEADER_SIZE, MAXIMUM_AVP_SIZE
from l2tp.protocol.constants import ErrorCode, MessageType
from l2tp.protocol.errors import RemoteProtocolError
from l2tp.protocol.wire import Reader

CHALLENGE_SIZE: Final = 16
RANDOM_VECTOR_SIZE: Final = 16
_BLOCK_SIZE: Final = 16
_UINT16: Final = struct.Struct(">H")
_LENGTH_SIZE: Final = 2
_MAXIMUM_HIDDEN_SIZE: Final = MAXIMUM_AVP_SIZE - AVP_HEADER_SIZE
MAXIMUM_HIDEABLE_SIZE: Final = _MAXIMUM_HIDDEN_SIZE - _LENGTH_SIZE
"""Octets of the longest value that fits into its AVP hidden: 1015 (§4.1, §4.3)."""


def challenge_response(message_type: MessageType, secret: bytes, challenge: bytes) -> bytes:
    """Answer `challenge` in a message of this type: 16 octets (§5.1.1, §4.4.3).

    The id of the CHAP computation is the type of the message that carries the answer: SCCRP, SCCCN.
    """
    return _md5(bytes((message_type,)) + secret + challenge)


def is_response_right(
    response: bytes, message_type: MessageType, secret: bytes, challenge: bytes
) -> bool:
    """Whether `response`, received in a message of this type, answers our `challenge`."""
    return hmac.compare_digest(response, challenge_response(message_type, secret, challenge))


def hide(
    avp_type: int, value: bytes, *, secret: bytes, random_vector: bytes, padding: bytes = b""
) -> bytes:
    """Hide an AVP's value: length, value and padding XORed with an MD5 chain (§4.3)."""
    plain = _UINT16.pack(len(value)) + value + padding
    return _chain(avp_type, plain, secret, random_vector, from_cipher=False)


def reveal(avp_type: int, hidden: bytes, *, secret: bytes, random_vector: bytes) -> bytes:
    """Undo hide(); raises RemoteProtocolError where the length inside does not fit (§4.3).

    A wrong secret usually shows as such a length.
    """
    plain = _chain(avp_type, hidden, secret, random_vector, from_cipher=True)
    reader = Reader(plain, section="§4.3")
    if len(plain) < 2 or _UINT16.unpack_from(plain)[0] > len(plain) - 2:
        raise RemoteProtocolError(
            f"the hidden AVP {avp_type} reveals no value: do both ends have the same secret?",
            section="§4.3",
            error=ErrorCode.LENGTH_IS_WRONG,
        )
    return reader.octets(reader.uint16())


def _chain(
    avp_type: int, data: bytes, secret: bytes, random_vector: bytes, *, from_cipher: bool
) -> bytes:
    result = bytearray()
    pad = _md5(_UINT16.pack(avp_type) + secret + random_vector)
    for start in range(0, len(data), _BLOCK_SIZE):
        block = data[start : start + _BLOCK_SIZE]
        output = bytes(a ^ b for a, b in zip(block, pad, strict=False))
        result += output
        pad = _md5(secret + (block if from_cipher else output))
    return bytes(result)


def _md5(data: bytes) -> bytes:
    # The protocol fixes MD5; the flag lets it run where policy forbids it for security.
    return md5(data, usedforsecurity=False).digest()


class Hider:
    """Hides the AVPs of `types` in the messages of one tunnel (§4.3).

    Values are padded with random octets, so that their lengths are hidden too.
    """

    __slots__ = ("_random", "_secret", "types")

    def __init__(self, secret: bytes, types: Collection[int], random: Random) -> None:
        self._secret = secret
        self._random = random
        self.types = types

    def random_vector(self) -> bytes:
        """A new value for the Random Vector AVP, which is never used again."""
        return self._random.randbytes(RANDOM_VECTOR_SIZE)

    def hide(self, avp_type: int, value: bytes, random_vector: bytes) -> bytes:
        """The value as it travels."""
        size = _LENGTH_SIZE + len(value)
        wanted = min(-size % _BLOCK_SIZE, max(0, _MAXIMUM_HIDDEN_SIZE - size))
        padding = self._random.randbytes(wanted)
        return hide(
            avp_type, value, secret=self._secret, random_vector=random_vector, padding=padding
        )


class Authentication:
    """Both directions of one tunnel's authentication; without a secret it asks nothing (§5.1.1)."""

    __slots__ = ("challenge", "secret")

    def __init__(self, secret: bytes | None, random: Random, *, challenges: bool) -> None:
        self.secret = secret
        """What both ends share, for challenges and for hidden AVPs."""
        self.challenge: bytes | None = None
        """What we challenge the peer with; None when we do not."""
        if secret is not None and challenges:
            self.challenge = random.randbytes(CHALLENGE_SIZE)

    @property
    def is_required(self) -> bool:
        """Whether the peer must prove that it knows the secret."""
        return self.challenge is not None

    def respond(self, kind: MessageType, challenge: bytes | None) -> bytes | None:
        """Our Challenge Response for a message of this type; None when it needs none."""
        if challenge is None or self.secret is None:
            return None
        return challenge_response(kind, self.secret, challenge)

    def find_fault(
        self, kind: MessageType, *, response: bytes | None, challenge: bytes | None = None
    ) -> str | None:
        """What is wrong with the peer's part in a message of this type; None when all is well."""
        if challenge is not None and self.secret is None:
            return "the peer asks for tunnel authentication, and no secret is configured for it"
        if kind is MessageType.SCCRQ or self.secret is None or self.challenge is None:
            return None
        # A Challenge MUST be answered in the next message (§4.4.3).
        if response is None:
            return "no Challenge Response: the peer has no secret configured for us"
        if not is_response_right(response, kind, self.secret, self.challenge):
            return "the Challenge Response is wrong: the two ends have different secrets"
        return None
