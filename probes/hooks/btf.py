"""Where a structure keeps its members, asked of the running kernel's BTF.

Only as much of the format is read as offsets need: the type records are walked
in order and the walk ends as soon as everything wanted is found, which for the
few structures at the beginning of vmlinux costs a tenth of reading it all.
Source: Documentation/bpf/btf.rst, include/uapi/linux/btf.h.
"""

import functools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from probes.errors import CannotRunHereError

VMLINUX = Path("/sys/kernel/btf/vmlinux")
_PLACE = VMLINUX.parent

_HEADER = struct.Struct("=HBBIIIII")
_MAGIC = 0xEB9F

_KIND_STRUCT, _KIND_UNION, _KIND_ENUM = 4, 5, 6
_KINDS_OF_NAMES = frozenset({8, 9, 10, 11, 18})  # TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG
_RECORD_WORDS = 3
# 32-bit words after the record of a kind, whatever its vlen: INT, ARRAY, VAR, DECL_TAG.
_FIXED_WORDS = {1: 1, 3: 3, 14: 1, 17: 1}
# 32-bit words for each of the vlen entries: STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC, ENUM64.
_ENTRY_WORDS = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}

Member = tuple[str, str]


def identities(modules: Iterable[str], folder: Path = _PLACE) -> tuple[int, ...]:
    """Give numbers that change when one of these modules is loaded anew; 0 for one that is not."""
    found = []
    for module in modules:
        try:
            found.append((folder / module).stat().st_ino)
        except OSError:
            found.append(0)
    return tuple(found)


