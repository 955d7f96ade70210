"""The sysctls of every namespace, all set explicitly.

A new namespace inherits some IPv4 settings from the one that it was made in, so a check that relies
on a default would rely on the box. Order matters: setting ``ip_forward`` or ``forwarding`` makes
the kernel reset others (``net/ipv4/devinet.c: inet_forward_change``).
"""

from __future__ import annotations

from lab.topology import Node

FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")

COMMON: tuple[tuple[str, str], ...] = (
    # IPv6 is there, and its addresses are usable at once. DAD runs unless "all" and the
    # interface both say no (net/ipv6/addrconf.c: addrconf_dad_begin).
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    ("net.ipv6.conf.lo.disable_ipv6", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    # Routes come from the topology alone.
    ("net.ipv6.conf.all.accept_ra", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.all.accept_redirects", "0"),
    ("net.ipv6.conf.default.accept_redirects", "0"),
    ("net.ipv4.conf.all.accept_redirects", "0"),
    ("net.ipv4.conf.default.accept_redirects", "0"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    # A reverse-path filter would drop spoofed and asymmetric packets that a scenario sends.
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    # Path MTU discovery works, and every "fragmentation needed" is sent.
    ("net.ipv4.ip_no_pmtu_disc", "0"),
    ("net.ipv4.tcp_mtu_probing", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
    ("net.ipv4.icmp_echo_ignore_all", "0"),
    ("net.ipv4.ip_default_ttl", "64"),
)


def node_sysctls(node: Node) -> tuple[tuple[str, str], ...]:
    """List a node's settings in the order of writing; its own come last and win."""
    forwarding = "1" if node.forwarding else "0"
    return (*((key, forwarding) for key in FORWARDING), *COMMON, *node.sysctls)
