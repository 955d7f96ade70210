"""What is traced: programs, their hooks, the ways to attach each, and what a missing one hides.

A way is a style of attaching. fentry is tried first, since it costs a fraction
of a kprobe; a kprobe works where bcc or the kernel cannot attach fentry to a
module. All hooks of a program are attached in one style, because its programs
for the two styles are compiled apart.

Named tuples, since importing dataclasses would cost a tenth of the tracer's start.
"""

import enum
from pathlib import Path
from typing import NamedTuple

BPF_FOLDER = Path(__file__).resolve().parents[1] / "bpf"

# What bcc's helpers include from a kernel source tree, in the few lines that are needed.
KERNEL_STANDIN = BPF_FOLDER / "kernel"

# The module that must be there before anything can be attached.
MODULE = "l2tp_core"
# The module to ask for: it brings l2tp_core, pppox and ppp_generic with it.
MODULE_TO_LOAD = "l2tp_ppp"


class Style(enum.Enum):
    """A way to attach programs to functions of the kernel."""

    FENTRY = "fentry"
    KPROBE = "kprobe"


class Hook(NamedTuple):
    """One place in the kernel that a program watches.

    name: what it is called on screen.
    function: the kernel function; at_return: its return instead of its entry.
    module: the module it lives in, None for the kernel itself.
    kprobe_program: the C function for kprobes; for fentry bcc's macros choose the name.
    needed: without it no figure at all can be trusted.
    hides: what is not seen when it cannot be attached.
    tracepoint: function names a raw tracepoint, which is attached alike in every style.
    begins: it is where a packet is first seen, and attached when all others are: no packet is
    followed of which the rest would not be seen.
    """

    name: str
    function: str
    module: str | None
    at_return: bool
    kprobe_program: str
    needed: bool
    hides: str
    tracepoint: bool = False
    begins: bool = False

    def how(self, style: Style) -> str:
        """Name the way of attaching: fentry, fexit, kprobe, kretprobe or raw tracepoint."""
        if self.tracepoint:
            return "raw tracepoint"
        if style is Style.FENTRY:
            return "fexit" if self.at_return else "fentry"
        return "kretprobe" if self.at_return else "kprobe"

    def is_program(self, name: str, style: Style) -> bool:
        """Say whether the compiled C function of this name is the one for this hook.

        bcc names an fentry program kfunc__MODULE__FUNCTION, an fexit program
        kretfunc__MODULE__FUNCTION, and left out the module before it could
        attach to modules.
        """
        if self.tracepoint:
            return name == f"raw_tracepoint__{self.function}"
        if style is Style.KPROBE:
            return name == self.kprobe_program
        prefix = "kretfunc__" if self.at_return else "kfunc__"
        return name.startswith(prefix) and name.endswith(f"__{self.function}")


class Program(NamedTuple):
    """One question, the C file that answers it, and the hooks it needs."""

    name: str
    sources: tuple[str, ...]
    hooks: tuple[Hook, ...]
    # Members whose offsets the C source expects as -DOFFSET_<STRUCT>_<MEMBER>.
    offsets: tuple[tuple[str, str], ...]
    # The same of structures that a module's own BTF describes, by module.
    module_offsets: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    def source_text(self, folder: Path = BPF_FOLDER) -> str:
        """Join the sources to the one text that bcc compiles.

        bcc rewrites map accesses in the main file only, so that common.h
        cannot be included; #line keeps the compiler's messages right.
        """
        return "".join(f'#line 1 "{name}"\n{(folder / name).read_text()}' for name in self.sources)


L2TP_PPP = "l2tp_ppp"
PPP_GENERIC = "ppp_generic"


def _tracepoint(event: str, hides: str) -> Hook:
    return Hook(event, event, None, False, "", False, hides, tracepoint=True)


#: Hidden as well, where a moment is told by a hook.
_WHEN = "; and when that happened: it is in no timeline"

