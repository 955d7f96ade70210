"""Which packets to follow, as options: the same words in the probes' and the lab's command line."""

import argparse
import ipaddress

from probes.journeys.events import Choice
from probes.limits import whole

IP_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
PPP_PROTOCOLS = {
    "lcp": 0xC021, "pap": 0xC023, "chap": 0xC223, "ipcp": 0x8021, "ipv6cp": 0x8057,
}  # fmt: skip
DIRECTIONS = {"tx": (True, False), "rx": (False, True), "both": (True, True)}


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose packets, the same here and in the lab's command line."""
    parser.add_argument(
        "--tunnel", type=whole(1), metavar="ID", help="of this tunnel id (either end's)"
    )
    parser.add_argument(
        "--session", type=whole(1), metavar="ID", help="of this session id (either's)"
    )
    parser.add_argument(
        "--address",
        type=ipaddress.ip_address,
        metavar="IP",
        help="from or to this address inside the tunnel",
    )
    parser.add_argument(
        "--protocol",
        choices=(*IP_PROTOCOLS, *PPP_PROTOCOLS),
        metavar="NAME",
        help="of this protocol inside the tunnel: " + ", ".join((*IP_PROTOCOLS, *PPP_PROTOCOLS)),
    )
    parser.add_argument(
        "--direction",
        choices=tuple(DIRECTIONS),
        default="tx",
        help="tx: from our own ppp interfaces on (default); rx: datagrams of other boxes, from the"
        " driver on; both: with --one-in, a packet may be taken at its receiver only",
    )
    parser.add_argument(
        "--one-in", type=whole(1), default=1, metavar="N", help="one in N of those (default: all)"
    )
    parser.add_argument(
        "--count", type=whole(1), metavar="K", help="end after K journeys (default: at Ctrl-C)"
    )


def as_options(options: argparse.Namespace) -> list[str]:
    """Write what was chosen as a command line again, for another process."""
    given = {
        "--tunnel": options.tunnel,
        "--session": options.session,
        "--address": options.address,
        "--protocol": options.protocol,
        "--direction": options.direction,
        "--one-in": options.one_in,
        "--count": options.count,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


def choice_of(options: argparse.Namespace, netns: int | None) -> Choice:
    """Make what was chosen of the options."""
    outgoing, incoming = DIRECTIONS[options.direction]
    return Choice(
        budget=options.count,
        one_in=options.one_in,
        outgoing=outgoing,
        incoming=incoming,
        netns=netns,
        tunnel_id=options.tunnel,
        session_id=options.session,
        address=options.address,
        ip_protocol=IP_PROTOCOLS.get(options.protocol or ""),
        ppp_protocol=PPP_PROTOCOLS.get(options.protocol or ""),
    )
