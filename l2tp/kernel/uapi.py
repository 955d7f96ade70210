"""The kernel's PPPoL2TP interface in numbers: ioctls, options, statistics.

Every layout stands under the C declaration that it packs (``linux/if_pppol2tp.h``,
``linux/ppp-ioctl.h``); integers are in host order. Socket addresses are in ``sockaddr.py``.
"""

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
    """Bit mask of debug message categories; since Linux 5.10 taken, ignored, and read as 0."""
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

PPPIOCGMRU: Final = _ioc(_IOC_READ, 83, _INT)
PPPIOCGDEBUG: Final = _ioc(_IOC_READ, 65, _INT)
PPPIOCSDEBUG: Final = _ioc(_IOC_WRITE, 64, _INT)
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
