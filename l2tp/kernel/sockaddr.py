"""The socket addresses that ``connect()`` on a PPPoL2TP socket takes: four forms.

Each layout stands under the C declaration that it packs (``linux/if_pppox.h``,
``linux/if_pppol2tp.h``). Integers are in host order except ports and addresses, which are in
network order, as everywhere in socket addresses. The kernel tells the forms apart by their length
and reads no other field for that, the address family included; it takes the peer's address from the
connected UDP socket and not from here (``net/l2tp/l2tp_ppp.c: pppol2tp_sockaddr_get_info``).
"""

import socket
import struct
from typing import Final

from l2tp.kernel.uapi import AF_PPPOX, PX_PROTO_OL2TP

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

# struct sockaddr_pppol2tpv3: as sockaddr_pppol2tp, with four __u32 ids @30 @34 @38 @42; size 46
SOCKADDR_PPPOL2TPV3: Final = struct.Struct("=H I i i H 2s 4s 8x I I I I")

# struct sockaddr_pppol2tpv3in6: as sockaddr_pppol2tpin6, with four __u32 ids @14 @18 @22 @26, and
# so the address @30; size 58
SOCKADDR_PPPOL2TPV3IN6: Final = struct.Struct("=H I i i I I I I H 2s 4s 16s I")

_IPV4_FORMS: Final = {2: SOCKADDR_PPPOL2TP, 3: SOCKADDR_PPPOL2TPV3}
_IPV6_FORMS: Final = {2: SOCKADDR_PPPOL2TPIN6, 3: SOCKADDR_PPPOL2TPV3IN6}


def pack_sockaddr(
    tunnel_fd: int,
    peer: tuple[str, int],
    *,
    local_tunnel_id: int,
    peer_tunnel_id: int,
    local_session_id: int = 0,
    peer_session_id: int = 0,
    version: int = 2,
) -> bytes:
    """Pack the address that ``connect()`` on a PPPoL2TP socket takes.

    ``tunnel_fd`` is the tunnel's UDP socket in this process, ``peer`` a numeric IPv4 or IPv6
    address and a UDP port. Ids are 1 to 65535 (L2TPv2) or 1 to 4294967295 (``version`` 3), and both
    session ids 0 mean the tunnel itself. Raises ValueError for an address that is not numeric.
    """
    host, port = peer
    ids = (local_tunnel_id, local_session_id, peer_tunnel_id, peer_session_id)
    owner = (AF_PPPOX, PX_PROTO_OL2TP, 0, tunnel_fd)
    port_bytes = port.to_bytes(2, "big")
    if ":" not in host:
        address = _numeric(socket.AF_INET, host)
        return _IPV4_FORMS[version].pack(*owner, socket.AF_INET, port_bytes, address, *ids)
    host, _, scope = host.partition("%")
    return _IPV6_FORMS[version].pack(
        *owner,
        *ids,
        socket.AF_INET6,
        port_bytes,
        bytes(4),
        _numeric(socket.AF_INET6, host),
        socket.if_nametoindex(scope) if scope else 0,
    )


def _numeric(family: socket.AddressFamily, host: str) -> bytes:
    try:
        return socket.inet_pton(family, host)
    except OSError as error:
        raise ValueError(f"{host!r} is not a numeric {family.name} address") from error
