"""The bytes that the kernel gets, read back by the structures of include/uapi/linux."""

from __future__ import annotations

import socket
import struct
from typing import Any, NamedTuple

import pytest

from lab.network.netlink import part
from lab.network.netlink_messages import Sight, message_of, netem_options, unlink_message
from lab.network.netlink_requests import _refusal
from lab.network.plan import Address, LinkUp, Netem, Netns, Route, Veth
from lab.topology import Impairment

REQUEST_ACK, CREATE_EXCL = 0x1 | 0x4, 0x400 | 0x200  # netlink.h
NEWLINK, DELLINK, NEWADDR, NEWROUTE, NEWQDISC = 16, 17, 20, 24, 36  # rtnetlink.h
IFNAME, MTU, LINKINFO, NET_NS_FD = 3, 4, 18, 28  # if_link.h: IFLA_…
INFO_KIND, INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFINFO, IFADDR, ROUTE, TC = "=BxHiII", "=BBBBI", "=8BI", "=BxxxiIII"

SIGHT = Sight({"lab-a": 31, "lab-b": 32}, {"lo": 1, "b": 101})


class Read(NamedTuple):
    kind: int
    flags: int
    fields: tuple[int, ...]
    attributes: dict[int, bytes]


def attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def read(message: Any, layout: str) -> Read:
    message.encode()
    data = bytes(message.data)
    length, kind, flags, _, _ = struct.unpack_from("=IHHII", data)
    assert length == len(data)
    body = 16 + struct.calcsize(layout)
    return Read(kind, flags, struct.unpack_from(layout, data, 16), attributes(data[body:]))


def number(data: bytes) -> int:
    return int(struct.unpack("=I", data)[0])


def test_each_end_of_a_pair_has_its_namespace_name_index_and_size() -> None:
    step = Veth("lab-a", "b", 101, "lab-b", "a", 102, 9000)
    link = read(message_of(step, SIGHT), IFINFO)
    assert (link.kind, link.flags) == (NEWLINK, REQUEST_ACK | CREATE_EXCL)
    info = attributes(link.attributes[LINKINFO])
    assert info[INFO_KIND].rstrip(b"\0") == b"veth"
    peer = attributes(info[INFO_DATA])[VETH_INFO_PEER]
    size = struct.calcsize(IFINFO)
    for fields, inside, name, index, handle in (
        (link.fields, link.attributes, b"b", 101, 31),
        (struct.unpack_from(IFINFO, peer), attributes(peer[size:]), b"a", 102, 32),
    ):
        assert fields[2] == index
        assert inside[IFNAME].rstrip(b"\0") == name
        assert number(inside[MTU]) == 9000
        assert number(inside[NET_NS_FD]) == handle


@pytest.mark.parametrize(
    ("text", "family", "length", "flags"),
    [("192.0.2.1/24", socket.AF_INET, 24, 0), ("2001:db8::1/64", socket.AF_INET6, 64, 2)],
)
def test_addresses_are_usable_at_once(text: str, family: int, length: int, flags: int) -> None:
    address = read(message_of(Address("lab-a", "b", text), SIGHT), IFADDR)
    assert (address.kind, address.flags) == (NEWADDR, REQUEST_ACK | CREATE_EXCL)
    assert address.fields == (family, length, flags, 0, 101)
    packed = socket.inet_pton(family, text.partition("/")[0])
    assert address.attributes == {1: packed, 2: packed}  # IFA_ADDRESS, IFA_LOCAL


@pytest.mark.parametrize(
    ("to", "via", "family", "length"),
    [
        ("10.64.0.0/16", "192.0.2.1", socket.AF_INET, 16),
        ("0.0.0.0/0", "192.0.2.1", socket.AF_INET, 0),
        ("2001:db8:a::/48", "2001:db8::1", socket.AF_INET6, 48),
    ],
)
def test_routes_go_by_a_next_hop(to: str, via: str, family: int, length: int) -> None:
    route = read(message_of(Route("lab-a", to, via), SIGHT), ROUTE)
    assert (route.kind, route.flags) == (NEWROUTE, REQUEST_ACK | CREATE_EXCL)
    # Destination length, main table, made by hand (boot), unicast.
    assert route.fields == (family, length, 0, 0, 254, 3, 0, 1, 0)
    gateway = {5: socket.inet_pton(family, via)}
    destination = {1: socket.inet_pton(family, to.partition("/")[0])} if length else {}
    assert route.attributes == gateway | destination


def test_links_are_set_up_and_deleted_by_index() -> None:
    up = read(message_of(LinkUp("lab-a", "lo"), SIGHT), IFINFO)
    assert up == Read(NEWLINK, REQUEST_ACK, (0, 0, 1, 1, 1), {})
    assert read(unlink_message(101), IFINFO) == Read(DELLINK, REQUEST_ACK, (0, 0, 101, 0, 0), {})


def test_an_impairment_is_a_netem_at_the_root() -> None:
    qdisc = read(message_of(Netem("lab-a", "b", Impairment(loss_percent=50)), SIGHT), TC)
    assert (qdisc.kind, qdisc.flags) == (NEWQDISC, REQUEST_ACK | CREATE_EXCL)
    assert qdisc.fields == (0, 101, 0, 0xFFFFFFFF, 0)
    assert qdisc.attributes[1].rstrip(b"\0") == b"netem"
    # struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter.
    assert struct.unpack("=6I", qdisc.attributes[2]) == (0, 1000, 0x7FFFFFFF, 0, 0, 0)


def test_netems_units_are_the_kernels() -> None:
    ticks_per_us = part("netlink.rtnl.tcmsg.common").tick_in_usec
    options = netem_options(Impairment(delay_ms=60_000, jitter_ms=0.5, limit_packets=9))
    assert (options["delay"], options["jitter"]) == (
        round(60_000_000 * ticks_per_us),
        round(500 * ticks_per_us),
    )
    assert options["limit"] == 9
    assert options["delay"] < 2**32


def test_what_netem_does_to_some_packets() -> None:
    options = netem_options(
        Impairment(delay_ms=1, reorder_percent=100, corrupt_percent=100, rate_kbit=20_000)
    )
    assert options["gap"] == 1
    found = {name: next(iter(values.values())) for name, values in options["attrs"]}
    assert found == {
        "TCA_NETEM_REORDER": 0xFFFFFFFF,
        "TCA_NETEM_CORRUPT": 0xFFFFFFFF,
        "TCA_NETEM_RATE": 2_500_000,
    }
    assert (
        netem_options(Impairment(delay_ms=1, reorder_percent=1, reorder_gap_packets=5))["gap"] == 5
    )


def test_a_rate_beyond_32_bits_still_fits() -> None:
    (rate,) = netem_options(Impairment(rate_kbit=100_000_000))["attrs"]
    assert rate[1]["rate"] == 0xFFFFFFFF


def test_a_step_that_is_no_business_of_the_network_is_refused() -> None:
    with pytest.raises(KeyError):
        message_of(Netns("lab-a"), SIGHT)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Unknown device type", r"^ip link add: Unknown device type This .*: modprobe veth"),
        ("Specified qdisc kind is unknown", "modprobe sch_netem, or .*--place appliance"),
        ("Nexthop has invalid gateway", "^ip link add: Nexthop has invalid gateway$"),
    ],
)
def test_refusals_name_the_object_the_reason_and_the_cure(reason: str, expected: str) -> None:
    error = part("netlink.exceptions").NetlinkError(22, reason)
    with pytest.raises(Exception, match=expected):
        raise _refusal("ip link add", error)
