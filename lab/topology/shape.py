"""What each part of a topology file may hold, field by field (pydantic models).

Each item of a list is checked on its own, so that the rules between items can still be checked for
those items that are sound.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[a-z][a-z0-9-]*$"


def _prefix(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        if "host bits" in str(error):
            whole = ip_network(text, strict=False)
            raise ValueError(f"{text} has host bits set; did you mean {whole}?") from None
        raise ValueError(
            f'"{text}" is not a prefix; write one like 192.0.2.0/24 or "2001:db8::/64"'
        ) from None


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(
            f'"{text}" is not an address; write one like 192.0.2.1 or "2001:db8::1"'
        ) from None


Prefix = Annotated[str, AfterValidator(_prefix)]
IpAddress = Annotated[str, AfterValidator(_address)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Shape(BaseModel):
    """The base of all shapes: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RouteShape(Shape):
    """A node's static route."""

    to: Prefix
    via: IpAddress


class NodeShape(Shape):
    """A node; ``forwarding`` follows from the kind unless it is given, the daemon is ours."""

    name: Name
    kind: Literal["lac", "router", "lns", "host"]
    forwarding: bool | None = None
    routes: list[RouteShape] = []
    sysctls: dict[str, str | int] = {}
    nat: str | None = None
    daemon: Literal["l2tp-lab", "xl2tpd"] | None = None


class ImpairmentShape(Shape):
    """What netem does at one end of a link."""

    delay_ms: float = Field(default=0, ge=0, le=60_000)
    jitter_ms: float = Field(default=0, ge=0, le=60_000)
    loss_percent: Percent = 0
    duplicate_percent: Percent = 0
    corrupt_percent: Percent = 0
    reorder_percent: Percent = 0
    reorder_gap_packets: int = Field(default=0, ge=0, le=1_000_000)
    rate_kbit: int = Field(default=0, ge=0, le=100_000_000)
    limit_packets: int = Field(default=0, ge=0, le=10_000_000)


class LinkShape(Shape):
    """A link between two nodes; addresses, interfaces and impairments go by node."""

    ends: list[str] = Field(min_length=2, max_length=2)
    prefixes: list[Prefix] = Field(min_length=1)
    addresses: dict[str, list[IpAddress]]
    mtu: int = Field(default=1500, ge=68, le=65535)
    interfaces: dict[str, Annotated[str, Field(pattern=NAME_PATTERN)]] = {}
    impairments: dict[str, ImpairmentShape] = {}


class UserIpv6Shape(Shape):
    """A user's own prefix, and the address that the LAC holds of it; advertised without one."""

    prefix: Prefix
    address: IpAddress | None = None


class UserShape(Shape):
    """A PPP user."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=128)]
    ipv4: IpAddress | None = None
    ipv6: UserIpv6Shape | None = None


class PppShape(Shape):
    """PPP on all sessions; the MRU is the MTU unless it is given."""

    mtu: int = Field(default=1458, ge=128, le=16384)
    mru: int | None = Field(default=None, ge=128, le=16384)
    auth: Literal["chap", "mschap-v2", "pap", "none"] = "chap"
    ipv4: bool = True
    ipv6: bool = True
    dns: list[IpAddress] = Field(default=[], max_length=2)
    idle_timeout_s: int = Field(default=0, ge=0, le=365 * 86400)
    session_timeout_s: int = Field(default=0, ge=0, le=365 * 86400)
    echo_interval_s: int = Field(default=30, ge=0, le=3600)
    echo_failures: int = Field(default=4, ge=0, le=100)


class LnsShape(Shape):
    """What an LNS gives out."""

    node: str
    pool: Prefix
    address: IpAddress


class CallShape(Shape):
    """A call that a LAC places; with ``count``, as many, by users of numbered names."""

    user: str
    count: int | None = Field(default=None, ge=1, le=1000)
    routes: list[Prefix] = []


class IpsecShape(Shape):
    """How a tunnel is protected: by one of the two."""

    psk: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    certificates: bool = False
    dead_peer_s: int = Field(default=3, ge=1, le=3600)


class TunnelShape(Shape):
    """A tunnel from a LAC to an LNS, over IPv4 unless it says otherwise; or ``count`` of them."""

    name: Name | None = None
    count: int | None = Field(default=None, ge=1, le=100)
    from_: str = Field(alias="from")
    to: str
    over: Literal["ipv4", "ipv6"] = "ipv4"
    secret: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    ipsec: IpsecShape | None = None
    calls: list[CallShape] = []


class L2tpShape(Shape):
    """The L2TP part; its lists are checked item by item."""

    port: int = Field(default=1701, ge=1, le=65535)
    ppp: Any = {}
    users: list[Any] = []
    lns: list[Any] = []
    tunnels: list[Any] = []


class TopologyShape(Shape):
    """The whole file; its lists are checked item by item."""

    name: Name
    about: str = ""
    nodes: list[Any] = Field(min_length=1)
    links: list[Any] = []
    l2tp: Any = {}
