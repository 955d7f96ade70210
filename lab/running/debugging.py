"""Whose debug messages are meant by TUNNEL[/SESSION], and how they read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from l2tp.daemon.control import ControlError
from lab.errors import UsageError
from lab.running.live import Live
from lab.spelling import command
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


def ends(
    live: Live,
    tunnel_id: int,
    session_id: int,
    node: str | None = None,
    still_on: Collection[End] = (),
) -> list[End]:
    """Find both ends, by the ids that either end shows in ``l2tp-lab status``.

    With ``node`` the ids are that node's, of a tunnel that its daemon or the kernel has there. What
    is ``still_on`` of a tunnel that is gone is found as well. Raises UsageError when nobody has the
    ids, with those that there are.
    """
    if node is not None:
        there = tunnels_at(live, node)
        found = [End(node, tunnel_id, session_id)] if has(there, tunnel_id, session_id) else []
    else:
        statuses = live.statuses()
        there = [one for status in statuses.values() for one in status["tunnels"]]
        found = list(matching(statuses, tunnel_id, session_id))
    found += [
        end
        for end in still_on
        if end[1:] == (tunnel_id, session_id) and node in (None, end.node) and end not in found
    ]
    if not found:
        what = f"session {session_id} in a tunnel {tunnel_id}"
        raise UsageError(
            f"{node or 'no daemon'} has {'no' if node else 'a'} "
            f"{what if session_id else f'tunnel {tunnel_id}'}; "
            f"{known(there, session_id and tunnel_id)}. See: {command('status', live.lab)}"
        )
    return found


def tunnels_at(live: Live, node: str) -> list[dict[str, Any]]:
    """Tell the tunnels of a node: its daemon's, and those that the kernel alone knows there."""
    from lab.instruments.kernelview import l2tp_objects  # late: few ask for one node

    netns = live.netns(node)
    daemons: list[dict[str, Any]] = []
    if node in live.ends:
        with suppress(ControlError):  # it has ended; the kernel may have what it left
            daemons = live.status(node)["tunnels"]
    tunnels, sessions = l2tp_objects(netns)
    return daemons + [
        {
            "local_tunnel_id": tunnel.tunnel_id,
            "peer_tunnel_id": tunnel.peer_tunnel_id,
            "sessions": [
                {"local_session_id": one.session_id, "peer_session_id": one.peer_session_id}
                for one in sessions
                if one.tunnel_id == tunnel.tunnel_id and one.session_id
            ],
        }
        for tunnel in tunnels
    ]


def has(tunnels: Iterable[Mapping[str, Any]], tunnel_id: int, session_id: int) -> bool:
    """Tell whether a tunnel with that own id is there, and in it that session, unless it is 0."""
    return any(
        not session_id or session_id in (one["local_session_id"] for one in tunnel["sessions"])
        for tunnel in tunnels
        if tunnel["local_tunnel_id"] == tunnel_id
    )


def known(tunnels: Iterable[Mapping[str, Any]], tunnel_id: int = 0) -> str:
    """Say which tunnels there are; of one that is there, which sessions it has."""
    numbers: dict[str, None] = {}
    of_tunnel: list[Mapping[str, Any]] | None = None
    for tunnel in tunnels:
        own, peer = tunnel["local_tunnel_id"], tunnel["peer_tunnel_id"]
        numbers[f"{own} (the peer's: {peer})" if peer else str(own)] = None
        if own == tunnel_id:
            of_tunnel = [*(of_tunnel or []), *tunnel["sessions"]]
    if of_tunnel is not None:
        listed = dict.fromkeys(str(one["local_session_id"]) for one in of_tunnel)
        return f"tunnel {tunnel_id} has the sessions {', '.join(listed) or '(none)'}"
    return f"there are the tunnels {', '.join(numbers) or '(none)'}"


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
