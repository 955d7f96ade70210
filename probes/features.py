"""What this kernel and this Python offer to the probes, each "no" with its reason and cure."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probes.errors import ProbeError
from probes.hooks import modules
from probes.hooks.btf import VMLINUX, Btf
from probes.hooks.spec import FIGURES, MODULE_TO_LOAD, Style

MODULES = ("l2tp_core", "l2tp_netlink", "l2tp_ppp", "pppox", "ppp_generic")
L2TP_TRACEPOINTS = (
    "register_tunnel", "delete_tunnel", "free_tunnel",
    "register_session", "delete_session", "free_session",
    "session_seqnum_lns_enable", "session_seqnum_lns_disable",
    "session_seqnum_update", "session_seqnum_reset",
    "session_pkt_expired", "session_pkt_oos", "session_pkt_outside_rx_window",
)  # fmt: skip
_LOAD = f"Load the driver first: `modprobe {MODULE_TO_LOAD}`."
_ROOT = "Run it as root: `sudo /usr/bin/python3 -m probes features`."


@dataclass(frozen=True)
class Feature:
    """One thing that probes can need.

    needed: without it nothing can be counted. detail: what was found.
    reason, cure: why it is not there and what to do; empty when it is there.
    """

    name: str
    available: bool
    needed: bool
    detail: str = ""
    reason: str = ""
    cure: str = ""


@dataclass(frozen=True)
class Places:
    """Where the kernel shows what it offers; another root for tests."""

    root: Path = Path("/")

    @property
    def tracing(self) -> Path:
        """The tracefs, at its own place or below debugfs."""
        own = self.root / "sys/kernel/tracing"
        return own if (own / "events").is_dir() else self.root / "sys/kernel/debug/tracing"

    def read(self, path: str) -> str:
        """Read a file, nothing where there is none."""
        try:
            return (self.root / path).read_text(errors="replace")
        except OSError:
            return ""


def ask(places: Places | None = None, *, attach: bool = True) -> list[Feature]:
    """Ask the kernel and bcc what they offer.

    attach: attach every hook for a moment to prove that it can be done, which
    costs seconds when nothing is cached; without it symbols must do.
    """
    places = places or Places()
    found = [
        *_privileges(places),
        *_modules(places),
        *_functions(places),
        *_type_information(places),
        *_tracepoints(places),
        *_bcc(),
    ]
    if attach:
        possible = all(feature.available for feature in found if feature.needed)
        found += _attaching() if possible else [_not_tried()]
    return found


def report(features: list[Feature]) -> dict[str, Any]:
    """Give the answer as JSON: the kernel's release, every feature, and whether tracing works."""
    return {
        "kernel": os.uname().release,
        "usable": all(feature.available for feature in features if feature.needed),
        "features": [asdict(feature) for feature in features],
    }


def draw(found: list[Feature]) -> str:
    """Draw the answer as lines of text; what is missing for one reason stands together."""
    lines: list[str] = []
    for alike in _alike(found):
        first = alike[0]
        mark = "yes" if first.available else "NO " if first.needed else "no "
        lines.append(f"{mark} {', '.join(_named(feature) for feature in alike)}")
        if not first.available:
            lines += [f"    {first.reason}", f"    {first.cure}"]
    return "\n".join(lines)


def _named(feature: Feature) -> str:
    return f"{feature.name} ({feature.detail})" if feature.detail else feature.name


def _alike(found: list[Feature]) -> list[list[Feature]]:
    """Put neighbours together for which the same is to be said."""
    groups: list[list[Feature]] = []
    for feature in found:
        last = groups[-1][0] if groups else None
        if last and (feature.needed, feature.reason, feature.cure, bool(feature.detail)) == (
            last.needed,
            last.reason,
            last.cure,
            False,
        ):
            groups[-1].append(feature)
        else:
            groups.append([feature])
    return groups


def _feature(name: str, available: bool, reason: str, cure: str, **rest: Any) -> Feature:
    if available:
        return Feature(name, True, needed=rest.pop("needed", False), **rest)
    return Feature(name, False, needed=rest.pop("needed", False), reason=reason, cure=cure, **rest)


def _privileges(places: Places) -> Iterator[Feature]:
    yield _feature("root", os.geteuid() == 0, f"this is user {os.geteuid()}", _ROOT, needed=True)
    lockdown = places.read("sys/kernel/security/lockdown")
    yield _feature(
        "kernel memory readable",
        "[confidentiality]" not in lockdown,
        "the kernel is locked down for confidentiality, and BPF may not read its memory",
        "Boot without lockdown=confidentiality.",
        needed=True,
    )


