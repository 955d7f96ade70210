"""libbpf: loads the programs for functions' entries and returns, by ids that are looked up once.

bcc's own loader reads the kernel's whole type information for each such program, which was most of
what a tracer's start cost. bcc brings this library along; where it is not to be had, or what it
knows does not hold any more, bcc's loader does the same more slowly.
Source: libbpf's btf.h and bpf.h (1.0); include/uapi/linux/bpf.h: struct bpf_btf_info.
"""

import ctypes
import functools
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from probes.hooks.spec import Hook

_LIBRARY = "libbpf.so.1"

_PROGRAM_TYPE_TRACING = 26
_TRACE_FENTRY, _TRACE_FEXIT = 24, 25
_BTF_KIND_FUNC = 12
_INSN_OCTETS = 8
_NAME_OCTETS = 64


class _LoadOptions(ctypes.Structure):
    """struct bpf_prog_load_opts, as far as it is needed; sz says how far that is."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_int),
        ("prog_btf_fd", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_ifindex", ctypes.c_uint32),
        ("kern_version", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("attach_prog_fd", ctypes.c_uint32),
        ("attach_btf_obj_fd", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


class _BtfInfo(ctypes.Structure):
    """struct bpf_btf_info."""

    _fields_ = (
        ("btf", ctypes.c_uint64),
        ("btf_size", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("name", ctypes.c_uint64),
        ("name_len", ctypes.c_uint32),
        ("kernel_btf", ctypes.c_uint32),
    )


class _Target(NamedTuple):
    """A function as the kernel knows it: its type's id, and in which object (0: its own)."""

    type_id: int
    object_fd: int


def load_traced(code: bytes, hook: Hook, licence: bytes) -> int | None:
    """Load a program for the hook's function; returns its file descriptor.

    None where that cannot be done here, or the kernel refuses: bcc's loader says why.
    """
    library = _library()
    target = None if library is None else _target(hook.function, hook.module)
    if library is None or target is None:
        return None
    options = _LoadOptions(
        sz=ctypes.sizeof(_LoadOptions),
        expected_attach_type=_TRACE_FEXIT if hook.at_return else _TRACE_FENTRY,
        attach_btf_id=target.type_id,
        attach_btf_obj_fd=target.object_fd,
    )
    # The kernel's own limit is 15 characters; the library cuts.
    fd: int = library.bpf_prog_load(
        *(_PROGRAM_TYPE_TRACING, hook.function.encode(), licence),
        *(code, len(code) // _INSN_OCTETS, ctypes.byref(options)),
    )
    if fd >= 0:
        return fd
    forget()  # a module that was loaded again has other ids
    return None


def pin(fd: int, path: str) -> bool:
    """Have a file of a BPF file system hold a link; tells whether it does."""
    library = _library()
    return library is not None and library.bpf_obj_pin(fd, path.encode()) == 0


def remember(hooks: Iterable[Hook]) -> None:
    """Find the functions' types for all loads to come, also those of a fork."""
    for hook in hooks:
        if not hook.tracepoint:
            _find_target(hook.function, hook.module)
    forget()  # descriptors are not for a fork
    kernel, library = _kernel_types(), _library()
    if kernel and library is not None:
        library.btf__free(kernel)  # megabytes, which each fork would have to be given
    _kernel_types.cache_clear()


def forget() -> None:
    """Look every function up again the next time."""
    while _object_fds:
        os.close(_object_fds.popitem()[1])
    _targets.clear()


@functools.cache
def _library() -> Any | None:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    unsigned, size = ctypes.c_uint32, ctypes.c_size_t
    declarations: dict[str, tuple[Any, list[Any]]] = {
        "btf__load_vmlinux_btf": (pointer, []),
        "btf__load_module_btf": (pointer, [text, pointer]),
        "btf__find_by_name_kind": (number, [pointer, text, unsigned]),
        "btf__free": (None, [pointer]),
        "bpf_btf_get_next_id": (number, [unsigned, ctypes.POINTER(unsigned)]),
        "bpf_btf_get_fd_by_id": (number, [unsigned]),
        "bpf_obj_get_info_by_fd": (number, [number, pointer, ctypes.POINTER(unsigned)]),
        "bpf_prog_load": (number, [number, text, text, text, size, pointer]),
        "bpf_obj_pin": (number, [number, text]),
    }
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
        for name, (result, arguments) in declarations.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return library


@functools.cache
def _kernel_types() -> int | None:
    """Read the kernel's type information, once in a process."""
    library = _library()
    if library is None:
        return None
    found: int | None = library.btf__load_vmlinux_btf()
    return found


def _target(function: str, module: str | None) -> _Target | None:
    known = _targets.get((function, module))
    if known is None:
        known = _find_target(function, module)
        if known is not None:
            _targets[function, module] = known
    return known


def _find_target(function: str, module: str | None) -> _Target | None:
    library = _library()
    if library is None:
        return None
    object_fd = 0 if module is None else _object_fd(module)
    if object_fd is None:
        return None
    type_id = _type_id(function, module, 0 if module is None else _object_ids[module])
    return _Target(type_id, object_fd) if type_id > 0 else None


@functools.cache
def _type_id(function: str, module: str | None, _object_id: int) -> int:
    """Find a function's type; 0 and below: there is none. An object keeps its id, and its types."""
    library, kernel = _library(), _kernel_types()
    if library is None or not kernel:
        return 0
    types = kernel if module is None else library.btf__load_module_btf(module.encode(), kernel)
    if not types:
        return 0
    type_id: int = library.btf__find_by_name_kind(types, function.encode(), _BTF_KIND_FUNC)
    if module is not None:
        library.btf__free(types)
    return type_id


_targets: dict[tuple[str, str | None], _Target] = {}
_object_fds: dict[str, int] = {}
# A module's object gets another id when the module is loaded again.
_object_ids: dict[str, int] = {}


def _object_fd(module: str) -> int | None:
    """Find the kernel's object of a module's types; root may see all of them by their ids."""
    library = _library()
    if module in _object_fds or library is None:
        return _object_fds.get(module)
    for number in _candidates(library, _object_ids.pop(module, None)):
        fd: int = library.bpf_btf_get_fd_by_id(number)
        if fd < 0:  # it went away meanwhile
            continue
        if _name_of(library, fd) == module.encode():
            _object_ids[module] = number
            _object_fds[module] = fd
            return fd
        os.close(fd)
    return None


def _candidates(library: Any, known: int | None) -> Iterator[int]:
    """Give the ids of all objects, that which it was before first."""
    if known is not None:
        yield known
    number = ctypes.c_uint32(0)
    while library.bpf_btf_get_next_id(number, ctypes.byref(number)) == 0:
        yield number.value


def _name_of(library: Any, fd: int) -> bytes:
    name = ctypes.create_string_buffer(_NAME_OCTETS)
    info = _BtfInfo(name=ctypes.addressof(name), name_len=_NAME_OCTETS)
    length = ctypes.c_uint32(ctypes.sizeof(info))
    failed = library.bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(length))
    return b"" if failed else name.value
