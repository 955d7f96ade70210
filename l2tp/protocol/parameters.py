"""What callers hand to an endpoint: addresses, its configuration, a call's description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from l2tp.protocol.access_line import AccessLine
from l2tp.protocol.constants import MAXIMUM_ID, AvpType, Bearer, Framing
from l2tp.protocol.limits import Limits

WORTH_HIDING: Final[frozenset[int]] = frozenset(
    {
        AvpType.CALLED_NUMBER,
        AvpType.CALLING_NUMBER,
        AvpType.SUB_ADDRESS,
        AvpType.PRIVATE_GROUP_ID,
        AvpType.PROXY_AUTHEN_NAME,
        AvpType.PROXY_AUTHEN_CHALLENGE,
        AvpType.PROXY_AUTHEN_ID,
        AvpType.PROXY_AUTHEN_RESPONSE,
    }
)
"""The AVPs that say who calls, and what proves it."""


class Address(NamedTuple):
    """One end of a UDP flow: the numeric host as recvfrom() gives it, and the port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Datagram(NamedTuple):
    """What must be sent: through this tunnel's socket (the listener if it has none yet)."""

    local_tunnel_id: int
    destination: Address
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParameters:
    """What is said of a call: ICRQ and ICCN, or OCRQ, OCRP and OCCN (RFC 2661 §6.6 to §6.11).

    Speeds are bit/s (uint32), numbers ASCII text, `bearer_type` and `framing_type` the bits of
    Bearer and Framing, LCP CONFREQs the options without code, identifier and length. None leaves
    the AVP out; a `call_serial_number` (uint32) or `framing_type` of None lets the endpoint choose.

    Only an outgoing call has `minimum_bps` and `maximum_bps`, the speeds that the LNS asks for
    (None: any); its `bearer_type` of None asks for whatever the LAC has. `access_line` and
    `connect_speed_update_enable` are the ICRQ's (RFC 5515).
    """

    call_serial_number: int | None = None
    bearer_type: int | None = None
    physical_channel_id: int | None = None
    called_number: str | None = None
    calling_number: str | None = None
    sub_address: str | None = None
    minimum_bps: int | None = None
    maximum_bps: int | None = None
    access_line: AccessLine | None = None
    connect_speed_update_enable: bool = False
    tx_connect_speed_bps: int = 1_000_000_000
    rx_connect_speed_bps: int | None = None
    framing_type: int | None = None
    sequencing_required: bool = False
    private_group_id: bytes | None = None
    initial_received_lcp_confreq: bytes | None = None
    last_sent_lcp_confreq: bytes | None = None
    last_received_lcp_confreq: bytes | None = None
    proxy_authen_type: int | None = None
    proxy_authen_name: bytes | None = None
    proxy_authen_challenge: bytes | None = None
    proxy_authen_id: int | None = None
    proxy_authen_response: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """How an endpoint presents itself, what it accepts, and its timers in seconds.

    `secret` authenticates tunnels (RFC 2661 §5.1.1) with every peer, `secrets` overrides it by
    the peer's host name, for tunnels that the peer opens. The retransmission cap should be 8 s or
    more (§5.8); `acknowledgement_delay_s` of 0 acknowledges at once. `retention_s` of None keeps
    a closed tunnel for one full retransmission cycle (§5.7). `hello_interval_s` of 0 sends no
    HELLO (§5.5). With `dead_time_s` a peer is given up that owes an acknowledgement and was heard
    before, but not for so long, however many retransmissions are left; a set-up has its own limit.

    `accepts_calls` is an LNS's (ICRQ), `accepts_outgoing_calls` a LAC's that dials for its LNS
    (OCRQ). `single_tunnel` sends a Tie Breaker, so that of two tunnels that we and a peer open at
    the same moment one remains (§4.4.3).

    With a secret, a tunnel's peer is challenged unless `challenges` is False (its own challenge is
    answered all the same), and what it is told of `hidden_avps` is hidden (§4.3): attribute types
    whose rows in the AVP table allow it.
    """

    host_name: str
    vendor_name: str = "l2tp-lab"
    firmware_revision: int | None = None
    framing_capabilities: int = int(Framing.SYNCHRONOUS | Framing.ASYNCHRONOUS)
    bearer_capabilities: int | None = int(Bearer.DIGITAL | Bearer.ANALOG)
    receive_window_size: int = 16
    accepts_tunnels: bool = False
    accepts_calls: bool = False
    accepts_outgoing_calls: bool = False
    maximum_tunnels: int = 1024
    maximum_sessions_per_tunnel: int = MAXIMUM_ID
    limits: Limits = field(default_factory=Limits)
    secret: bytes | None = None
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    challenges: bool = True
    hidden_avps: frozenset[int] = WORTH_HIDING
    single_tunnel: bool = False
    retransmission_initial_s: float = 1.0
    retransmission_cap_s: float = 8.0
    maximum_retransmissions: int = 5
    acknowledgement_delay_s: float = 0.05
    hello_interval_s: float = 60.0
    dead_time_s: float | None = None
    tunnel_setup_timeout_s: float = 60.0
    session_setup_timeout_s: float = 60.0
    retention_s: float | None = None

    def secret_for(self, host_name: str) -> bytes | None:
        """What we share with the peer of this Host Name."""
        return self.secrets.get(host_name, self.secret)

    def retransmission_cycle_s(self) -> float:
        """Time from a message's first transmission to giving it up (RFC 2661 §5.8)."""
        return sum(
            min(self.retransmission_initial_s * float(2**count), self.retransmission_cap_s)
            for count in range(self.maximum_retransmissions + 1)
        )

    def retention_period_s(self) -> float:
        """Time that a closed tunnel's state is kept (RFC 2661 §5.7)."""
        return self.retransmission_cycle_s() if self.retention_s is None else self.retention_s