def _modules(places: Places) -> Iterator[Feature]:
    folder = places.root / "lib/modules" / os.uname().release
    for name in MODULES:
        loaded = modules.is_loaded(name, places.root / "sys/module")
        loadable = loaded or modules.is_loadable(name, folder)
        yield _feature(
            f"module {name}",
            loadable,
            f"it is not among the modules of kernel {os.uname().release}",
            "Take a kernel that has it, such as Debian's linux-image-amd64 (the cloud one lacks"
            " PPP); in a container, load it outside.",
            needed=name in ("l2tp_core", "l2tp_ppp"),
            detail="loaded" if loaded else "can be loaded" if loadable else "",
        )


def _functions(places: Places) -> Iterator[Feature]:
    symbols = places.read("proc/kallsyms")
    traceable = places.read(
        str(places.tracing.relative_to(places.root) / "available_filter_functions")
    )
    for function in sorted({hook.function for hook in FIGURES.hooks if not hook.tracepoint}):
        module = next(h.module for h in FIGURES.hooks if h.function == function)
        there = f" {function}\t[{module}]" in symbols or f" {function}\n" in symbols
        loaded = module is None or modules.is_loaded(module, places.root / "sys/module")
        yield _feature(
            f"function {function}",
            there,
            "the kernel has no such function (inlined or renamed)"
            if loaded
            else f"the module {module} is not loaded",
            "Nothing cures that: see what it hides." if loaded else _LOAD,
            detail=_traceable_detail(function, traceable),
        )


def _traceable_detail(function: str, traceable: str) -> str:
    if not traceable:
        return "the list of traceable functions cannot be read"
    listed = f"\n{function}\n" in traceable or f"\n{function} [" in traceable
    return "traceable" if listed else "not in available_filter_functions"


def _type_information(places: Places) -> Iterator[Feature]:
    try:
        offsets = Btf.of_kernel(places.root / VMLINUX.relative_to("/")).offsets(FIGURES.offsets)
        detail = ", ".join(f"{s}.{m} at {at}" for (s, m), at in sorted(offsets.items()))
        yield Feature("BTF of vmlinux", True, needed=True, detail=detail)
    except ProbeError as error:
        yield Feature("BTF of vmlinux", False, True, reason=error.message, cure=error.cure)
    for name in MODULES:
        loaded = modules.is_loaded(name, places.root / "sys/module")
        yield _feature(
            f"BTF of {name}",
            (places.root / "sys/kernel/btf" / name).exists(),
            "the module was built without it" if loaded else "the module is not loaded",
            "kprobes are used instead of fentry." if loaded else _LOAD,
        )


def _tracepoints(places: Places) -> Iterator[Feature]:
    events = places.tracing / "events"
    for group, name in [*(("l2tp", n) for n in L2TP_TRACEPOINTS), ("skb", "kfree_skb")]:
        mounted = events.is_dir()
        yield _feature(
            f"tracepoint {group}:{name}",
            (events / group / name).is_dir(),
            "it is not in tracefs" if mounted else "tracefs is not mounted",
            (_LOAD if group == "l2tp" else "Take a kernel with CONFIG_TRACEPOINTS=y.")
            if mounted
            else "Mount it: `mount -t tracefs nodev /sys/kernel/tracing`.",
        )


def _bcc() -> Iterator[Feature]:
    from probes.hooks.loader import Bcc

    try:
        bcc = Bcc()
    except ProbeError as error:
        yield Feature("bcc", False, True, reason=error.message, cure=error.cure)
        return
    yield Feature("bcc", True, True, detail=f"version {bcc.version}")


def _not_tried() -> Feature:
    return Feature(
        "attaching",
        False,
        needed=True,
        reason="not tried, since something above is missing",
        cure="Cure that first.",
    )


def _attaching() -> Iterator[Feature]:
    """Prove each way by doing it, then detach."""
    from probes.figures.tracer import Tracer

    worked = False
    for style in Style:
        module = style is Style.FENTRY
        name = f"{style.value} on a module's functions" if module else style.value
        try:
            modules.load_driver()
            tracer = Tracer(styles=[style])
        except ProbeError as error:
            yield Feature(name, False, False, reason=error.message, cure=_instead(style))
            continue
        try:
            missing = [hook for hook in tracer.hooks() if not hook["attached"]]
        finally:
            tracer.close()
        worked = worked or not missing
        yield _feature(
            name,
            not missing,
            "; ".join(f"{hook['name']}: {hook['reason']}" for hook in missing),
            _instead(style),
            detail="proved by attaching",
        )
    yield _feature(
        "attaching", worked, "no way of attaching works", "See the reasons above.", needed=True
    )


def _instead(style: Style) -> str:
    if style is Style.FENTRY:
        return "None needed: kprobes are used instead. It takes bcc 0.29 and BTF of the module."
    return "Boot a kernel with CONFIG_KPROBES=y, and do not turn them off."
