"""bcc: compile, load, attach, read maps. The only module that imports it.

bcc's compiler makes an object; its C library creates the maps, loads the
programs and attaches them. The two are kept apart so that an object compiled
earlier can be loaded without the compiler (bytecode.py, cache.py).
"""

import contextlib
import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from probes.errors import CannotRunHereError, ProbeError
from probes.hooks.bytecode import Bytecode, MapSpec, unlink
from probes.hooks.libbpf import load_traced
from probes.hooks.links import leave_to_kernel
from probes.hooks.procfs import possible_cpus
from probes.hooks.spec import KERNEL_STANDIN, Hook, Style

# The licence that the kernel is told: bpf_probe_read_kernel is for GPL-compatible programs.
_LICENSE = b"Dual BSD/GPL"

# enum bpf_prog_type
_TRACING = 26
_PROGRAM_TYPES = {Style.KPROBE: 2, Style.FENTRY: _TRACING}
_RAW_TRACEPOINT = 17

_MESSAGE_LIMIT = 2000


class AttachError(Exception):
    """A program could not be loaded or attached; the text says what the kernel or bcc said."""


class Bcc:
    """bcc's Python package and C library, found and checked.

    Raises CannotRunHereError, with the cure, when this Python cannot use bcc.
    """

    def __init__(self) -> None:
        try:
            import bcc
        except ImportError as error:
            raise CannotRunHereError(
                f"this Python cannot import bcc ({error})",
                "Install it with `apt install python3-bpfcc` and run the probes with"
                " /usr/bin/python3: another Python does not see Debian's packages.",
            ) from error
        except OSError as error:
            raise CannotRunHereError(
                f"bcc's library cannot be loaded ({error})",
                "Install it with `apt install --reinstall libbpfcc python3-bpfcc`.",
            ) from error
        if not hasattr(bcc, "BPF"):
            where = getattr(bcc, "__file__", None) or "an unknown place"
            raise CannotRunHereError(
                f"the `bcc` that this Python finds is another package: {where}",
                "Remove it with `pip uninstall bcc`, and `apt install python3-bpfcc`.",
            )
        self._bcc: Any = bcc
        self.version: str = getattr(bcc, "__version__", "unknown")
        self.library: Any = _declare(bcc.libbcc.lib)

    def compile(self, source: str, flags: Iterable[str]) -> Bytecode:
        """Compile C source with -D flags to an object that is not loaded yet.

        Raises ProbeError with the compiler's words when it refuses.
        """
        flags = list(flags)
        said = ""
        for tree in _kernel_trees():
            with _environment("BCC_KERNEL_SOURCE", tree), _stderr() as messages:
                try:
                    return self._compile(source, flags)
                except Exception:  # bcc raises nothing more precise
                    said = said or messages()
        raise ProbeError(
            f"bcc {self.version} cannot compile the probes:\n{said}",
            "Check that python3-bpfcc and libbpfcc are of one version: `dpkg -l '*bpfcc*'`.",
        )

    def _compile(self, source: str, flags: list[str]) -> Bytecode:
        class Unattached(self._bcc.BPF):  # type: ignore[misc,name-defined]
            """A BPF object whose programs wait for us to attach them."""

            def _trace_autoload(self) -> None:
                pass

        built = Unattached(text=source.encode(), cflags=flags)
        try:
            maps = tuple(self._maps(built.module))
            by_fd = {
                self.library.bpf_table_fd(built.module, spec.name.encode()): spec.name
                for spec in maps
            }
            functions: dict[str, bytes] = {}
            references: dict[str, list[tuple[int, str]]] = {}
            for index in range(self.library.bpf_num_functions(built.module)):
                name: bytes = self.library.bpf_function_name(built.module, index)
                functions[name.decode()], references[name.decode()] = unlink(
                    built.dump_func(name), by_fd
                )
            return Bytecode(maps, functions, references)
        finally:
            built.cleanup()
            self.library.bcc_free_memory()

    def _maps(self, module: Any) -> Iterator[MapSpec]:
        library = self.library
        for index in range(library.bpf_num_tables(module)):
            yield MapSpec(
                name=library.bpf_table_name(module, index).decode(),
                type=library.bpf_table_type_id(module, index),
                key_size=library.bpf_table_key_size_id(module, index),
                value_size=library.bpf_table_leaf_size_id(module, index),
                max_entries=library.bpf_table_max_entries_id(module, index),
                flags=library.bpf_table_flags_id(module, index),
            )


