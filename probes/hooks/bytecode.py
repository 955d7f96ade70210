"""A compiled BPF object at rest: its maps, its programs, and which program refers to which map.

bcc compiles in seconds and loads in milliseconds. Keeping what it compiled lets
the next start skip the compiler; the kernel verifies the programs again anyway.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from probes.hooks.spec import Hook, Style

# struct bpf_insn { u8 code; u8 dst_reg:4, src_reg:4; s16 off; s32 imm; }
_INSN = struct.Struct("=BBhi")
_LD_IMM64 = 0x18  # BPF_LD | BPF_DW | BPF_IMM, which takes two instructions
_PSEUDO_MAP_FD = 1


class MapSpec(NamedTuple):
    """What is needed to create a map (BPF_MAP_CREATE); sizes in bytes."""

    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


class Bytecode(NamedTuple):
    """The maps and programs of one object.

    functions: instructions by name, with zeros where a map is referred to.
    references: by function, pairs of instruction index and map name.
    """

    maps: tuple[MapSpec, ...]
    functions: dict[str, bytes]
    references: dict[str, list[tuple[int, str]]]

    def linked(self, function: str, map_fds: Mapping[str, int]) -> bytes:
        """Give a function's instructions with its maps' file descriptors filled in."""
        code = bytearray(self.functions[function])
        for index, name in self.references[function]:
            struct.pack_into("=i", code, index * _INSN.size + 4, map_fds[name])
        return bytes(code)

    def program_of(self, hook: Hook, style: Style) -> str | None:
        """Name the function that was compiled for a hook in a style, if one was."""
        return next((name for name in self.functions if hook.is_program(name, style)), None)

    def to_json(self, made_from: str) -> str:
        """Write the object down, with what it was compiled from."""
        return json.dumps(
            {
                "made_from": made_from,
                "maps": [spec._asdict() for spec in self.maps],
                "functions": {n: c.hex() for n, c in self.functions.items()},
                "references": self.references,
            }
        )

    @classmethod
    def from_json(cls, text: str, made_from: str) -> "Bytecode":
        """Read an object that to_json wrote.

        Raises ValueError on anything else, also on what was made from something else.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            if data["made_from"] != made_from:
                raise ValueError("made from something else")
            return cls(
                maps=tuple(MapSpec(**spec) for spec in data["maps"]),
                functions={n: bytes.fromhex(c) for n, c in data["functions"].items()},
                references={
                    n: [(int(index), str(name)) for index, name in pairs]
                    for n, pairs in data["references"].items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a compiled object: {error!r}") from error


def unlink(code: bytes, maps_by_fd: Mapping[int, str]) -> tuple[bytes, list[tuple[int, str]]]:
    """Take the file descriptors of maps out of a program's instructions.

    code: instructions as bcc has them after it made the maps.
    maps_by_fd: the maps' names by file descriptor.
    Returns the instructions with zeros in their place, and where each map goes.
    Raises ValueError when a descriptor belongs to no known map.
    """
    cleared = bytearray(code)
    references: list[tuple[int, str]] = []
    index, count = 0, len(code) // _INSN.size
    while index < count:
        opcode, registers, _offset, immediate = _INSN.unpack_from(code, index * _INSN.size)
        if opcode == _LD_IMM64:
            if registers >> 4 == _PSEUDO_MAP_FD:
                if immediate not in maps_by_fd:
                    raise ValueError(f"instruction {index} refers to an unknown map")
                references.append((index, maps_by_fd[immediate]))
                struct.pack_into("=i", cleared, index * _INSN.size + 4, 0)
            index += 1
        index += 1
    return bytes(cleared), references
