"""The tables [protocol] and [limits] of a daemon's configuration → l2tp.protocol.parameters."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

from l2tp.config.avp_text import read_avp_text
from l2tp.config.credentials import Credentials
from l2tp.config.toml_table import Table
from l2tp.protocol.avp import AVP_TABLE
from l2tp.protocol.constants import MAXIMUM_ID, MessageType
from l2tp.protocol.limits import Limits
from l2tp.protocol.parameters import WORTH_HIDING, EndpointConfig

_HOUR_S: Final = 3600.0
_NOT_SET: Final = -1.0
_MANY: Final = 1_000_000

# [protocol]: fields of EndpointConfig, lowest and highest value.
_PROTOCOL_NUMBERS: Final = (
    ("retransmission_initial_s", 0.05, 60.0),
    ("retransmission_cap_s", 0.05, 60.0),
    ("acknowledgement_delay_s", 0.0, 1.0),
    ("hello_interval_s", 0.0, _HOUR_S),
    ("tunnel_setup_timeout_s", 1.0, _HOUR_S),
    ("session_setup_timeout_s", 1.0, _HOUR_S),
)
_PROTOCOL_INTEGERS: Final = (
    ("receive_window_size", 1, 0x8000),
    ("maximum_retransmissions", 1, 100),
)
# [limits]: fields of EndpointConfig, then of its Limits.
_TOTALS: Final = (
    ("maximum_tunnels", 1, MAXIMUM_ID),
    ("maximum_sessions_per_tunnel", 1, MAXIMUM_ID),
)
_PER_PEER: Final = (
    ("maximum_tunnels_per_peer", 0, MAXIMUM_ID),
    ("maximum_half_open_tunnels", 0, MAXIMUM_ID),
    ("maximum_half_open_tunnels_per_peer", 0, MAXIMUM_ID),
    ("maximum_sessions_per_peer", 0, _MANY),
    ("messages_per_s_per_peer", 0, _MANY),
    ("maximum_waiting_messages", 0, _MANY),
)
# In memory there is no wire to defend; a daemon has one. A call takes six messages.
_DAEMONS_OWN: Final = {"messages_per_s_per_peer": 1000}
_HIDEABLE: Final = tuple(rule for rule in AVP_TABLE if rule.may_hide)
# A peer may learn only from the greetings which secret is meant, and then cannot reveal what these
# hide themselves.
_GREETINGS: Final = {MessageType.SCCRQ, MessageType.SCCRP, MessageType.SCCCN, MessageType.StopCCN}
_HIDDEN: Final[dict[str, frozenset[int]]] = {
    "sensitive": WORTH_HIDING,
    "calls": frozenset(
        rule.type
        for rule in _HIDEABLE
        if _GREETINGS.isdisjoint(rule.required_in | rule.optional_in)
    ),
    "all": frozenset(rule.type for rule in _HIDEABLE),
    "none": frozenset(),
}


def read_endpoint(
    root: Table, role: str, credentials: Credentials, *, listens: bool, dials: bool
) -> EndpointConfig:
    """Read how a "lac" or "lns" presents itself, its timers and its limits.

    One that ``listens`` takes tunnels, one that ``dials`` outgoing calls.
    """
    host_name = read_avp_text(root, "host_name", role)
    protocol = root.table("protocol")
    defaults = _defaults(EndpointConfig)
    values: dict[str, Any] = {
        name: protocol.number(name, low, high, float(defaults[name]))
        for name, low, high in _PROTOCOL_NUMBERS
    }
    protocol.ascending("retransmission_initial_s", "retransmission_cap_s", values)
    values |= _integers(protocol, _PROTOCOL_INTEGERS, defaults)
    retention = protocol.number("retention_s", 0.0, _HOUR_S, _NOT_SET)
    dead_time = protocol.number("dead_time_s", 0.5, _HOUR_S, _NOT_SET)
    hides = protocol.choice("hide_avps", tuple(_HIDDEN), "sensitive")
    values["challenges"] = protocol.boolean("challenge", True)
    values["single_tunnel"] = protocol.boolean("single_tunnel", False)
    protocol.close()
    limits = root.table("limits")
    values |= _integers(limits, _TOTALS, defaults)
    per_peer = _integers(limits, _PER_PEER, _defaults(Limits) | _DAEMONS_OWN)
    limits.close()
    endpoint = EndpointConfig(
        host_name=host_name,
        accepts_calls=role == "lns",
        accepts_outgoing_calls=dials,
        retention_s=None if retention == _NOT_SET else retention,
        dead_time_s=None if dead_time == _NOT_SET else dead_time,
        hidden_avps=_HIDDEN[hides],
        limits=Limits(**per_peer),
        **values,
    )
    return answering(endpoint, credentials, listens=listens)


def answering(
    endpoint: EndpointConfig, credentials: Credentials, *, listens: bool
) -> EndpointConfig:
    """Have an endpoint take the tunnels of others, by their secrets, where it ``listens``."""
    return replace(
        endpoint,
        accepts_tunnels=listens,
        secrets=credentials.tunnels if listens else {},
        secret=credentials.tunnels.get("*") if listens else None,
    )


def _defaults(kind: type[EndpointConfig] | type[Limits]) -> dict[str, Any]:
    return {field.name: field.default for field in fields(kind)}


def _integers(
    table: Table, rows: tuple[tuple[str, int, int], ...], defaults: dict[str, Any]
) -> dict[str, int]:
    return {name: table.integer(name, low, high, int(defaults[name])) for name, low, high in rows}