class Btf:
    """The type information of a kernel, of which offsets can be asked.

    raw: the bytes of a BTF blob in this machine's byte order, such as the
    contents of /sys/kernel/btf/vmlinux.
    base: what a module's blob adds to, the kernel's own; its names go before.
    Raises CannotRunHereError when raw is no BTF.
    """

    def __init__(self, raw: bytes, base: "Btf | None" = None) -> None:
        if len(raw) < _HEADER.size:
            raise _unreadable("it is too short")
        magic, _version, _flags, header, type_at, type_size, names_at, names_size = (
            _HEADER.unpack_from(raw)
        )
        if magic != _MAGIC:
            raise _unreadable(f"it begins with {magic:#06x} instead of {_MAGIC:#06x}")
        types = raw[header + type_at : header + type_at + type_size]
        self._names = raw[header + names_at : header + names_at + names_size]
        if len(types) != type_size or len(self._names) != names_size or type_size % 4:
            raise _unreadable("it ends too early")
        self._is_split = base is not None
        if base is not None:
            self._names = base._names + self._names
        self._words = memoryview(types).cast("I")
        self._positions: list[int] = []
        self._walk = self._new_walk()

    @classmethod
    def of_kernel(cls, path: Path = VMLINUX) -> "Btf":
        """Read the BTF of the running kernel.

        path: the file to read, for tests.
        Raises CannotRunHereError when the kernel offers none.
        """
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise CannotRunHereError(
                f"the kernel shows no type information: {path}: {error.strerror}",
                "Take a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's own has it).",
            ) from error

    def of_module(self, module: str, folder: Path = _PLACE) -> "Btf":
        """Read the BTF of a loaded module, for the structures that only it has.

        Raises CannotRunHereError when the module is not loaded or was built without.
        """
        try:
            return Btf((folder / module).read_bytes(), self)
        except OSError as error:
            raise CannotRunHereError(
                f"the module {module} shows no type information: {error.strerror}",
                "Load the driver first (`modprobe l2tp_ppp`), of a kernel built with"
                " CONFIG_DEBUG_INFO_BTF_MODULES=y (Debian's own has it).",
            ) from error

    def enumerators(self, enum_name: str) -> dict[int, str]:
        """Give the names of an enum by value, none when there is no such enum.

        Values are taken as unsigned 32 bits.
        """
        names = set(self._find_name(enum_name))
        for position in self._all_positions():
            if self._words[position] in names and self._kind(position) == _KIND_ENUM:
                first = position + _RECORD_WORDS
                return {
                    self._words[at + 1]: self._name(self._words[at])
                    for at in range(first, first + 2 * self._length(position), 2)
                }
        return {}

    def offsets(self, wanted: Iterable[Member]) -> dict[Member, int]:
        """Say at which byte each wanted member lies in its structure.

        wanted: pairs of structure and member name; of a vmlinux structure also a member of a
        member, as in "sk_lock.owned".
        Raises CannotRunHereError when a structure or a member is not there.
        """
        by_struct: dict[str, set[str]] = {}
        for struct_name, member in wanted:
            by_struct.setdefault(struct_name, set()).add(member)
        name_offsets = {
            at: struct_name for struct_name in by_struct for at in self._find_name(struct_name)
        }
        found: dict[Member, int] = {}
        for position in self._all_positions():
            struct_name = name_offsets.get(self._words[position], "")
            if not struct_name or self._kind(position) != _KIND_STRUCT:
                continue
            members = self._members(position, by_struct[struct_name])
            if members.keys() == by_struct[struct_name]:  # a namesake lacks some of them
                found.update({(struct_name, name): at for name, at in members.items()})
                del by_struct[struct_name]
                name_offsets = {at: n for at, n in name_offsets.items() if n != struct_name}
                if not by_struct:
                    return found
        missing = ", ".join(
            f"struct {name} with {' and '.join(sorted(members))}"
            for name, members in sorted(by_struct.items())
        )
        raise CannotRunHereError(
            f"the kernel's type information has no {missing}",
            "This kernel is laid out in a way that the probes do not know: please report it.",
        )

    def _find_name(self, name: str) -> Iterator[int]:
        """Give each place of name in the string section; a suffix of another name counts."""
        pattern = name.encode() + b"\0"
        at = self._names.find(pattern)
        while at >= 0:
            yield at
            at = self._names.find(pattern, at + 1)

    def _name(self, at: int) -> str:
        return self._names[at : self._names.index(b"\0", at)].decode()

    def _kind(self, position: int) -> int:
        return self._words[position + 1] >> 24 & 0x1F

    def _length(self, position: int) -> int:
        return self._words[position + 1] & 0xFFFF

    def _new_walk(self) -> Iterator[int]:
        """Give the position of every type record, and remember it: type ids count them from 1."""
        words, positions = self._words, self._positions
        fixed = [_FIXED_WORDS.get(kind, 0) for kind in range(32)]
        entry = [_ENTRY_WORDS.get(kind, 0) for kind in range(32)]
        position, end = 0, len(words)
        while position + _RECORD_WORDS <= end:
            positions.append(position)
            yield position
            info = words[position + 1]
            kind = info >> 24 & 0x1F
            position += _RECORD_WORDS + fixed[kind] + (info & 0xFFFF) * entry[kind]

    def _all_positions(self) -> Iterator[int]:
        index = 0  # not the walk itself: a look at an anonymous part takes it further meanwhile
        while index < len(self._positions) or next(self._walk, None) is not None:
            yield self._positions[index]
            index += 1

    def _position_of_type(self, type_id: int) -> int | None:
        if self._is_split:  # its ids go on after the kernel's, of which we have not counted all
            return None
        while len(self._positions) < type_id and next(self._walk, None) is not None:
            pass
        return self._positions[type_id - 1] if 0 < type_id <= len(self._positions) else None

    def _members(self, position: int, wanted: set[str], depth: int = 0) -> dict[str, int]:
        """Find members of the structure at position, those of its anonymous parts included."""
        words = self._words
        info = words[position + 1]
        found: dict[str, int] = {}
        anonymous: list[tuple[int, int]] = []
        inner_of: dict[str, set[str]] = {}
        for member in wanted:
            name, dot, rest = member.partition(".")
            if dot:
                inner_of.setdefault(name, set()).add(rest)
        for index in range(info & 0xFFFF):
            entry = position + _RECORD_WORDS + 3 * index
            name_at, type_id, bits = words[entry], words[entry + 1], words[entry + 2]
            if info >> 31:  # kind_flag: the upper 8 bits are the size of a bit field
                bits &= 0xFFFFFF
            if not name_at:
                anonymous.append((type_id, bits // 8))
            elif (name := self._name(name_at)) in wanted and not bits % 8:
                found[name] = bits // 8
            elif name in inner_of:
                found.update(self._inner_members(name, type_id, bits // 8, inner_of[name], depth))
        for type_id, base in anonymous:
            if found.keys() == wanted or depth > 8:
                break
            inner = self._position_of_type(type_id)
            if inner is not None and self._kind(inner) in (_KIND_STRUCT, _KIND_UNION):
                for name, at in self._members(inner, wanted - found.keys(), depth + 1).items():
                    found[name] = base + at
        return found

    def _inner_members(
        self, name: str, type_id: int, base: int, wanted: set[str], depth: int
    ) -> dict[str, int]:
        """Find members of a member that is a structure, whatever its type is called."""
        position = self._position_of_type(type_id)
        while position is not None and self._kind(position) in _KINDS_OF_NAMES:
            position = self._position_of_type(self._words[position + 2])
        if position is None or self._kind(position) not in (_KIND_STRUCT, _KIND_UNION):
            return {}
        inner = self._members(position, wanted, depth + 1)
        return {f"{name}.{member}": base + at for member, at in inner.items()}


@functools.cache
def counts_missed_kprobes(path: Path = VMLINUX) -> bool:
    """Say whether the kernel counts the runs of kprobes' programs that it skips, since Linux 6.7.

    It does where it tells of missed kprobes at all: both came together (kernel/trace/bpf_trace.c:
    trace_call_bpf; include/uapi/linux/bpf.h: struct bpf_link_info).
    """
    try:
        Btf.of_kernel(path).offsets([("bpf_link_info", "perf_event.kprobe.missed")])
    except CannotRunHereError:
        return False
    return True


def _unreadable(why: str) -> CannotRunHereError:
    return CannotRunHereError(
        f"the kernel's type information (BTF) cannot be read: {why}",
        f"Check with `bpftool btf dump file {VMLINUX} | head`.",
    )