class Loaded:
    """The maps of an object in the kernel, and the programs of it that are attached.

    room: how many entries a map gets, where not as many as it was compiled with.
    Everything ends with close(), and with the process at the latest.
    Raises AttachError when a map cannot be made.
    """

    def __init__(self, bcc: Bcc, bytecode: Bytecode, room: Mapping[str, int]) -> None:
        self._library = bcc.library
        self._bytecode = bytecode
        self._maps = {spec.name: spec for spec in bytecode.maps}
        self._map_fds: dict[str, int] = {}
        self._attached: list[tuple[int, int, bytes | None]] = []
        try:
            for spec in bytecode.maps:
                self._map_fds[spec.name] = self._create_map(
                    spec, room.get(spec.name, spec.max_entries)
                )
        except AttachError:
            self.close()
            raise

    def _create_map(self, spec: MapSpec, max_entries: int) -> int:
        fd: int = self._library.bcc_create_map(
            spec.type,
            spec.name.encode(),
            spec.key_size,
            spec.value_size,
            max_entries,
            spec.flags,
        )
        if fd < 0:
            raise AttachError(f"the map {spec.name} cannot be made: {_errno_text()}")
        return fd

    def attach(self, hook: Hook, style: Style) -> int:
        """Load the hook's program and attach it; returns the program's file descriptor.

        Raises AttachError when the object has no program for it, or the kernel refuses.
        """
        name = self._bytecode.program_of(hook, style)
        if name is None:
            raise AttachError(f"this bcc compiles no {hook.how(style)} program for it")
        with _stderr() as messages:
            code = self._bytecode.linked(name, self._map_fds)
            kind = _RAW_TRACEPOINT if hook.tracepoint else _PROGRAM_TYPES[style]
            program = load_traced(code, hook, _LICENSE) if kind == _TRACING else None
            if program is None:
                program = self._library.bcc_prog_load(
                    kind, name.encode(), code, len(code), _LICENSE, 0, 0, None, 0
                )
            if program < 0:
                raise AttachError(f"the kernel refuses the program: {_errno_text()}\n{messages()}")
            event = None
            if hook.tracepoint:
                link = self._library.bpf_attach_raw_tracepoint(program, hook.function.encode())
            elif style is Style.FENTRY:
                link = self._library.bpf_attach_kfunc(program)
            else:
                event = f"{'r' if hook.at_return else 'p'}_{hook.function}".encode()
                link = self._library.bpf_attach_kprobe(
                    program, int(hook.at_return), event, hook.function.encode(), 0, 0
                )
            if link < 0:
                reason = _errno_text()
                os.close(program)
                raise AttachError(f"{hook.how(style)} cannot be attached: {reason}\n{messages()}")
        self._attached.append((program, link, event))
        return int(program)

    def entries(self, map_name: str) -> Iterator[tuple[bytes, bytes]]:
        """Give each key of a map and its value: of a per-CPU map, one value for each CPU."""
        spec, fd = self._maps[map_name], self._map_fds[map_name]
        key = ctypes.create_string_buffer(spec.key_size)
        value = ctypes.create_string_buffer(_value_size(spec))
        more = self._library.bpf_get_first_key(fd, key, spec.key_size)
        while more == 0:
            if self._library.bpf_lookup_elem(fd, key, value) == 0:
                yield key.raw, value.raw
            more = self._library.bpf_get_next_key(fd, key, key)

    def count(self, map_name: str) -> int:
        """Say how many entries a map has, without reading their values."""
        spec, fd = self._maps[map_name], self._map_fds[map_name]
        key = ctypes.create_string_buffer(spec.key_size)
        number = 0
        more = self._library.bpf_get_first_key(fd, key, spec.key_size)
        while more == 0:
            number += 1
            more = self._library.bpf_get_next_key(fd, key, key)
        return number

    def read(self, map_name: str, key: bytes) -> bytes | None:
        """Give an entry's value, of a per-CPU map one for each CPU; None when it is not there."""
        value = ctypes.create_string_buffer(_value_size(self._maps[map_name]))
        found = self._library.bpf_lookup_elem(self._map_fds[map_name], key, value) == 0
        return value.raw if found else None

    def write(self, map_name: str, key: bytes | None, value: bytes) -> None:
        """Set an entry, of a per-CPU map with one value for each CPU.

        Raises AttachError when that is refused.
        """
        if self._library.bpf_update_elem(self._map_fds[map_name], key, value, 0) < 0:
            raise AttachError(f"the map {map_name} cannot be written: {_errno_text()}")

    def push(self, map_name: str, value: bytes) -> None:
        """Put a value at the end of a queue. Raises AttachError when there is no room."""
        self.write(map_name, None, value)

    def take(self, map_name: str, key: bytes) -> bytes | None:
        """Remove an entry of a hash and give its value, at once; None when it is not there."""
        value = ctypes.create_string_buffer(_value_size(self._maps[map_name]))
        taken = self._library.bpf_lookup_and_delete(self._map_fds[map_name], key, value) == 0
        return value.raw if taken else None

    def delete(self, map_name: str, key: bytes) -> bool:
        """Remove an entry of a map; False when it is not there."""
        return bool(self._library.bpf_delete_elem(self._map_fds[map_name], key) == 0)

    def map_fd(self, map_name: str) -> int:
        """Give a map's file descriptor, which stays ours."""
        return self._map_fds[map_name]

    def leave(self) -> tuple[int, int]:
        """The same as close(), but let the kernel detach what it will, soon.

        Says how many programs that are, and of how many.
        """
        links = [link for _, link, event in self._attached if event is None]
        kept = [one for one in self._attached if one[2] is not None]
        for program in (program for program, _, event in self._attached if event is None):
            os.close(program)
        total, self._attached = len(self._attached), kept
        taken = leave_to_kernel(links)
        self.close()
        return taken, total

    def close(self) -> None:
        """Detach every program and let the maps go. May be called again."""
        while self._attached:
            program, link, event = self._attached.pop()
            if event is None:
                os.close(link)
            else:
                self._library.bpf_close_perf_event_fd(link)
                self._library.bpf_detach_kprobe(event)
            os.close(program)
        while self._map_fds:
            os.close(self._map_fds.popitem()[1])


