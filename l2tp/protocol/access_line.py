"""What a LAC says of its subscriber's line (RFC 5515)."""

from __future__ import annotations

from dataclasses import dataclass

from l2tp.protocol.values import AccessLoopEncapsulation


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLine:
    """The subscriber's line, for an ICRQ (RFC 5515).

    Rates are bit/s (uint64), delays ms (uint32), ids the texts of the access node.
    """

    agent_circuit_id: str | None = None
    agent_remote_id: str | None = None
    actual_data_rate_upstream: int | None = None
    actual_data_rate_downstream: int | None = None
    minimum_data_rate_upstream: int | None = None
    minimum_data_rate_downstream: int | None = None
    attainable_data_rate_upstream: int | None = None
    attainable_data_rate_downstream: int | None = None
    maximum_data_rate_upstream: int | None = None
    maximum_data_rate_downstream: int | None = None
    minimum_data_rate_upstream_low_power: int | None = None
    minimum_data_rate_downstream_low_power: int | None = None
    maximum_interleaving_delay_upstream: int | None = None
    actual_interleaving_delay_upstream: int | None = None
    maximum_interleaving_delay_downstream: int | None = None
    actual_interleaving_delay_downstream: int | None = None
    access_loop_encapsulation: AccessLoopEncapsulation | None = None
    ancp_access_line_type: int | None = None
    iwf_session: int | None = None
