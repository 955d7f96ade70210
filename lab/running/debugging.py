"""Whose debug messages are meant by TUNNEL[/SESSION], and how they read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from lab.errors import UsageError
from lab.running.live import Live
from probes.debugging.messages import Filter, Message

_IDS = re.compile(r"(\d{1,5})(?:/(\d{1,5}))?")


class End(NamedTuple):
    """One end of a tunnel, or of a session of it: the node, and the ids that the node chose."""

    node: str
    tunnel_id: int
    session_id: int  #: 0 for the tunnel and all its sessions


def ids(text: str) -> tuple[int, int]:
    """Read TUNNEL or TUNNEL/SESSION; ValueError when it is neither."""
    found = _IDS.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not TUNNEL or TUNNEL/SESSION, such as 5/7")
    return int(found[1]), int(found[2] or 0)


def ends(live: Live, tunnel_id: int, session_id: int, node: str | None = None) -> list[End]:
    """Find both ends, by the ids that either end shows in ``l2tp-lab status``.

    With ``node`` the ids are that node's, and the tunnel need not be there (yet). Raises UsageError
    when no daemon has them.
    """
    if node is not None:
        live.netns(node)
        return [End(node, tunnel_id, session_id)]
    status = live.statuses()
    found = list(matching(status, tunnel_id, session_id))
    if not found:
        what = f"session {session_id} in a tunnel {tunnel_id}" if session_id else "tunnel"
        known = ", ".join(
            str(tunnel["local_tunnel_id"]) for one in status.values() for tunnel in one["tunnels"]
        )
        raise UsageError(
            f"no daemon has a {what if session_id else f'tunnel {tunnel_id}'}; there are the "
            f"tunnels {known or '(none)'}. See: l2tp-lab status"
        )
    return found


def matching(status: Mapping[str, Any], tunnel_id: int, session_id: int) -> Iterator[End]:
    """Give the ends of which an id, own or peer's, is the one that was asked for."""
    for node, one in status.items():
        for tunnel in one["tunnels"]:
            own = tunnel["local_tunnel_id"]
            if tunnel_id not in (own, tunnel["peer_tunnel_id"]):
                continue
            if not session_id:
                yield End(node, own, 0)
            for session in tunnel["sessions"] if session_id else ():
                pair = (session["local_session_id"], session["peer_session_id"])
                # A session's ids are told as they stand beside the tunnel's: own with own.
                if session_id == pair[own != tunnel_id]:
                    yield End(node, own, pair[0])


def show_messages(messages: list[Message], names: Mapping[int, str], *, as_json: bool) -> None:
    """Print messages, a line each; ``names`` are the nodes by their namespaces' inode numbers."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    for message in messages:
        if as_json:
            print(json.dumps({**message, "node": names.get(message["netns"])}), flush=True)
        else:
            print(message_line(message, names, offset_ns), flush=True)


def show_filters(filters: list[Filter], names: Mapping[int, str], *, as_json: bool) -> None:
    """Print what is on."""
    if as_json:
        print(json.dumps({"filters": filters}))
    elif filters:
        print("on:", *filter_lines(filters, names), sep="\n  ")
    else:
        print("no debug messages are on: l2tp-lab debug TUNNEL[/SESSION] control|seq|data on")


def message_line(message: Message, names: Mapping[int, str], offset_ns: int) -> str:
    """Write one message: time, node, ids, category, and what the driver did.

    ``offset_ns`` turns the kernel's clock into the wall's.
    """
    at = datetime.fromtimestamp((message["time_ns"] + offset_ns) / 1e9)
    where = f"{names.get(message['netns'], message['netns'])} {_ids(message)}"
    return f"{at:%H:%M:%S.%f} {where:<18} {message['category']:<8}{message['text']}"


def filter_lines(filters: list[Filter], names: Mapping[int, str]) -> list[str]:
    """Write what is on, one line each, and what of it could not be said."""
    lines = []
    for one in filters:
        node = names.get(one["netns"], str(one["netns"]))
        line = f"{node} {_ids(one)}: {', '.join(one['categories'])}"
        if one["left_out"]:
            line += f"; {one['left_out']} messages left out, for they were too many in a second"
        if one["lost"]:
            line += f"; {one['lost']} lost, for nobody read those before"
        lines.append(line)
    return lines


def _ids(of: Message | Filter) -> str:
    return f"{of['tunnel_id']}/{of['session_id']}" if of["session_id"] else str(of["tunnel_id"])
