"""Every state × every input, of tunnels and of the four kinds of session, taken one by one.

What the tables promise is compared with what a real Tunnel or Session then does: its messages, its
events, its state.
"""

from random import Random

import pytest

from l2tp.protocol.call_messages import make_connected
from l2tp.protocol.call_transitions import (
    SESSION_TABLES,
    SessionAction,
    SessionInput,
    SessionRole,
    SessionState,
)
from l2tp.protocol.causes import Closure
from l2tp.protocol.constants import CallResult, MessageType, StopResult
from l2tp.protocol.errors import LocalProtocolError, ResultCode
from l2tp.protocol.events import (
    CallAnswered,
    CallErrorsReported,
    CallRequested,
    Event,
    LinkInfoReceived,
    MessageSent,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.protocol.messages import ICCN, ICRP, OCCN, OCRP, SLI, WEN, ControlMessage
from l2tp.protocol.parameters import CallParameters
from l2tp.protocol.session import Session
from l2tp.protocol.transitions import TUNNEL_TABLE, TunnelAction, TunnelInput, TunnelState
from l2tp.protocol.tunnel import Tunnel
from l2tp.protocol.values import Accm, CallErrors
from tests.support.memory_network import lns_config
from tests.support.scripted_peer import PEER, sccrp, sccrq

CALL = CallParameters(called_number="1")
SESSION_MESSAGES: dict[SessionInput, ControlMessage] = {
    SessionInput.ICRP: ICRP(assigned_session_id=7),
    SessionInput.ICCN: make_connected(ICCN, CALL),
    SessionInput.OCRP: OCRP(assigned_session_id=7),
    SessionInput.OCCN: make_connected(OCCN, CALL),
    SessionInput.LOCAL_CONNECT: make_connected(OCCN, CALL),
    SessionInput.WEN: WEN(call_errors=CallErrors(1, 0, 0, 0, 0, 0)),
    SessionInput.LOCAL_ERRORS: WEN(call_errors=CallErrors(1, 0, 0, 0, 0, 0)),
    SessionInput.SLI: SLI(accm=Accm(1, 2)),
    SessionInput.LOCAL_LINK_INFO: SLI(accm=Accm(1, 2)),
}
SESSION_EVENTS: dict[SessionAction, type[Event]] = {
    SessionAction.REPORT_REQUEST: CallRequested,
    SessionAction.REPORT_ANSWER: CallAnswered,
    SessionAction.REPORT_OPEN: SessionEstablished,
    SessionAction.REPORT_ERRORS: CallErrorsReported,
    SessionAction.REPORT_LINK_INFO: LinkInfoReceived,
    SessionAction.CLEAN_UP: SessionClosed,
}
# What only this end does, and only in these states: anywhere else it is our own mistake.
LOCAL_SESSION_INPUTS = {
    SessionInput.LOCAL_CALL: {SessionState.IDLE},
    SessionInput.LOCAL_ACCEPT: {SessionState.WAIT_ANSWER},
    SessionInput.LOCAL_CONNECT: {SessionState.WAIT_CS_ANSWER},
    SessionInput.LOCAL_ERRORS: {SessionState.ESTABLISHED},
    SessionInput.LOCAL_LINK_INFO: {SessionState.ESTABLISHED},
    SessionInput.TUNNEL_OPEN: {SessionState.WAIT_TUNNEL},
    SessionInput.SETUP_TIMEOUT: set(SessionState) - {SessionState.IDLE, SessionState.ESTABLISHED},
    SessionInput.LOCAL_CLOSE: set(SessionState) - {SessionState.IDLE},
    SessionInput.TUNNEL_CLOSED: set(SessionState) - {SessionState.IDLE},
}
# A session that is idle exists only between its making and its first input.
FIRST_INPUTS = {
    SessionRole.LAC_INCOMING: {"LOCAL_CALL"},
    SessionRole.LNS_INCOMING: {"ICRQ", "REQUEST_REFUSED", "INVALID_MESSAGE"},
    SessionRole.LAC_OUTGOING: {"OCRQ", "REQUEST_REFUSED", "INVALID_MESSAGE"},
    SessionRole.LNS_OUTGOING: {"LOCAL_CALL"},
}


class Recorder:
    """A host that keeps what a session does."""

    local_tunnel_id, peer_tunnel_id = 1, 2

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.events: list[type[Event]] = []
        self.forgotten = False
        self.is_set_up = False

    def send(self, message: ControlMessage, session: Session) -> None:
        self.sent.append(message.name)

    def emit(self, event: Event) -> None:
        self.events.append(type(event))

    def set_up(self, session: Session) -> None:
        self.is_set_up = True

    def forget(self, session: Session) -> None:
        self.forgotten = True


def states_of(role: SessionRole) -> list[SessionState]:
    return sorted({state for row in SESSION_TABLES[role].rows for state in row.states})


@pytest.mark.parametrize("event", list(SessionInput))
@pytest.mark.parametrize(
    ("role", "state"), [(role, state) for role in SessionRole for state in states_of(role)]
)
def test_a_session_does_what_its_table_says(
    role: SessionRole, state: SessionState, event: SessionInput
) -> None:
    host = Recorder()
    session = Session(host, role, local_session_id=5, call=CALL, peer_session_id=6)
    session.state = state
    message = SESSION_MESSAGES.get(event)
    closure = Closure(ResultCode(CallResult.ADMINISTRATIVE), "why")
    if not SESSION_TABLES[role].allows(state, event):
        if state is SessionState.IDLE:
            assert event.name not in FIRST_INPUTS[role]
        else:
            # Whatever a peer may send has a row; our own inputs have one where they make sense.
            assert event in LOCAL_SESSION_INPUTS
        with pytest.raises(LocalProtocolError):
            session.step(event, message=message, closure=closure)
        assert (session.state, host.sent, host.events) == (state, [], [])
        return
    assert state in LOCAL_SESSION_INPUTS.get(event, set(SessionState))
    actions, following = SESSION_TABLES[role].step(state, event)
    session.step(event, message=message, closure=closure)
    assert session.state is following
    assert host.sent == [a.removeprefix("send ") for a in actions if a.startswith("send ")]
    assert host.events == [SESSION_EVENTS[a] for a in actions if a in SESSION_EVENTS]
    assert host.forgotten == (SessionAction.CLEAN_UP in actions)
    assert host.forgotten == (following is SessionState.IDLE)
    assert host.is_set_up == (SessionAction.REPORT_OPEN in actions)
    assert host.is_set_up == (following is SessionState.ESTABLISHED != state)


TUNNEL_EVENTS: dict[TunnelAction, type[Event]] = {
    TunnelAction.SEND_SCCRP: TunnelRequested,
    TunnelAction.REPORT_OPEN: TunnelEstablished,
    TunnelAction.CLEAN_UP: TunnelClosed,
    TunnelAction.RELEASE: TunnelReleased,
}
ENDING = {TunnelState.IDLE, TunnelState.STOPPED}
LOCAL_TUNNEL_INPUTS = {
    TunnelInput.LOCAL_OPEN: {TunnelState.IDLE},
    TunnelInput.LOCAL_CALL: set(TunnelState) - ENDING,
    TunnelInput.LOCAL_CLOSE: set(TunnelState) - {TunnelState.IDLE},
    TunnelInput.TIE_LOST: {TunnelState.WAIT_CTL_REPLY},
    TunnelInput.PEER_DEAD: set(TunnelState) - {TunnelState.IDLE},
    TunnelInput.OVERRUN: {TunnelState.ESTABLISHED},
    TunnelInput.SETUP_TIMEOUT: {TunnelState.WAIT_CTL_REPLY, TunnelState.WAIT_CTL_CONN},
    TunnelInput.RETENTION_OVER: {TunnelState.STOPPED},
}


@pytest.mark.parametrize("event", list(TunnelInput))
@pytest.mark.parametrize("state", list(TunnelState))
def test_a_tunnel_does_what_its_table_says(state: TunnelState, event: TunnelInput) -> None:
    events: list[Event] = []
    tunnel = Tunnel(
        lns_config(),
        local_tunnel_id=1,
        peer=PEER,
        initiated=False,
        is_surplus=False,
        sessions_of_peer=lambda _: 0,
        is_id_taken=lambda *_: False,
        secret=None,
        random=Random(1),
        next_serial=lambda: 1,
        received_data=None,
        emit=events.append,
        now=0.0,
    )
    tunnel.state = state
    message = sccrp() if event is TunnelInput.SCCRP else sccrq()
    closure = Closure(ResultCode(StopResult.SHUTTING_DOWN), "why")
    if not TUNNEL_TABLE.allows(state, event):
        assert event in LOCAL_TUNNEL_INPUTS
        assert state not in LOCAL_TUNNEL_INPUTS[event]
        with pytest.raises(LocalProtocolError):
            tunnel._step(event, 0.0, message=message, closure=closure)
        assert tunnel.state is state
        assert not events
        return
    actions, following = TUNNEL_TABLE.step(state, event)
    assert tunnel._step(event, 0.0, message=message, closure=closure) == actions
    assert tunnel.state is following
    assert [type(e) for e in events] == [TUNNEL_EVENTS[a] for a in actions if a in TUNNEL_EVENTS]
    assert tunnel.is_released == (TunnelAction.RELEASE in actions)
    tunnel.transport.datagrams(0.0)
    sent = [e.name for e in events if isinstance(e, MessageSent)]
    assert sent == [a.removeprefix("send ") for a in actions if a.removeprefix("send ") in KINDS]


KINDS = {kind.name for kind in MessageType}
