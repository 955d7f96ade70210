"""The kernel's PPPoL2TP interface in numbers: socket addresses, ioctls, options, statistics.

Every layout stands under the C declaration that it packs (``linux/if_pppox.h``,
``linux/if_pppol2tp.h``, ``linux/ppp-ioctl.h``). Integers are in host order except ports and
addresses, which are in network order, as everywhere in socket addresses.
"""

import socket
import struct
from enum import IntEnum, IntFlag
from typing import Final

from l2tp.dataplane import DataPlaneStatistics

AF_PPPOX: Final = 24
"""Address family of PPP-over-something sockets (``linux/if_pppox.h``)."""
PX_PROTO_OL2TP: Final = 1
"""The L2TP protocol of that family, third argument of ``socket()``."""
SOL_PPPOL2TP: Final = 273
"""Level of the PPPoL2TP socket options (``linux/socket.h``)."""


class SocketOption(IntEnum):
    """Options at level SOL_PPPOL2TP, each a C int (``linux/if_pppol2tp.h``)."""

    DEBUG = 1
    """Bit mask of debug message categories; kept but ignored by today's driver."""
    RECVSEQ = 2
    """1: drop received packets without sequence numbers."""
    SENDSEQ = 3
    """1: send packets with sequence numbers."""
    LNSMODE = 4
    """1: act as LNS, which decides about sequence numbers; 0: act as LAC and follow."""
    REORDERTO = 5
    """Reorder timeout in milliseconds; 0 does not reorder. Kept in jiffies, so it reads coarser."""


class DebugMask(IntFlag):
    """Message categories of ``SocketOption.DEBUG`` (``linux/l2tp.h``)."""

    DEBUG = 1
    CONTROL = 2
    SEQ = 4
    DATA = 8


# struct sockaddr_pppol2tp {                       (packed: no padding after sa_family)
#     __kernel_sa_family_t sa_family;     @0
#     unsigned int         sa_protocol;   @2
#     struct pppol2tp_addr {              @6
#         __kernel_pid_t   pid;           @6       (0: the caller)
#         int              fd;            @10      (the tunnel's UDP socket)
#         struct sockaddr_in {            @14
#             sa_family_t sin_family;     @14
#             __be16      sin_port;       @16
#             __be32      sin_addr;       @18
#             char        pad[8];         @22
#         } addr;
#         __u16 s_tunnel, s_session;      @30 @32
#         __u16 d_tunnel, d_session;      @34 @36
#     } pppol2tp;
# };                                      size 38
SOCKADDR_PPPOL2TP: Final = struct.Struct("=H I i i H 2s 4s 8x H H H H")

# struct sockaddr_pppol2tpin6 {                    (packed; the ids come before the address)
#     __kernel_sa_family_t sa_family;     @0
#     unsigned int         sa_protocol;   @2
#     struct pppol2tpin6_addr {           @6
#         __kernel_pid_t   pid;           @6
#         int              fd;            @10
#         __u16 s_tunnel, s_session;      @14 @16
#         __u16 d_tunnel, d_session;      @18 @20
#         struct sockaddr_in6 {           @22
#             sa_family_t     sin6_family;    @22
#             __be16          sin6_port;      @24
#             __be32          sin6_flowinfo;  @26
#             struct in6_addr sin6_addr;      @30
#             __u32           sin6_scope_id;  @46
#         } addr;
#     } pppol2tp;
# };                                      size 50
SOCKADDR_PPPOL2TPIN6: Final = struct.Struct("=H I i i H H H H H 2s 4s 16s I")

# struct pppol2tp_ioc_stats {
#     __u16         tunnel_id;            @0
#     __u16         session_id;           @2       (in: 0 asks a tunnel socket for the tunnel)
#     __u32         using_ipsec:1;        @4
#     __aligned_u64 tx_packets;           @8
#     __aligned_u64 tx_bytes;             @16
#     __aligned_u64 tx_errors;            @24
#     __aligned_u64 rx_packets;           @32
#     __aligned_u64 rx_bytes;             @40
#     __aligned_u64 rx_seq_discards;      @48
#     __aligned_u64 rx_oos_packets;       @56
#     __aligned_u64 rx_errors;            @64
# };                                      size 72
PPPOL2TP_IOC_STATS: Final = struct.Struct("=H H I 8Q")