# enum bpf_map_type: PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH
_PER_CPU_TYPES = frozenset({5, 6, 10})


def _value_size(spec: MapSpec) -> int:
    """Size what a lookup writes: a per-CPU value is rounded up to 8 bytes, once for each CPU."""
    if spec.type in _PER_CPU_TYPES:
        return (spec.value_size + 7) // 8 * 8 * possible_cpus()
    return spec.value_size


def _declare(library: Any) -> Any:
    """Declare the functions that bcc's Python does not (bcc, src/cc/libbpf.h, bpf_module.h)."""
    number, unsigned, text = ctypes.c_int, ctypes.c_uint, ctypes.c_char_p
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    log_buffer = (number, pointer, unsigned)  # log_level, log_buf, log_buf_size
    declarations: dict[str, tuple[Any, list[Any]]] = {
        "bcc_create_map": (number, [number, text, number, number, number, number]),
        "bcc_prog_load": (number, [number, text, text, number, text, unsigned, *log_buffer]),
        "bpf_num_tables": (size, [pointer]),
        "bpf_table_name": (text, [pointer, size]),
        "bpf_table_key_size_id": (size, [pointer, size]),
        "bpf_table_leaf_size_id": (size, [pointer, size]),
    }
    for name, (result, arguments) in declarations.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _kernel_trees() -> list[Path]:
    """Name the kernel sources to try: the stand-in, then headers that are installed anyway."""
    installed = Path(f"/lib/modules/{os.uname().release}/build")
    return [KERNEL_STANDIN, *([installed] if installed.is_dir() else [])]


def _errno_text() -> str:
    return os.strerror(ctypes.get_errno())


@contextlib.contextmanager
def _environment(name: str, value: Path) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = str(value)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _stderr() -> Iterator[Any]:
    """Catch what bcc's C++ writes to stderr; yields a function that gives it as text."""
    kept = os.dup(2)
    caught = os.memfd_create("bcc-stderr")
    os.dup2(caught, 2)

    def messages() -> str:
        # The verifier says in the end what it does not like.
        begin = max(0, os.fstat(caught).st_size - _MESSAGE_LIMIT)
        return os.pread(caught, _MESSAGE_LIMIT, begin).decode(errors="replace").strip()

    try:
        yield messages
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(caught)
