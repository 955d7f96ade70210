"""What only some topologies need of a box: programs, each with the Debian package that brings it.

The set-up does not install them: where they are not asked for, a strongSwan or an xl2tpd that
comes with its system service would be more than a lab may leave on somebody's box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.doctor.programs import find_program
from lab.errors import CannotRun
from lab.topology import Topology


@dataclass(frozen=True, slots=True)
class Need:
    """A program, how to ask it for its version (None: not at all), and who cannot do without."""

    program: str
    package: str
    version: str | None
    is_needed: Callable[[Topology], bool]


def _has_ipsec(topology: Topology) -> bool:
    return any(tunnel.ipsec for tunnel in topology.l2tp.tunnels)


def _has_certificates(topology: Topology) -> bool:
    return any(t.ipsec is not None and t.ipsec.psk is None for t in topology.l2tp.tunnels)


def _has_filters(topology: Topology) -> bool:
    return _has_ipsec(topology) or any(node.nat for node in topology.nodes)


def _advertises(topology: Topology) -> bool:
    return any(user.has_advertised_prefix for user in topology.l2tp.users)


def _has_xl2tpd(topology: Topology) -> bool:
    return any(node.daemon == "xl2tpd" for node in topology.nodes)


NEEDS = (
    # It has no option for its version: it would start.
    Need("charon-systemd", "charon-systemd", None, _has_ipsec),
    Need("swanctl", "strongswan-swanctl", "--version", _has_ipsec),
    Need("pki", "strongswan-pki", "--version", _has_certificates),
    Need("nft", "nftables", "--version", _has_filters),
    Need("radvd", "radvd", "--version", _advertises),
    Need("xl2tpd", "xl2tpd", None, _has_xl2tpd),
)


def missing_for(topology: Topology) -> Iterator[Need]:
    """Give what a topology needs and this box lacks."""
    for need in NEEDS:
        if need.is_needed(topology) and find_program(need.program) is None:
            yield need


def require(topology: Topology) -> None:
    """Raise CannotRun, with the command that cures it, when something is missing."""
    missing = list(missing_for(topology))
    if missing:
        programs = ", ".join(need.program for need in missing)
        packages = " ".join(dict.fromkeys(need.package for need in missing))
        raise CannotRun(
            f"topology “{topology.name}” needs {programs}, and this box has no such program. "
            f"Run: apt-get install --no-install-recommends {packages}"
        )