_IOC_WRITE: Final = 1
_IOC_READ: Final = 2
_PPP_IOC_TYPE: Final = ord("t")


def _ioc(direction: int, number: int, size: int) -> int:
    """Build an ioctl number as ``asm-generic/ioctl.h`` does: direction, size, type, number."""
    return direction << 30 | size << 16 | _PPP_IOC_TYPE << 8 | number


_INT: Final = struct.calcsize("=i")

PPPIOCSFLAGS: Final = _ioc(_IOC_WRITE, 89, _INT)
PPPIOCGFLAGS: Final = _ioc(_IOC_READ, 90, _INT)
PPPIOCGUNIT: Final = _ioc(_IOC_READ, 86, _INT)
PPPIOCSMRU: Final = _ioc(_IOC_WRITE, 82, _INT)
PPPIOCNEWUNIT: Final = _ioc(_IOC_READ | _IOC_WRITE, 62, _INT)
PPPIOCATTACH: Final = _ioc(_IOC_WRITE, 61, _INT)
PPPIOCCONNECT: Final = _ioc(_IOC_WRITE, 58, _INT)
PPPIOCDISCONN: Final = _ioc(0, 57, 0)
PPPIOCATTCHAN: Final = _ioc(_IOC_WRITE, 56, _INT)
PPPIOCGCHAN: Final = _ioc(_IOC_READ, 55, _INT)
PPPIOCGL2TPSTATS: Final = _ioc(_IOC_READ, 54, PPPOL2TP_IOC_STATS.size)
PPPIOCBRIDGECHAN: Final = _ioc(_IOC_WRITE, 53, _INT)
PPPIOCUNBRIDGECHAN: Final = _ioc(0, 52, 0)


def unpack_stats(data: bytes) -> DataPlaneStatistics:
    """Read the answer of PPPIOCGL2TPSTATS, dropping the ids that the caller knows."""
    _tunnel_id, _session_id, _using_ipsec, *counters = PPPOL2TP_IOC_STATS.unpack(data)
    return DataPlaneStatistics(*counters)


def pack_sockaddr(
    tunnel_fd: int,
    peer: tuple[str, int],
    *,
    local_tunnel_id: int,
    peer_tunnel_id: int,
    local_session_id: int = 0,
    peer_session_id: int = 0,
) -> bytes:
    """Pack the address that ``connect()`` on a PPPoL2TP socket takes.

    ``tunnel_fd`` is the tunnel's UDP socket in this process, ``peer`` a numeric IPv4 or IPv6
    address and a UDP port; all ids are 1 to 65535, and both session ids 0 mean the tunnel
    itself. The kernel tells the forms apart by their length
    (``net/l2tp/l2tp_ppp.c: pppol2tp_sockaddr_get_info``). Raises ValueError for an address that
    is not numeric.
    """
    host, port = peer
    ids = (local_tunnel_id, local_session_id, peer_tunnel_id, peer_session_id)
    port_bytes = port.to_bytes(2, "big")
    if ":" not in host:
        return SOCKADDR_PPPOL2TP.pack(
            AF_PPPOX,
            PX_PROTO_OL2TP,
            0,
            tunnel_fd,
            socket.AF_INET,
            port_bytes,
            _numeric(socket.AF_INET, host),
            *ids,
        )
    address, _, scope = host.partition("%")
    return SOCKADDR_PPPOL2TPIN6.pack(
        AF_PPPOX,
        PX_PROTO_OL2TP,
        0,
        tunnel_fd,
        *ids,
        socket.AF_INET6,
        port_bytes,
        bytes(4),
        _numeric(socket.AF_INET6, address),
        socket.if_nametoindex(scope) if scope else 0,
    )


def _numeric(family: socket.AddressFamily, host: str) -> bytes:
    try:
        return socket.inet_pton(family, host)
    except OSError as error:
        raise ValueError(f"{host!r} is not a numeric {family.name} address") from error
