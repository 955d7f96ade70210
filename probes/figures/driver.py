"""What the driver itself counts, of every tunnel and session: generic netlink, family `l2tp`.

The tracer runs on the distribution's Python, which sees bcc and no library for netlink; it needs
two dumps, and they must cost little, since they are asked for with every snapshot. Sources:
include/uapi/linux/l2tp.h, netlink.h, genetlink.h; net/l2tp/l2tp_netlink.c (l2tp_nl_tunnel_send,
l2tp_nl_session_send).
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from probes.errors import ProbeError
from probes.hooks import namespaces

_NETLINK_GENERIC = 16
_SO_NETNS_COOKIE = 71
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_GENERIC = struct.Struct("=BBH")  # command, version, reserved
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_ERROR, _DONE = 2, 3
_REQUEST, _DUMP = 0x1, 0x300
_CONTROLLER, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2
_TUNNEL_GET, _SESSION_GET = 4, 8
_PROTO_VERSION, _CONN_ID, _SESSION_ID, _STATS = 7, 9, 11, 30
# It has just gone, or is a name that is being given or taken.
_NO_NAMESPACE = (errno.ENOENT, errno.EINVAL)
_RECEIVE_OCTETS = 1 << 17
_TIMEOUT_S = 10.0

# enum l2tp_attr_stats, as struct l2tp_stats names them.
STATISTICS = {
    1: "tx_packets", 2: "tx_bytes", 3: "tx_errors", 4: "rx_packets", 5: "rx_bytes",
    6: "rx_seq_discards", 7: "rx_oos_packets", 8: "rx_errors", 10: "rx_cookie_discards",
    11: "rx_invalid",
}  # fmt: skip

Counters = dict[str, int]


class Owner(NamedTuple):
    """Whose counters they are: as a row of figures is known. session_id 0 is the tunnel itself."""

    netns_cookie: int
    tunnel_id: int
    session_id: int


def read(inodes: set[int] | None = None) -> dict[Owner, Counters]:
    """Ask the driver for the counters of all its tunnels and sessions.

    inodes: only in these network namespaces; None is everywhere. Of L2TPv3 the sessions have the
    tunnel id 0, as in the figures. Raises ProbeError when the driver cannot be asked.
    """
    found: dict[Owner, Counters] = {}
    for path in namespaces.find(inodes).values():
        try:
            found.update(namespaces.inside(path, _of_this_namespace))
        except OSError as error:
            if error.errno in _NO_NAMESPACE:
                continue
            raise ProbeError(
                f"the driver's own counters cannot be asked for in {path}: {error.strerror}",
                "Run the tracer as root, outside of containers.",
            ) from error
    return found


def _of_this_namespace() -> dict[Owner, Counters]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as netlink:
        netlink.settimeout(_TIMEOUT_S)
        cookie = int.from_bytes(
            netlink.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), "little"
        )
        family = _family(netlink)
        versions: dict[int, int] = {}
        found: dict[Owner, Counters] = {}
        for message in _dump(netlink, family, _TUNNEL_GET):
            tunnel_id = number(message[_CONN_ID])
            versions[tunnel_id] = number(message[_PROTO_VERSION])
            found[Owner(cookie, tunnel_id, 0)] = statistics(message)
        if not versions:
            return {}
        for message in _dump(netlink, family, _SESSION_GET):
            tunnel_id = number(message[_CONN_ID])
            named = 0 if versions.get(tunnel_id) == 3 else tunnel_id
            session_id = number(message[_SESSION_ID])
            if session_id:  # Linux 6.1 lists a management socket's pseudo-session 0
                found[Owner(cookie, named, session_id)] = statistics(message)
    return found


def number(raw: bytes) -> int:
    """Read an unsigned number of any length in host byte order."""
    return int.from_bytes(raw, "little")


def statistics(message: dict[int, bytes]) -> Counters:
    """Name the counters in a message's L2TP_ATTR_STATS."""
    nested = attributes(message.get(_STATS, b""))
    return {name: number(nested[at]) for at, name in STATISTICS.items() if at in nested}


def attributes(raw: bytes) -> dict[int, bytes]:
    """Take netlink attributes apart: values by type. Raises ValueError when one is cut short."""
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(raw):
        length, kind = _ATTRIBUTE.unpack_from(raw, at)
        if length < _ATTRIBUTE.size or at + length > len(raw):
            raise ValueError(f"a netlink attribute of {length} octets at {at} of {len(raw)}")
        found[kind & _TYPE_MASK] = raw[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


def _family(netlink: socket.socket) -> int:
    """Ask for the number of the family `l2tp`; the kernel loads its module for that."""
    name = b"l2tp\0"
    asked = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(name), _FAMILY_NAME) + name + bytes(3)
    try:
        (message,) = _exchange(netlink, _CONTROLLER, _REQUEST, _GET_FAMILY, asked)
    except FileNotFoundError as error:
        raise ProbeError(
            "the driver's own counters cannot be asked for: netlink knows no family l2tp",
            "Load the module that tells them: modprobe l2tp_netlink",
        ) from error
    return number(message[_FAMILY_ID])


def _dump(netlink: socket.socket, family: int, command: int) -> Iterator[dict[int, bytes]]:
    return _exchange(netlink, family, _REQUEST | _DUMP, command, b"")


def _exchange(
    netlink: socket.socket, kind: int, flags: int, command: int, asked: bytes
) -> Iterator[dict[int, bytes]]:
    length = _HEADER.size + _GENERIC.size + len(asked)
    netlink.send(_HEADER.pack(length, kind, flags, 1, 0) + _GENERIC.pack(command, 1, 0) + asked)
    while True:
        answer = netlink.recv(_RECEIVE_OCTETS)
        at = 0
        while at + _HEADER.size <= len(answer):
            length, kind, _, _, _ = _HEADER.unpack_from(answer, at)
            if kind == _DONE:
                return
            body = answer[at + _HEADER.size : at + length]
            if kind == _ERROR:
                code = -int.from_bytes(body[:4], "little", signed=True)
                raise OSError(code, os.strerror(code))
            yield attributes(body[_GENERIC.size :])
            at += (length + 3) & ~3
        if not flags & _DUMP:
            return
