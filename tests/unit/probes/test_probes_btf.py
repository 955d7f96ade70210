"""The BTF reader, on type information built here record by record."""

import struct
from pathlib import Path

import pytest

from probes.errors import CannotRunHereError
from probes.hooks.btf import Btf

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FUNC_PROTO, VAR, ENUM64 = 1, 2, 3, 4, 5, 6, 13, 14, 19


class Builder:
    """Writes BTF as include/uapi/linux/btf.h lays it out."""

    def __init__(self) -> None:
        self.types = b""
        self.names = b"\0"

    def name(self, text: str) -> int:
        if not text:
            return 0
        at = len(self.names)
        self.names += text.encode() + b"\0"
        return at

    def record(self, kind: int, name: str, vlen: int, rest: bytes, kind_flag: bool = False) -> None:
        info = kind << 24 | vlen | (1 << 31 if kind_flag else 0)
        self.types += struct.pack("=III", self.name(name), info, 8) + rest

    def aggregate(
        self, kind: int, name: str, *members: tuple[str, int, int], kind_flag: bool = False
    ) -> None:
        rest = b"".join(struct.pack("=III", self.name(n), t, bits) for n, t, bits in members)
        self.record(kind, name, len(members), rest, kind_flag)

    def build(self) -> bytes:
        header = struct.pack(
            "=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.names)
        )
        return header + self.types + self.names


def kernel() -> Builder:
    """Build a kernel of every kind of record in front of what is looked for."""
    btf = Builder()
    btf.record(INT, "int", 0, b"\0" * 4)  # type 1
    btf.record(ARRAY, "", 0, b"\0" * 12)
    btf.record(FUNC_PROTO, "", 2, b"\0" * 16)
    btf.record(VAR, "net", 0, b"\0" * 4)  # no structure, though it has the name
    btf.record(ENUM64, "", 1, b"\0" * 12)
    btf.aggregate(UNION, "", ("dev", 1, 128), ("list", 1, 0))  # type 6
    btf.aggregate(STRUCT, "sk_buff", ("", 6, 64), ("len", 1, 896), ("data", 1, 1664))
    btf.aggregate(STRUCT, "net", ("ns", 1, 960 | 8 << 24), kind_flag=True)
    return btf


def test_finds_members_at_their_bytes() -> None:
    wanted = [("sk_buff", "len"), ("sk_buff", "data"), ("net", "ns")]
    assert Btf(kernel().build()).offsets(wanted) == {
        ("sk_buff", "len"): 112,
        ("sk_buff", "data"): 208,
        ("net", "ns"): 120,
    }


def test_adds_the_place_of_an_anonymous_union() -> None:
    assert Btf(kernel().build()).offsets([("sk_buff", "dev")]) == {("sk_buff", "dev"): 8 + 16}


def test_an_anonymous_part_may_be_described_later() -> None:
    btf = Builder()
    btf.aggregate(STRUCT, "sk_buff", ("", 2, 64))
    btf.aggregate(UNION, "", ("dev", 1, 8))
    assert Btf(btf.build()).offsets([("sk_buff", "dev")]) == {("sk_buff", "dev"): 9}


def test_a_namesake_without_the_member_is_passed_over() -> None:
    btf = Builder()
    btf.aggregate(STRUCT, "net", ("other", 1, 0))
    btf.aggregate(STRUCT, "net", ("ns", 1, 64))
    assert Btf(btf.build()).offsets([("net", "ns")]) == {("net", "ns"): 8}


def test_may_be_asked_twice() -> None:
    btf = Btf(kernel().build())
    assert btf.offsets([("net", "ns")]) == btf.offsets([("net", "ns")])


@pytest.mark.parametrize(
    "wanted", [("sk_buff", "missing"), ("no_such_struct", "x")], ids=["member", "structure"]
)
def test_says_what_is_missing(wanted: tuple[str, str]) -> None:
    with pytest.raises(CannotRunHereError, match=wanted[0]) as caught:
        Btf(kernel().build()).offsets([wanted])
    assert wanted[1] in caught.value.message


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0" * 64, kernel().build()[:-1], kernel().build()[:30]],
    ids=["empty", "no magic", "cut in the names", "cut in the types"],
)
def test_refuses_what_is_not_whole(raw: bytes) -> None:
    with pytest.raises(CannotRunHereError, match="cannot be read"):
        Btf(raw)


def test_a_record_that_promises_more_than_there_is_ends_the_walk() -> None:
    btf = Builder()
    btf.record(FUNC_PROTO, "", 60000, b"")
    with pytest.raises(CannotRunHereError, match="struct net"):
        Btf(btf.build()).offsets([("net", "ns")])


def test_a_module_is_read_with_the_names_of_the_kernel(tmp_path: Path) -> None:
    base = kernel()
    module = Builder()
    at = base.names.index(b"\0len\0") + 1
    own = len(base.names) + module.name("l2tp_session")
    rest = struct.pack("=III", at, 1, 320)
    module.types += struct.pack("=III", own, STRUCT << 24 | 1, 8) + rest
    (tmp_path / "l2tp_core").write_bytes(module.build())
    found = Btf(base.build()).of_module("l2tp_core", tmp_path)
    assert found.offsets([("l2tp_session", "len")]) == {("l2tp_session", "len"): 40}


def test_a_module_that_is_not_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRunHereError, match="module l2tp_core shows no type"):
        Btf(kernel().build()).of_module("l2tp_core", tmp_path)


def test_gives_the_names_of_an_enum() -> None:
    btf = kernel()
    names = [btf.name("SKB_CONSUMED"), 1, btf.name("SKB_DROP_REASON_NOT_SPECIFIED"), 2]
    btf.record(ENUM, "skb_drop_reason", 2, struct.pack("=4I", *names))
    read = Btf(btf.build())
    assert read.enumerators("skb_drop_reason") == {
        1: "SKB_CONSUMED",
        2: "SKB_DROP_REASON_NOT_SPECIFIED",
    }
    assert read.enumerators("no_such_enum") == {}


def test_what_lies_before_an_anonymous_part_that_comes_later_is_found() -> None:
    btf = Builder()
    btf.aggregate(STRUCT, "sk_buff", ("", 3, 64), ("len", 1, 0))  # type 1: its part is type 3
    btf.aggregate(STRUCT, "net", ("ns", 1, 960))
    btf.aggregate(UNION, "", ("dev", 1, 128))
    wanted = [("sk_buff", "dev"), ("net", "ns")]
    assert Btf(btf.build()).offsets(wanted) == {("sk_buff", "dev"): 24, ("net", "ns"): 120}
