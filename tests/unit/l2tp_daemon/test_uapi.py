"""The kernel's structs, byte for byte, against their C declarations."""

import ctypes
import socket

import pytest

from l2tp.kernel import sockaddr, uapi


class SockaddrIn(ctypes.Structure):
    _fields_ = (
        ("sin_family", ctypes.c_uint16),
        ("sin_port", ctypes.c_uint8 * 2),
        ("sin_addr", ctypes.c_uint8 * 4),
        ("pad", ctypes.c_uint8 * 8),
    )


class SockaddrIn6(ctypes.Structure):
    _fields_ = (
        ("sin6_family", ctypes.c_uint16),
        ("sin6_port", ctypes.c_uint8 * 2),
        ("sin6_flowinfo", ctypes.c_uint32),
        ("sin6_addr", ctypes.c_uint8 * 16),
        ("sin6_scope_id", ctypes.c_uint32),
    )


IDS = tuple((name, ctypes.c_uint16) for name in ("s_tunnel", "s_session", "d_tunnel", "d_session"))
OWNER = (("pid", ctypes.c_int), ("fd", ctypes.c_int))


class Pppol2tpAddr(ctypes.Structure):
    _fields_ = (*OWNER, ("addr", SockaddrIn), *IDS)


class Pppol2tpIn6Addr(ctypes.Structure):
    _fields_ = (*OWNER, *IDS, ("addr", SockaddrIn6))


class SockaddrPppol2tp(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("sa_family", ctypes.c_uint16),
        ("sa_protocol", ctypes.c_uint),
        ("pppol2tp", Pppol2tpAddr),
    )


class SockaddrPppol2tpIn6(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("sa_family", ctypes.c_uint16),
        ("sa_protocol", ctypes.c_uint),
        ("pppol2tp", Pppol2tpIn6Addr),
    )


WIDE_IDS = tuple((name, ctypes.c_uint32) for name, _ in IDS)


class Pppol2tpV3Addr(ctypes.Structure):
    _fields_ = (*OWNER, ("addr", SockaddrIn), *WIDE_IDS)


class Pppol2tpV3In6Addr(ctypes.Structure):
    _fields_ = (*OWNER, *WIDE_IDS, ("addr", SockaddrIn6))


class SockaddrPppol2tpV3(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("sa_family", ctypes.c_uint16),
        ("sa_protocol", ctypes.c_uint),
        ("pppol2tp", Pppol2tpV3Addr),
    )


class SockaddrPppol2tpV3In6(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("sa_family", ctypes.c_uint16),
        ("sa_protocol", ctypes.c_uint),
        ("pppol2tp", Pppol2tpV3In6Addr),
    )


class IocStats(ctypes.Structure):
    _fields_ = (
        ("tunnel_id", ctypes.c_uint16),
        ("session_id", ctypes.c_uint16),
        ("using_ipsec", ctypes.c_uint32, 1),
        *(
            (name, ctypes.c_uint64)
            for name in (
                "tx_packets",
                "tx_bytes",
                "tx_errors",
                "rx_packets",
                "rx_bytes",
                "rx_seq_discards",
                "rx_oos_packets",
                "rx_errors",
            )
        ),
    )


@pytest.mark.parametrize(
    ("layout", "declaration", "size"),
    [
        (sockaddr.SOCKADDR_PPPOL2TP, SockaddrPppol2tp, 38),
        (sockaddr.SOCKADDR_PPPOL2TPIN6, SockaddrPppol2tpIn6, 50),
        (sockaddr.SOCKADDR_PPPOL2TPV3, SockaddrPppol2tpV3, 46),
        (sockaddr.SOCKADDR_PPPOL2TPV3IN6, SockaddrPppol2tpV3In6, 58),
        (uapi.PPPOL2TP_IOC_STATS, IocStats, 72),
    ],
)
def test_sizes_are_the_kernels(layout, declaration, size):
    assert layout.size == ctypes.sizeof(declaration) == size


