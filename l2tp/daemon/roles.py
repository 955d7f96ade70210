"""What a daemon asks its role: the few decisions in which a LAC and an LNS differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from l2tp.protocol.errors import L2tpError, ResultCode
from l2tp.protocol.events import CallAnswered, CallRequested
from l2tp.protocol.extensions import DisconnectCode, DisconnectDirection
from l2tp.protocol.values import DisconnectCause

if TYPE_CHECKING:
    from l2tp.config.settings import DaemonConfig
    from l2tp.ppp.options import PppCall
    from l2tp.ppp.sessions import Session


class CallRefused(L2tpError):
    """A call that the role does not take; ``result`` goes out in the CDN.

    ``code`` and ``protocol`` are what the CDN says of PPP (RFC 3145 §2).
    """

    def __init__(
        self,
        text: str,
        result: ResultCode,
        *,
        code: DisconnectCode = DisconnectCode.NO_INFORMATION,
        protocol: int = 0,
    ) -> None:
        super().__init__(text)
        self.result = result
        self.disconnect_cause = DisconnectCause(
            code, protocol, DisconnectDirection.AT_LOCAL, result.message
        )


class Connection(NamedTuple):
    """How the called party of an outgoing call was reached: bit/s, and whether data is numbered."""

    tx_connect_speed_bps: int
    sequencing_required: bool


class Role(ABC):
    """The decisions of a LAC or an LNS; the daemon does what they say."""

    @abstractmethod
    def start(self) -> None:
        """Open what must be open from the start: tunnels and their calls."""

    @abstractmethod
    def reconfigure(self, config: DaemonConfig) -> None:
        """Decide by this configuration from now on; what is live stays."""

    def close(self) -> None:  # noqa: B027
        """Begin nothing new any more."""

    @abstractmethod
    def plan_call(self, event: CallRequested | CallAnswered) -> PppCall:
        """Say what PPP a call gets whose two session ids are known; raises CallRefused."""

    def connection(self, event: CallRequested) -> Connection:
        """Say how an outgoing call, whose plan was made, is connected."""
        raise NotImplementedError("only a LAC dials")

    @abstractmethod
    def network_commands(self, session: Session, family: str) -> list[str]:
        """Return the ip commands for a session on which "ipv4" or "ipv6" came up."""

    @abstractmethod
    def authenticated(self, session: Session) -> None:
        """Take note of whose session it is, now that PPP said so; raises CallRefused."""

    @abstractmethod
    def advertised_prefix(self, session: Session) -> str | None:
        """Return the IPv6 prefix to advertise on a session, None for none."""

    @abstractmethod
    def takes_advertisements(self) -> bool:
        """Tell whether sessions form IPv6 addresses from what the peer advertises."""

    @abstractmethod
    def user_of(self, local_tunnel_id: int, local_session_id: int) -> str | None:
        """Return whose call this is, before PPP said so."""

    def tunnel_name(self, local_tunnel_id: int) -> str | None:
        """Return what the configuration calls a tunnel that we opened."""
        return None

    def session_ready(self, local_tunnel_id: int, local_session_id: int) -> None:  # noqa: B027
        """Note that a session carries traffic."""

    def let_go(  # noqa: B027
        self, local_tunnel_id: int, local_session_id: int | None = None
    ) -> None:
        """Note that a session, or with None the whole tunnel, is hung up because we want it so."""

    @abstractmethod
    def forget_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Take back what the session was given; called once for each session."""

    @abstractmethod
    def forget_tunnel(self, local_tunnel_id: int) -> None:
        """Forget a tunnel that is closed."""

    @abstractmethod
    def place_call(self, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Place the call that somebody asked for; returns tunnel and session id."""
