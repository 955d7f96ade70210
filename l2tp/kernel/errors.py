"""What the kernel's refusals mean: operation and errno → cause and cure."""

import errno
from typing import Final

from l2tp.protocol.errors import KernelError

_MODULE_CURE: Final = "load the driver: modprobe l2tp_ppp"
_ROOT_CURE: Final = "run as root, or with CAP_NET_ADMIN in this network namespace"

_MEMORY_CURE: Final = "see what takes it: free -m; dmesg | tail"

_ADDRESS_CAUSE: Final = "the socket address lies where this process has no memory"
_ADDRESS_CURE: Final = "give connect() a buffer of the address's whole length"

_OPTION_CAUSES: Final = {
    errno.EINVAL: ("the driver takes 0 or 1 only", "give 0 or 1"),
    errno.ENOPROTOOPT: (
        "this socket has no such option: a tunnel's management socket has DEBUG only",
        "set it on a session's socket",
    ),
    errno.ENOTCONN: (
        "the socket is attached to no tunnel or session (any more)",
        "see what is left: ip l2tp show session",
    ),
}

# One row per refusal that a user can meet; the kernel functions are those of Linux 6.12.
_CAUSES: Final[dict[tuple[str, int], tuple[str, str]]] = {
    # socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP): net/socket.c, drivers/net/ppp/pppox.c
    ("socket", errno.EAFNOSUPPORT): ("this kernel has no PPPoX sockets", _MODULE_CURE),
    ("socket", errno.EPROTONOSUPPORT): ("the PPPoL2TP driver is not loaded", _MODULE_CURE),
    ("socket", errno.ENOENT): ("the PPPoL2TP driver is not loaded", _MODULE_CURE),
    ("socket", errno.EPERM): ("not permitted", _ROOT_CURE),
    ("socket", errno.EMFILE): ("too many open files", "raise the limit: ulimit -n 65536"),
    # connect() with both session ids 0: pppol2tp_connect, l2tp_tunnel_register
    ("open tunnel", errno.EBADF): (
        "the UDP socket of the tunnel is not open",
        "keep the UDP socket open until the tunnel is closed",
    ),
    ("open tunnel", errno.ENOTSOCK): (
        "the descriptor given as the tunnel's UDP socket is no socket",
        "give the tunnel's own UDP socket",
    ),
    ("open tunnel", errno.EPROTONOSUPPORT): (
        "the tunnel's socket is not a UDP socket",
        "give a SOCK_DGRAM socket of AF_INET or AF_INET6",
    ),
    ("open tunnel", errno.EINVAL): (
        "the tunnel's socket is not a UDP socket of this network namespace, or an id is 0",
        "give a UDP socket made in this namespace and ids from 1 to 65535",
    ),
    ("open tunnel", errno.EBUSY): (
        "the UDP socket already serves a tunnel or another encapsulation, or the management socket "
        "is connected already",
        "use one UDP socket for each tunnel, and a new PPPoL2TP socket",
    ),
    ("open tunnel", errno.EEXIST): (
        "this tunnel id is taken in this network namespace, and a management socket attached to it",
        "see who holds it: ip l2tp show tunnel",
    ),
    ("open tunnel", errno.EFAULT): (_ADDRESS_CAUSE, _ADDRESS_CURE),
    ("open tunnel", errno.ENOMEM): ("the kernel is out of memory", _MEMORY_CURE),
    ("open tunnel", errno.EALREADY): (
        "the management socket is attached to a tunnel already",
        "use a new PPPoL2TP socket for each tunnel",
    ),
    ("open tunnel", errno.ENODEV): (
        "the kernel is removing a tunnel of this id",
        "choose another tunnel id, or try again when ip l2tp show tunnel lists it no more",
    ),
    # connect() with session ids: pppol2tp_connect, l2tp_session_register
    ("open session", errno.ENOENT): (
        "the kernel knows no tunnel of this id in this network namespace",
        "open the tunnel's management socket first and keep it open; see: ip l2tp show tunnel",
    ),
    ("open session", errno.EEXIST): (
        "this session id is taken in this tunnel",
        "see who holds it: ip l2tp show session",
    ),
    ("open session", errno.EALREADY): (
        "the socket is attached to a session already",
        "use a new PPPoL2TP socket for each session",
    ),
    ("open session", errno.EBUSY): (
        "the socket is connected already",
        "use a new PPPoL2TP socket for each session",
    ),
    ("open session", errno.ENODEV): (
        "the kernel is removing this tunnel",
        "open the tunnel again before its sessions",
    ),
    ("open session", errno.EPROTOTYPE): (
        "this session id belongs to a session that carries no PPP",
        "see who holds it: ip l2tp show session",
    ),
    ("open session", errno.EFAULT): (_ADDRESS_CAUSE, _ADDRESS_CURE),
    ("open session", errno.ENOMEM): ("the kernel is out of memory", _MEMORY_CURE),
    ("open session", errno.EINVAL): (
        "the kernel refused the session's address",
        "give ids from 1 to 65535",
    ),
    # setsockopt(), getsockopt(), ioctl(): pppol2tp_setsockopt, pppol2tp_ioctl
    **{
        (f"{verb} {option}", code): said
        for verb in ("set", "read")
        for option in ("DEBUG", "SENDSEQ", "RECVSEQ", "LNSMODE", "REORDERTO")
        for code, said in _OPTION_CAUSES.items()
    },
    ("read statistics", errno.EBADR): (
        "this tunnel has no session of this id that carries PPP",
        "see what there is: ip l2tp show session",
    ),
    ("read statistics", errno.ENOTCONN): (
        "the kernel has ended this tunnel or session",
        "see what is left: ip l2tp show tunnel",
    ),
    ("ask for the channel", errno.ENOTCONN): (
        "the kernel has ended this session",
        "see what is left: ip l2tp show session",
    ),
    # /dev/ppp: drivers/net/ppp/ppp_generic.c
    ("open /dev/ppp", errno.ENOENT): ("there is no /dev/ppp", "modprobe ppp_generic"),
    ("open /dev/ppp", errno.ENODEV): ("the PPP driver is not loaded", "modprobe ppp_generic"),
    ("open /dev/ppp", errno.ENXIO): ("the PPP driver is not loaded", "modprobe ppp_generic"),
    ("open /dev/ppp", errno.EPERM): ("not permitted", _ROOT_CURE),
    ("open /dev/ppp", errno.EACCES): ("not permitted", _ROOT_CURE),
    ("bridge channels", errno.EALREADY): (
        "a channel belongs to a unit or a bridge already",
        "bridge it before pppd takes a unit for it",
    ),
    # a UDP socket of ours
    ("bind", errno.EADDRINUSE): (
        "another socket holds this address and port",
        "see which process: ss -lunp",
    ),
    ("bind", errno.EADDRNOTAVAIL): (
        "this address is on no interface of this network namespace",
        "see the addresses: ip address",
    ),
    ("bind", errno.EACCES): ("ports below 1024 are for root", _ROOT_CURE),
    ("connect", errno.ENETUNREACH): ("there is no route to the peer", "see: ip route"),
    ("connect", errno.EHOSTUNREACH): ("the peer cannot be reached", "see: ip route"),
    ("connect", errno.EACCES): (
        "a firewall or a prohibiting route refuses the peer",
        "see: ip route get PEER; nft list ruleset",
    ),
    ("unshare", errno.EPERM): ("not permitted to make a mount namespace", "run as root"),
}


def refusal(operation: str, error: OSError, subject: str = "") -> KernelError:
    """Name the cause and the cure of what the kernel refused.

    ``operation`` is the step ("open tunnel", "open session", …) as the table above knows it,
    ``subject`` what it was done to (ids, an address).
    """
    code = error.errno or 0
    cause, cure = _CAUSES.get((operation, code), (None, "see the kernel's log: dmesg | tail"))
    step = f"{operation} {subject}" if subject else operation
    return KernelError(step, code, cure=f"{cause}: {cure}" if cause else cure)