def test_ipv4_address_has_every_field_in_its_place():
    packed = sockaddr.pack_sockaddr(
        7,
        ("192.0.2.9", 1701),
        local_tunnel_id=0x1111,
        peer_tunnel_id=0x2222,
        local_session_id=0x3333,
        peer_session_id=0x4444,
    )
    read = SockaddrPppol2tp.from_buffer_copy(packed)
    assert (read.sa_family, read.sa_protocol) == (24, 1)
    tunnel = read.pppol2tp
    assert (tunnel.pid, tunnel.fd) == (0, 7)
    assert (tunnel.s_tunnel, tunnel.d_tunnel) == (0x1111, 0x2222)
    assert (tunnel.s_session, tunnel.d_session) == (0x3333, 0x4444)
    assert tunnel.addr.sin_family == socket.AF_INET
    assert bytes(tunnel.addr.sin_port) == bytes([1701 >> 8, 1701 & 0xFF])
    assert bytes(tunnel.addr.sin_addr) == bytes([192, 0, 2, 9])


def test_ipv6_address_has_every_field_in_its_place():
    packed = sockaddr.pack_sockaddr(
        8,
        ("2001:db8::9", 1702),
        local_tunnel_id=1,
        peer_tunnel_id=2,
        local_session_id=3,
        peer_session_id=4,
    )
    tunnel = SockaddrPppol2tpIn6.from_buffer_copy(packed).pppol2tp
    assert (tunnel.s_tunnel, tunnel.s_session) == (1, 3)
    assert (tunnel.d_tunnel, tunnel.d_session) == (2, 4)
    assert tunnel.addr.sin6_family == socket.AF_INET6
    assert bytes(tunnel.addr.sin6_port) == bytes([1702 >> 8, 1702 & 0xFF])
    assert bytes(tunnel.addr.sin6_addr) == socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    assert (tunnel.fd, tunnel.addr.sin6_scope_id) == (8, 0)


def test_a_management_socket_has_no_session_ids():
    packed = sockaddr.pack_sockaddr(7, ("192.0.2.9", 1701), local_tunnel_id=5, peer_tunnel_id=6)
    tunnel = SockaddrPppol2tp.from_buffer_copy(packed).pppol2tp
    assert (tunnel.s_session, tunnel.d_session) == (0, 0)


@pytest.mark.parametrize(
    ("host", "declaration"),
    [("192.0.2.9", SockaddrPppol2tpV3), ("2001:db8::9", SockaddrPppol2tpV3In6)],
)
def test_version_3_has_wide_ids(host, declaration):
    packed = sockaddr.pack_sockaddr(
        7,
        (host, 1701),
        local_tunnel_id=0x11111111,
        peer_tunnel_id=0x22222222,
        local_session_id=0x33333333,
        peer_session_id=0x44444444,
        version=3,
    )
    tunnel = declaration.from_buffer_copy(packed).pppol2tp
    assert (tunnel.s_tunnel, tunnel.d_tunnel) == (0x11111111, 0x22222222)
    assert (tunnel.s_session, tunnel.d_session) == (0x33333333, 0x44444444)


@pytest.mark.parametrize("host", ["localhost", "192.0.2", "2001:db8::x"])
def test_names_are_no_addresses(host):
    with pytest.raises(ValueError, match="not a numeric"):
        sockaddr.pack_sockaddr(7, (host, 1701), local_tunnel_id=1, peer_tunnel_id=2)


def test_statistics_come_out_in_order():
    raw = IocStats(1, 2, 0, *range(10, 18))
    read = uapi.unpack_stats(bytes(raw))
    assert (read.tx_packets, read.tx_bytes, read.tx_errors) == (10, 11, 12)
    assert (read.rx_packets, read.rx_bytes, read.rx_seq_discards) == (13, 14, 15)
    assert (read.rx_oos_packets, read.rx_errors) == (16, 17)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        # As gcc computes them from linux/ppp-ioctl.h on amd64.
        (uapi.PPPIOCGL2TPSTATS, 0x80487436),
        (uapi.PPPIOCGCHAN, 0x80047437),
        (uapi.PPPIOCATTCHAN, 0x40047438),
        (uapi.PPPIOCNEWUNIT, 0xC004743E),
        (uapi.PPPIOCCONNECT, 0x4004743A),
        (uapi.PPPIOCDISCONN, 0x00007439),
        (uapi.PPPIOCBRIDGECHAN, 0x40047435),
        (uapi.PPPIOCUNBRIDGECHAN, 0x00007434),
        (uapi.PPPIOCSMRU, 0x40047452),
        (uapi.PPPIOCGUNIT, 0x80047456),
        (uapi.PPPIOCGMRU, 0x80047453),
        (uapi.PPPIOCGDEBUG, 0x80047441),
        (uapi.PPPIOCSDEBUG, 0x40047440),
    ],
)
def test_ioctl_numbers(number, expected):
    assert number == expected
