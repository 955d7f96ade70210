"""Compiled objects at rest, and the cache that keeps them."""

import struct
from pathlib import Path

import pytest

from probes.hooks import cache
from probes.hooks.bytecode import Bytecode, MapSpec, unlink
from probes.hooks.spec import FIGURES, Style

LD_IMM64 = 0x18


def instruction(opcode: int, source: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhi", opcode, source << 4, 0, immediate)


MAP_LOAD = instruction(LD_IMM64, 1, 12) + instruction(0)
# A constant whose second half looks like the beginning of a map reference.
CONSTANT = instruction(LD_IMM64, 0, 12) + instruction(0, 1, 12)
EXIT = instruction(0x95)

OBJECT = Bytecode(
    maps=(MapSpec("figures", 5, 24, 336, 1, 0),),
    functions={"receive_entered": CONSTANT + EXIT},
    references={"receive_entered": [(0, "figures")]},
)


def test_descriptors_are_taken_out_and_filled_in_again() -> None:
    code = EXIT + MAP_LOAD + CONSTANT + EXIT
    cleared, references = unlink(code, {12: "figures"})
    assert references == [(1, "figures")]
    assert cleared == EXIT + instruction(LD_IMM64, 1, 0) + instruction(0) + CONSTANT + EXIT
    linked = Bytecode((), {"f": cleared}, {"f": references}).linked("f", {"figures": 99})
    assert linked == EXIT + instruction(LD_IMM64, 1, 99) + instruction(0) + CONSTANT + EXIT


def test_a_reference_to_an_unknown_map_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown map"):
        unlink(MAP_LOAD, {13: "figures"})


def test_an_object_survives_being_written_down() -> None:
    assert Bytecode.from_json(OBJECT.to_json("source"), "source") == OBJECT


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"made_from": "source"}', OBJECT.to_json("another source")]
)
def test_anything_else_is_no_object(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Bytecode.from_json(text, "source")


def test_the_program_of_a_hook_is_found_by_style() -> None:
    entry, leave, common, delivered, *_ = FIGURES.hooks
    compiled = Bytecode(
        (),
        dict.fromkeys(
            [
                "kretfunc__l2tp_core__l2tp_udp_encap_recv",
                "kfunc__l2tp_core__l2tp_udp_encap_recv",
                "kfunc__netif_rx",
            ],
            b"",
        ),
        {},
    )
    assert compiled.program_of(entry, Style.FENTRY) == "kfunc__l2tp_core__l2tp_udp_encap_recv"
    assert compiled.program_of(leave, Style.FENTRY) == "kretfunc__l2tp_core__l2tp_udp_encap_recv"
    assert compiled.program_of(delivered, Style.FENTRY) == "kfunc__netif_rx"
    assert compiled.program_of(common, Style.FENTRY) is None
    assert compiled.program_of(entry, Style.KPROBE) is None
    assert OBJECT.program_of(entry, Style.KPROBE) == "receive_entered"


def test_the_cache_gives_back_what_was_made_from_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    made_from = cache.made_from("int f;", ["-DX=1"], "bcc 1")
    assert cache.load("receive", made_from, folder) is None
    cache.store("receive", made_from, OBJECT, folder)
    assert cache.load("receive", made_from, folder) == OBJECT
    for other in (
        cache.made_from("int g;", ["-DX=1"], "bcc 1"),
        cache.made_from("int f;", ["-DX=2"], "bcc 1"),
        cache.made_from("int f;", ["-DX=1"], "bcc 2"),
    ):
        assert cache.load("receive", other, folder) is None
    assert [path.name for path in folder.iterdir()] == ["receive.json"]


@pytest.mark.parametrize("which", ["folder", "file"])
def test_the_cache_believes_nothing_that_others_can_write(tmp_path: Path, which: str) -> None:
    folder = tmp_path / "cache"
    cache.store("receive", "source", OBJECT, folder)
    (folder if which == "folder" else folder / "receive.json").chmod(0o777)
    assert cache.load("receive", "source", folder) is None


def test_the_cache_follows_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache.store("receive", "source", OBJECT, folder)
    (folder / "receive.json").rename(tmp_path / "elsewhere.json")
    (folder / "receive.json").symlink_to(tmp_path / "elsewhere.json")
    assert cache.load("receive", "source", folder) is None


def test_a_damaged_entry_is_no_entry(tmp_path: Path) -> None:
    cache.store("receive", "source", OBJECT, tmp_path / "cache")
    (tmp_path / "cache" / "receive.json").write_text("{")
    assert cache.load("receive", "source", tmp_path / "cache") is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache.store("receive", "source", OBJECT, tmp_path / "file" / "cache")
