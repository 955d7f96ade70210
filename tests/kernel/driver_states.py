"""States of the driver that no ordinary program brings about, and packets can meet all the same."""

import contextlib
import ctypes
import mmap
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.kernel.daemon_support import until

_libc = ctypes.CDLL(None, use_errno=True)

# asm/unistd_64.h; linux/userfaultfd.h
_SYS_USERFAULTFD = 323
_UFFDIO_API = 0xC018AA3F
_UFFDIO_REGISTER = 0xC020AA00
_UFFD_API = 0xAA
_REGISTER_MISSING = 1
_MSG_MORE = 0x8000

# linux/l2tp.h, genetlink.h
_NETLINK_GENERIC = 16
_CONTROLLER, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2
_SESSION_CREATE, _PW_TYPE, _CONN_ID, _SESSION_ID, _PEER_SESSION_ID = 5, 1, 9, 11, 12
_PW_PPP = 7
_REQUEST_AND_ACK = 5


@contextlib.contextmanager
def held_socket(udp: socket.socket) -> Iterator[None]:
    """Let a thread hold a UDP socket: its sendmsg waits for a page that nobody provides.

    A corked datagram is copied from user space with the socket locked (net/ipv4/udp.c:
    udp_sendmsg); userfaultfd(2) stops the copy in the middle.
    """
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        at = ctypes.addressof(ctypes.c_char.from_buffer(page))
        descriptor = _libc.syscall(_SYS_USERFAULTFD, os.O_CLOEXEC)
        assert descriptor >= 0, os.strerror(ctypes.get_errno())
        try:
            for request, words in (
                (_UFFDIO_API, (_UFFD_API, 0, 0)),
                (_UFFDIO_REGISTER, (at, mmap.PAGESIZE, _REGISTER_MISSING, 0)),
            ):
                raw = ctypes.create_string_buffer(struct.pack(f"={len(words)}Q", *words))
                assert _libc.ioctl(descriptor, ctypes.c_ulong(request), raw) == 0, request
            begun: list[int] = []

            def send() -> None:
                begun.append(threading.get_native_id())
                _libc.send(udp.fileno(), ctypes.c_void_p(at), 100, _MSG_MORE)

            thread = threading.Thread(target=send)
            thread.start()
            until(lambda: bool(begun) and _waits_for_a_page(begun[0]), "the copy waits")
            yield
        finally:
            os.close(descriptor)  # ends the wait: the page is there as an ordinary one
        thread.join()


def _waits_for_a_page(thread: int) -> bool:
    return "userfault" in Path(f"/proc/self/task/{thread}/wchan").read_text()


def make_session_without_socket(tunnel_id: int, session_id: int, peer_session_id: int) -> None:
    """Have netlink make a PPP session in this namespace: it has no PPPoX socket.

    net/l2tp/l2tp_netlink.c: l2tp_nl_cmd_session_create; l2tp_ppp.c: pppol2tp_session_create.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as netlink:
        answer = _ask(netlink, _CONTROLLER, _GET_FAMILY, _attribute(_FAMILY_NAME, b"l2tp\0"), 1)
        at = answer.index(struct.pack("=HH", 6, _FAMILY_ID))
        (family,) = struct.unpack_from("=H", answer, at + 4)
        answer = _ask(
            netlink,
            family,
            _SESSION_CREATE,
            _attribute(_CONN_ID, struct.pack("=I", tunnel_id))
            + _attribute(_SESSION_ID, struct.pack("=I", session_id))
            + _attribute(_PEER_SESSION_ID, struct.pack("=I", peer_session_id))
            + _attribute(_PW_TYPE, struct.pack("=H", _PW_PPP)),
            _REQUEST_AND_ACK,
        )
        (error,) = struct.unpack_from("=i", answer, 16)
        assert error == 0, os.strerror(-error)


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def _ask(netlink: socket.socket, kind: int, command: int, body: bytes, flags: int) -> bytes:
    length = 20 + len(body)
    netlink.send(struct.pack("=IHHIIBBH", length, kind, flags, 1, 0, command, 1, 0) + body)
    return netlink.recv(1 << 16)
