"""The program that follows packets: its hooks, and what is not seen without each."""

from probes.hooks.spec import MODULE, Hook, Program


def _function(
    function: str, module: str | None, kprobe_program: str, hides: str, *, at_return: bool = False
) -> Hook:
    name = f"{function} return" if at_return else function
    return Hook(name, function, module, at_return, kprobe_program, False, hides)


def _tracepoint(event: str, hides: str) -> Hook:
    return Hook(event, event, None, False, "", False, hides, tracepoint=True)


# Where a session and its tunnel keep their ids and their namespace, for module_offsets.
SESSION_OFFSETS = (
    ("l2tp_session", "tunnel"),
    ("l2tp_session", "session_id"),
    ("l2tp_session", "peer_session_id"),
    ("l2tp_tunnel", "tunnel_id"),
    ("l2tp_tunnel", "peer_tunnel_id"),
    ("l2tp_tunnel", "l2tp_net"),
)

_PPP, _L2TP_PPP = "ppp_generic", "l2tp_ppp"

JOURNEYS = Program(
    name="journey",
    sources=("common.h", "journey.c"),
    hooks=(
        _function("ppp_start_xmit", _PPP, "journey_ppp_start_xmit",
                  "where packets begin: all journeys from our own interfaces"),
        _function("pppol2tp_xmit", _L2TP_PPP, "journey_pppol2tp_xmit",
                  "the hop from PPP to the driver"),
        _function("l2tp_xmit_skb", MODULE, "journey_l2tp_xmit_skb",
                  "the sender's tunnel and session: a filter by them finds no outgoing packet"),
        _function("ip_queue_xmit", None, "journey_ip_queue_xmit",
                  "the hop from the driver to IPv4"),
        _function("inet6_csk_xmit", None, "journey_inet6_csk_xmit",
                  "the hop from the driver to IPv6"),
        _tracepoint("net_dev_queue", "when a packet enters a device's queue"),
        _tracepoint("net_dev_start_xmit", "when a packet leaves a device's queue"),
        _tracepoint("netif_receive_skb", "where packets enter a node, and that they arrived"),
        _function("l2tp_udp_encap_recv", MODULE, "journey_encap_recv",
                  "the arrival at the driver: all journeys of datagrams from elsewhere"),
        _function("l2tp_udp_encap_recv", MODULE, "journey_encap_returned",
                  "that a datagram was passed up to its socket", at_return=True),
        _function("l2tp_recv_common", MODULE, "journey_recv_common",
                  "the receiver's tunnel and session"),
        _function("pppol2tp_recv", _L2TP_PPP, "journey_pppol2tp_recv",
                  "the end of the wait for earlier packets"),
        _function("ppp_input", _PPP, "journey_ppp_input", "the hop from the driver to PPP"),
        _tracepoint("netif_rx", "the hop from PPP to its interface"),
        _function("skb_clone", None, "journey_clone_begins",
                  "copies (netem's duplicates): they have no journey"),
        _function("skb_clone", None, "journey_cloned",
                  "copies (netem's duplicates): they have no journey", at_return=True),
        _tracepoint("kfree_skb", "drops and their causes: such packets are lost from sight"),
        _tracepoint("consume_skb", "the end of packets that leave the box"),
        _tracepoint("session_pkt_oos", "that a drop was out of sequence"),
        _tracepoint("session_pkt_expired", "that a drop had waited too long"),
        _tracepoint("session_pkt_outside_rx_window", "that a drop was outside the window"),
    ),
    offsets=(
        ("sk_buff", "len"),
        ("sk_buff", "data_len"),
        ("sk_buff", "data"),
        ("sk_buff", "head"),
        ("sk_buff", "network_header"),
        ("sk_buff", "transport_header"),
        ("sk_buff", "dev"),
        ("net_device", "nd_net"),
        ("net_device", "ifindex"),
        ("net_device", "name"),
        ("sock_common", "skc_net"),
        ("net", "ns"),
        ("ns_common", "inum"),
    ),
    module_offsets=((MODULE, SESSION_OFFSETS),),
)  # fmt: skip
