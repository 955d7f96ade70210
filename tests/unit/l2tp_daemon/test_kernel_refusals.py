"""What a user reads when the kernel refuses: the step, the cause, the cure."""

import errno

import pytest

from l2tp.kernel.errors import refusal
from l2tp.protocol.errors import KernelError


@pytest.mark.parametrize(
    ("operation", "code", "cure"),
    [
        ("socket", errno.EAFNOSUPPORT, "modprobe l2tp_ppp"),
        ("socket", errno.EPROTONOSUPPORT, "modprobe l2tp_ppp"),
        ("open tunnel", errno.EBADF, "keep the UDP socket open"),
        ("open tunnel", errno.ENOTSOCK, "the tunnel's own UDP socket"),
        ("open tunnel", errno.EPROTONOSUPPORT, "SOCK_DGRAM"),
        ("open tunnel", errno.EBUSY, "one UDP socket for each tunnel"),
        ("open tunnel", errno.EEXIST, "ip l2tp show tunnel"),
        ("open tunnel", errno.EALREADY, "a new PPPoL2TP socket"),
        ("open session", errno.ENOENT, "open the tunnel's management socket first"),
        ("open session", errno.EEXIST, "ip l2tp show session"),
        ("open session", errno.EALREADY, "a new PPPoL2TP socket"),
        ("bind", errno.EADDRINUSE, "ss -lunp"),
        ("bind", errno.EADDRNOTAVAIL, "ip address"),
    ],
)
def test_each_refusal_names_its_cure(operation, code, cure):
    error = refusal(operation, OSError(code, "whatever"), "10")
    assert isinstance(error, KernelError)
    assert error.errno == code
    assert str(error).startswith(f"{operation} 10: ")
    assert cure in str(error)


# What pppol2tp_connect and the functions that it calls can return.
CONNECT = {
    "open tunnel": (
        *(errno.EBADF, errno.ENOTSOCK, errno.EPROTONOSUPPORT, errno.EINVAL, errno.EBUSY),
        *(errno.EEXIST, errno.EALREADY, errno.ENODEV, errno.ENOMEM, errno.EFAULT),
    ),
    "open session": (
        *(errno.ENOENT, errno.EEXIST, errno.EALREADY, errno.EBUSY, errno.ENODEV),
        *(errno.EPROTOTYPE, errno.EINVAL, errno.ENOMEM, errno.EFAULT),
    ),
}


@pytest.mark.parametrize(
    ("operation", "code"),
    [(operation, code) for operation, codes in CONNECT.items() for code in codes],
)
def test_every_refusal_of_connect_has_a_cause_and_a_cure(operation, code):
    unknown = refusal(operation, OSError(errno.EIO, ""), "10")
    error = refusal(operation, OSError(code, ""), "10")
    assert error.cure and error.cure != unknown.cure
    assert ": " in error.cure


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOPROTOOPT, errno.ENOTCONN])
def test_an_option_that_is_refused_names_its_cure(code):
    error = refusal("set RECVSEQ", OSError(code, ""), "session 4")
    assert "dmesg" not in str(error)


def test_the_whole_text_of_one():
    error = refusal("open session", OSError(errno.ENOENT, ""), "4 of tunnel 9")
    assert str(error) == (
        "open session 4 of tunnel 9: No such file or directory (errno 2). the kernel knows no "
        "tunnel of this id in this network namespace: open the tunnel's management socket first "
        "and keep it open; see: ip l2tp show tunnel"
    )


def test_an_unknown_refusal_still_says_where_to_look():
    assert "dmesg" in str(refusal("open tunnel", OSError(errno.EIO, "")))
