"""What each step of a plan says to the kernel: rtnetlink messages, in pyroute2's classes.

The classes are used, not ``IPRoute.link()`` and its like: its ``peer`` drops an index, and ours
must have one (see ``lab.network.plan.Veth``). It also needs asyncio and a child process for each
namespace, which take longer than all that is made (docs/decisions/network.md). Field names are
those of rtnetlink(7).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_interface, ip_network
from typing import Any, NamedTuple

from lab.network.netlink import part
from lab.network.plan import Address, LinkUp, Netem, Route, Step, Veth
from lab.topology import Impairment

# include/uapi/linux/: if.h, if_addr.h, rtnetlink.h, pkt_sched.h
IFF_UP = 1
IFA_F_NODAD = 0x02
RT_TABLE_MAIN = 254
RTPROT_BOOT = 3
RTN_UNICAST = 1
TC_H_ROOT = 0xFFFFFFFF

NETEM_LIMIT_PACKETS = 1000
"""How many packets tc lets netem hold when nobody says (tc-netem(8))."""


class Sight(NamedTuple):
    """What names mean in this kernel: namespaces as descriptors, interfaces as their indices.

    ``indices`` are those inside the namespace that the message is sent in.
    """

    handles: Mapping[str, int]
    indices: Mapping[str, int]


def message_of(step: Step, sight: Sight) -> Any:
    """Put a step into a message that is complete but for its sequence number.

    Raises KeyError for a kind of step that the kernel's network knows nothing of, and for a name
    that nothing has.
    """
    return _MESSAGES[type(step)](step, sight)


def unlink_message(index: int) -> Any:
    """Put into a message that a link shall go; its other end goes with it."""
    return _message(part("netlink.rtnl.ifinfmsg").ifinfmsg, "RTM_DELLINK", index=index)


def _message(
    kind: Callable[[], Any],
    command: str,
    attributes: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Any:
    netlink, rtnl = part("netlink"), part("netlink.rtnl")
    message = kind()
    message["header"]["type"] = getattr(rtnl, command)
    message["header"]["flags"] = netlink.NLM_F_REQUEST | netlink.NLM_F_ACK
    message.update(fields)
    message["attrs"] = list((attributes or {}).items())
    return message


def _new(
    kind: Callable[[], Any], command: str, attributes: Mapping[str, Any], **fields: Any
) -> Any:
    """Ask for something that must not be there yet."""
    netlink = part("netlink")
    message = _message(kind, command, attributes, **fields)
    message["header"]["flags"] |= netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
    return message


def _veth(step: Veth, sight: Sight) -> Any:
    peer = {
        "index": step.peer_index,
        "attrs": [
            ("IFLA_IFNAME", step.peer_interface),
            ("IFLA_MTU", step.mtu),
            ("IFLA_NET_NS_FD", sight.handles[step.peer_netns]),
        ],
    }
    pair = [
        ("IFLA_INFO_KIND", "veth"),
        ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", peer)]}),
    ]
    attributes = {
        "IFLA_IFNAME": step.interface,
        "IFLA_MTU": step.mtu,
        "IFLA_NET_NS_FD": sight.handles[step.netns],
        "IFLA_LINKINFO": {"attrs": pair},
    }
    ifinfmsg = part("netlink.rtnl.ifinfmsg").ifinfmsg
    return _new(ifinfmsg, "RTM_NEWLINK", attributes, index=step.index)


def _address(step: Address, sight: Sight) -> Any:
    address = ip_interface(step.address)
    attributes = {"IFA_LOCAL": str(address.ip), "IFA_ADDRESS": str(address.ip)}
    return _new(
        part("netlink.rtnl.ifaddrmsg").ifaddrmsg,
        "RTM_NEWADDR",
        attributes,
        family=_family(address.version),
        prefixlen=address.network.prefixlen,
        flags=IFA_F_NODAD if address.version == 6 else 0,
        index=sight.indices[step.interface],
    )


def _link_up(step: LinkUp, sight: Sight) -> Any:
    ifinfmsg, index = part("netlink.rtnl.ifinfmsg").ifinfmsg, sight.indices[step.interface]
    return _message(ifinfmsg, "RTM_NEWLINK", index=index, flags=IFF_UP, change=IFF_UP)


def _route(step: Route, _: Sight) -> Any:
    prefix = ip_network(step.to)
    attributes = {"RTA_GATEWAY": step.via}
    if prefix.prefixlen:
        attributes["RTA_DST"] = str(prefix.network_address)
    return _new(
        part("netlink.rtnl.rtmsg").rtmsg,
        "RTM_NEWROUTE",
        attributes,
        family=_family(prefix.version),
        dst_len=prefix.prefixlen,
        table=RT_TABLE_MAIN,
        proto=RTPROT_BOOT,
        type=RTN_UNICAST,
    )


def _netem(step: Netem, sight: Sight) -> Any:
    return _new(
        part("netlink.rtnl.tcmsg").tcmsg,
        "RTM_NEWQDISC",
        {"TCA_KIND": "netem", "TCA_OPTIONS": netem_options(step.impairment)},
        index=sight.indices[step.interface],
        parent=TC_H_ROOT,
    )


def netem_options(impairment: Impairment) -> dict[str, Any]:
    """Give ``struct tc_netem_qopt`` and the attributes behind it (net/sched/sch_netem.c)."""
    units = part("netlink.rtnl.tcmsg.common")
    attributes: list[tuple[str, dict[str, int]]] = []
    gap = impairment.reorder_gap_packets
    if impairment.reorder_percent:
        gap = gap or 1
        probability = units.percent2u32(impairment.reorder_percent)
        attributes.append(("TCA_NETEM_REORDER", {"prob_reorder": probability, "corr_reorder": 0}))
    if impairment.corrupt_percent:
        probability = units.percent2u32(impairment.corrupt_percent)
        attributes.append(("TCA_NETEM_CORRUPT", {"prob_corrupt": probability, "corr_corrupt": 0}))
    if impairment.rate_kbit:
        attributes.append(("TCA_NETEM_RATE", _rate(impairment.rate_kbit)))
    return {
        "delay": round(impairment.delay_ms * 1000 * units.tick_in_usec),
        "jitter": round(impairment.jitter_ms * 1000 * units.tick_in_usec),
        "limit": impairment.limit_packets or NETEM_LIMIT_PACKETS,
        "loss": units.percent2u32(impairment.loss_percent),
        "duplicate": units.percent2u32(impairment.duplicate_percent),
        "gap": gap,
        "attrs": attributes,
    }


def _rate(kbit: int) -> dict[str, int]:
    # 32 bits of bytes per second end at 34 Gbit/s; pyroute2 lacks TCA_NETEM_RATE64. No CPU forwards
    # as fast as that through netem, so more is the same.
    bytes_per_s = min(kbit * 1000 // 8, 0xFFFFFFFF)
    return {"rate": bytes_per_s, "packet_overhead": 0, "cell_size": 0, "cell_overhead": 0}


def _family(version: int) -> int:
    return socket.AF_INET6 if version == 6 else socket.AF_INET


_MESSAGES: dict[type, Callable[[Any, Sight], Any]] = {
    Veth: _veth,
    Address: _address,
    LinkUp: _link_up,
    Route: _route,
    Netem: _netem,
}