FIGURES = Program(
    name="figures",
    sources=(
        "common.h", "verdicts.h", "records.h", "header.h", "sessions.h", "moments.h",
        "receive.c", "transmit.c", "figures.c",
    ),
    hooks=(
        Hook(
            name="l2tp_udp_encap_recv",
            function="l2tp_udp_encap_recv",
            module=MODULE,
            at_return=False,
            kprobe_program="receive_entered",
            needed=True,
            hides="every datagram that reaches the driver: all figures of what is received, and in"
            " timelines the control messages of daemons that tell nothing themselves",
            begins=True,
        ),
        Hook(
            name="l2tp_udp_encap_recv return",
            function="l2tp_udp_encap_recv",
            module=MODULE,
            at_return=True,
            kprobe_program="receive_returned",
            needed=True,
            hides="whether a datagram was consumed or passed up: all figures of what is received",
        ),
        Hook(
            name="pppol2tp_recv",
            function="pppol2tp_recv",
            module=L2TP_PPP,
            at_return=False,
            kprobe_program="handed_to_ppp",
            needed=False,
            hides="what PPP does: no waiting packets, no drops by PPP, ppp_control_packets stays 0;"
            " and the ids of consumed datagrams whose header is outside the linear buffer; when a"
            " session's first packet was received",
        ),
        Hook(
            name="netif_rx",
            function="netif_rx",
            module=None,
            at_return=False,
            kprobe_program="delivered",
            needed=False,
            hides="which frames reach their ppp interface, and all latencies of what is received",
        ),
        Hook(
            name="l2tp_xmit_skb",
            function="l2tp_xmit_skb",
            module=MODULE,
            at_return=False,
            kprobe_program="transmit_entered",
            needed=False,
            hides="all figures of what is transmitted, and when a session's first packet was sent",
            begins=True,
        ),
        Hook(
            name="l2tp_xmit_skb return",
            function="l2tp_xmit_skb",
            module=MODULE,
            at_return=True,
            kprobe_program="transmit_returned",
            needed=False,
            hides="all figures of what is transmitted",
        ),
        _tracepoint("kfree_skb", "drops and the ends of waiting packets: they are lost from sight"),
        _tracepoint("session_pkt_oos", "that a drop was out of sequence" + _WHEN),
        _tracepoint("session_pkt_outside_rx_window", "that a drop was outside the window" + _WHEN),
        _tracepoint("session_pkt_expired", "that a drop had waited too long" + _WHEN),
        _tracepoint("session_seqnum_reset", "resynchronisations (rx_resyncs stays 0)"),
        _tracepoint("register_tunnel", "new tunnels, until a packet of theirs comes" + _WHEN),
        _tracepoint("delete_tunnel", "that tunnels have ended" + _WHEN),
        _tracepoint("register_session", "new sessions, until a packet of theirs comes; and that ids"
                    " are used again: both owners count together" + _WHEN),
        _tracepoint("delete_session", "that sessions have ended; and that ids are used again"
                    + _WHEN),
        _tracepoint("free_tunnel", "that tunnels were freed" + _WHEN),
        _tracepoint("free_session", "that sessions were freed" + _WHEN),
    ),
    offsets=(
        ("sk_buff", "len"),
        ("sk_buff", "data_len"),
        ("sk_buff", "data"),
        ("sk_buff", "head"),
        ("sk_buff", "transport_header"),
        ("sk_buff", "network_header"),
        ("sk_buff_head", "qlen"),
        ("sock", "sk_lock.owned"),
        ("sock_common", "skc_net"),
        ("sock_common", "skc_state"),
        ("sock_common", "skc_family"),
        ("sock_common", "skc_num"),
        ("sock_common", "skc_dport"),
        ("sock_common", "skc_daddr"),
        ("sock_common", "skc_rcv_saddr"),
        ("sock_common", "skc_v6_daddr"),
        ("sock_common", "skc_v6_rcv_saddr"),
        ("net", "ns"),
        ("net", "net_cookie"),
        ("ns_common", "inum"),
    ),
    module_offsets=(
        (
            MODULE,
            (
                ("l2tp_session", "tunnel"),
                ("l2tp_session", "session_id"),
                ("l2tp_session", "peer_session_id"),
                ("l2tp_session", "hdr_len"),
                ("l2tp_session", "nr"),
                ("l2tp_session", "ns"),
                ("l2tp_session", "reorder_q"),
                ("l2tp_session", "ifname"),
                ("l2tp_session", "priv"),
                ("l2tp_tunnel", "tunnel_id"),
                ("l2tp_tunnel", "peer_tunnel_id"),
                ("l2tp_tunnel", "version"),
                ("l2tp_tunnel", "l2tp_net"),
                ("l2tp_tunnel", "sock"),
            ),
        ),
        (
            L2TP_PPP,
            (("pppol2tp_session", "sk"), ("pppox_sock", "chan"), ("ppp_channel", "ppp")),
        ),
    ),
)  # fmt: skip


def offset_flags(offsets: dict[tuple[str, str], int]) -> list[str]:
    """Give the -D flags that tell the C source where the members lie."""
    return [
        f"-DOFFSET_{struct_name}_{member}={at}".upper().replace(".", "_")
        for (struct_name, member), at in sorted(offsets.items())
    ]
