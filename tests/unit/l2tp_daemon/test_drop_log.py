"""Dropped datagrams in the log: a flood is a number there, not a full disk."""

import json

from l2tp.daemon.drop_log import DropLog
from l2tp.log import EventLog
from l2tp.protocol.events import DatagramDropped, DropReason
from l2tp.protocol.parameters import Address


def drop(reason):
    return DatagramDropped(
        local_tunnel_id=None, source=Address("192.0.2.1", 9), reason=reason, cause="x", section="§5"
    )


def test_a_flood_is_a_number(tmp_path):
    log = EventLog(tmp_path / "log.jsonl")
    drops = DropLog(log, records=2, window_s=10.0)
    for _ in range(100):
        drops.write(drop(DropReason.UNKNOWN_TUNNEL), 1.0)
    drops.write(drop(DropReason.WRONG_SOURCE), 2.0)
    drops.write(drop(DropReason.UNKNOWN_TUNNEL), 12.0)
    drops.write(drop(DropReason.UNKNOWN_TUNNEL), 12.5)
    log.close()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(one["reason"], one.get("unlogged_before")) for one in records] == [
        ("unknown-tunnel", None),
        ("unknown-tunnel", None),
        ("wrong-source", None),
        ("unknown-tunnel", 98),
        ("unknown-tunnel", None),
    ]
