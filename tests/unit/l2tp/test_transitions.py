import pytest

from l2tp.protocol.call_transitions import (
    SESSION_TABLES,
    SessionAction,
    SessionInput,
    SessionRole,
    SessionState,
)
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.session import _ACTIONS as SESSION_ACTIONS
from l2tp.protocol.statetable import Row, Table
from l2tp.protocol.transitions import TUNNEL_TABLE, TunnelAction, TunnelInput, TunnelState
from l2tp.protocol.tunnel_actions import ACTIONS as TUNNEL_ACTIONS

TUNNEL_RECEIVED = [event for event in TunnelInput if event.startswith("receive")]
SESSION_RECEIVED = [event for event in SessionInput if event.startswith("receive")]
USED_STATES = {
    SessionRole.LAC_INCOMING: {"wait-tunnel", "wait-reply", "established"},
    SessionRole.LNS_INCOMING: {"wait-answer", "wait-connect", "established"},
    SessionRole.LAC_OUTGOING: {"wait-answer", "wait-cs-answer", "established"},
    SessionRole.LNS_OUTGOING: {"wait-tunnel", "wait-reply", "wait-connect", "established"},
}


@pytest.mark.rfc2661("7.2-table")
@pytest.mark.parametrize("state", list(TunnelState))
@pytest.mark.parametrize("event", TUNNEL_RECEIVED)
def test_a_tunnel_has_an_answer_to_everything_received(
    state: TunnelState, event: TunnelInput
) -> None:
    assert TUNNEL_TABLE.allows(state, event)


@pytest.mark.rfc2661("7.4-table")
@pytest.mark.parametrize("role", list(SessionRole))
@pytest.mark.parametrize("event", [*SESSION_RECEIVED, SessionInput.TUNNEL_CLOSED])
def test_a_session_has_an_answer_to_everything_received(
    role: SessionRole, event: SessionInput
) -> None:
    for state in USED_STATES[role]:
        assert SESSION_TABLES[role].allows(SessionState(state), event), state


@pytest.mark.parametrize("role", list(SessionRole))
def test_a_table_reaches_the_states_it_speaks_of(role: SessionRole) -> None:
    table = SESSION_TABLES[role]
    reached = {SessionState.IDLE}
    while True:
        following = {
            row.next_state or state
            for row in table.rows
            for state in row.states
            if state in reached
        } | reached
        if following == reached:
            break
        reached = following
    assert {state for row in table.rows for state in row.states} == reached
    assert reached == {SessionState(state) for state in USED_STATES[role]} | {SessionState.IDLE}


# RFC 2661 §7.2.1, copied by a person from the table there; "stopped" is our retention.
SECTION_7_2_1 = [
    ("idle", TunnelInput.LOCAL_OPEN, "send SCCRQ", "wait-ctl-reply"),
    ("idle", TunnelInput.SCCRQ, "send SCCRP", "wait-ctl-conn"),
    ("idle", TunnelInput.SCCRQ_REFUSED, "send StopCCN, clean up", "stopped"),
    ("idle", TunnelInput.SCCRP, "send StopCCN, clean up", "stopped"),
    ("idle", TunnelInput.SCCCN, "clean up", "stopped"),
    (
        "wait-ctl-reply",
        TunnelInput.SCCRP,
        "send SCCCN, report it open, send tunnel-open to waiting sessions",
        "established",
    ),
    ("wait-ctl-reply", TunnelInput.SCCRP_REFUSED, "send StopCCN, clean up", "stopped"),
    ("wait-ctl-reply", TunnelInput.TIE_LOST, "clean up, release", "idle"),
    ("wait-ctl-reply", TunnelInput.SCCCN, "send StopCCN, clean up", "stopped"),
    (
        "wait-ctl-conn",
        TunnelInput.SCCCN,
        "report it open, send tunnel-open to waiting sessions",
        "established",
    ),
    ("wait-ctl-conn", TunnelInput.SCCCN_REFUSED, "send StopCCN, clean up", "stopped"),
    ("wait-ctl-conn", TunnelInput.SCCRP, "send StopCCN, clean up", "stopped"),
    ("wait-ctl-conn", TunnelInput.SCCRQ, "send StopCCN, clean up", "stopped"),
    (
        "established",
        TunnelInput.LOCAL_CALL,
        "send tunnel-open to waiting sessions",
        "established",
    ),
    ("established", TunnelInput.LOCAL_CLOSE, "send StopCCN, clean up", "stopped"),
    ("established", TunnelInput.SCCRQ, "send StopCCN, clean up", "stopped"),
    ("established", TunnelInput.SCCRP, "send StopCCN, clean up", "stopped"),
    ("established", TunnelInput.SCCCN, "send StopCCN, clean up", "stopped"),
    ("idle", TunnelInput.STOPCCN, "clean up", "stopped"),
    ("wait-ctl-reply", TunnelInput.STOPCCN, "clean up", "stopped"),
    ("wait-ctl-conn", TunnelInput.STOPCCN, "clean up", "stopped"),
    ("established", TunnelInput.STOPCCN, "clean up", "stopped"),
]


@pytest.mark.rfc2661("7.2-table", "5.1-three-messages")
@pytest.mark.parametrize(("state", "event", "actions", "following"), SECTION_7_2_1)
def test_tunnel_table_is_that_of_the_rfc(
    state: str, event: TunnelInput, actions: str, following: str
) -> None:
    done, next_state = TUNNEL_TABLE.step(TunnelState(state), event)
    assert (", ".join(done), next_state) == (actions, following)


_OPEN_LAC = "report the answer, send ICCN, report it open"
_OPEN_LNS = "report it open"
_END = "send CDN, clean up"
_TAKE = SessionInput.LOCAL_ACCEPT
_DIALLED = SessionInput.LOCAL_CONNECT
_LAC_OUT, _LNS_OUT = SessionRole.LAC_OUTGOING, SessionRole.LNS_OUTGOING

# RFC 2661 §7.4.1, §7.4.2, §7.5.1 and §7.5.2; "acceptable" ICRQ and OCRQ are split at the local
# decision.
SECTION_7_4 = [
    (SessionRole.LAC_INCOMING, "wait-tunnel", SessionInput.LOCAL_CLOSE, "clean up", "idle"),
    (SessionRole.LAC_INCOMING, "wait-tunnel", SessionInput.TUNNEL_OPEN, "send ICRQ", "wait-reply"),
    (SessionRole.LAC_INCOMING, "wait-reply", SessionInput.ICRP, _OPEN_LAC, "established"),
    (SessionRole.LAC_INCOMING, "wait-reply", SessionInput.ICRQ, _END, "idle"),
    (SessionRole.LAC_INCOMING, "wait-reply", SessionInput.CDN, "clean up", "idle"),
    (SessionRole.LAC_INCOMING, "wait-reply", SessionInput.ICCN, "clean up", "idle"),
    (SessionRole.LAC_INCOMING, "wait-reply", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (SessionRole.LAC_INCOMING, "established", SessionInput.CDN, "clean up", "idle"),
    (SessionRole.LAC_INCOMING, "established", SessionInput.ICRQ, _END, "idle"),
    (SessionRole.LAC_INCOMING, "established", SessionInput.ICRP, _END, "idle"),
    (SessionRole.LAC_INCOMING, "established", SessionInput.ICCN, _END, "idle"),
    (SessionRole.LAC_INCOMING, "established", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (SessionRole.LNS_INCOMING, "idle", SessionInput.REQUEST_REFUSED, _END, "idle"),
    (SessionRole.LNS_INCOMING, "idle", SessionInput.ICRP, _END, "idle"),
    (SessionRole.LNS_INCOMING, "idle", SessionInput.ICCN, "clean up", "idle"),
    (SessionRole.LNS_INCOMING, "wait-answer", _TAKE, "send ICRP", "wait-connect"),
    (SessionRole.LNS_INCOMING, "wait-connect", SessionInput.ICCN, _OPEN_LNS, "established"),
    (SessionRole.LNS_INCOMING, "wait-connect", SessionInput.ICRQ, _END, "idle"),
    (SessionRole.LNS_INCOMING, "wait-connect", SessionInput.ICRP, _END, "idle"),
    (SessionRole.LNS_INCOMING, "wait-connect", SessionInput.CDN, "clean up", "idle"),
    (SessionRole.LNS_INCOMING, "wait-connect", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (SessionRole.LNS_INCOMING, "established", SessionInput.ICRQ, _END, "idle"),
    (SessionRole.LNS_INCOMING, "established", SessionInput.ICRP, _END, "idle"),
    (SessionRole.LNS_INCOMING, "established", SessionInput.ICCN, _END, "idle"),
    (SessionRole.LNS_INCOMING, "established", SessionInput.CDN, "clean up", "idle"),
    (SessionRole.LNS_INCOMING, "established", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (_LAC_OUT, "idle", SessionInput.REQUEST_REFUSED, _END, "idle"),
    (_LAC_OUT, "idle", SessionInput.OCRP, _END, "idle"),
    (_LAC_OUT, "idle", SessionInput.OCCN, "clean up", "idle"),
    (_LAC_OUT, "idle", SessionInput.CDN, "clean up", "idle"),
    (_LAC_OUT, "wait-answer", _TAKE, "send OCRP", "wait-cs-answer"),
    (_LAC_OUT, "wait-cs-answer", _DIALLED, "send OCCN, report it open", "established"),
    (_LAC_OUT, "wait-cs-answer", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (_LAC_OUT, "wait-cs-answer", SessionInput.OCRQ, _END, "idle"),
    (_LAC_OUT, "wait-cs-answer", SessionInput.OCRP, _END, "idle"),
    (_LAC_OUT, "wait-cs-answer", SessionInput.OCCN, _END, "idle"),
    (_LAC_OUT, "wait-cs-answer", SessionInput.CDN, "clean up", "idle"),
    (_LAC_OUT, "established", SessionInput.OCRQ, _END, "idle"),
    (_LAC_OUT, "established", SessionInput.OCRP, _END, "idle"),
    (_LAC_OUT, "established", SessionInput.OCCN, _END, "idle"),
    (_LAC_OUT, "established", SessionInput.CDN, "clean up", "idle"),
    (_LAC_OUT, "established", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (_LNS_OUT, "idle", SessionInput.LOCAL_CALL, "", "wait-tunnel"),
    (_LNS_OUT, "idle", SessionInput.OCCN, "clean up", "idle"),
    (_LNS_OUT, "idle", SessionInput.OCRP, "clean up", "idle"),
    (_LNS_OUT, "idle", SessionInput.CDN, "clean up", "idle"),
    (_LNS_OUT, "wait-tunnel", SessionInput.TUNNEL_OPEN, "send OCRQ", "wait-reply"),
    (_LNS_OUT, "wait-tunnel", SessionInput.LOCAL_CLOSE, "clean up", "idle"),
    (_LNS_OUT, "wait-reply", SessionInput.OCRP, "report the answer", "wait-connect"),
    (_LNS_OUT, "wait-reply", SessionInput.INVALID_MESSAGE, _END, "idle"),
    (_LNS_OUT, "wait-reply", SessionInput.OCCN, _END, "idle"),
    (_LNS_OUT, "wait-reply", SessionInput.OCRQ, _END, "idle"),
    (_LNS_OUT, "wait-reply", SessionInput.CDN, "clean up", "idle"),
    (_LNS_OUT, "wait-reply", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (_LNS_OUT, "wait-connect", SessionInput.OCCN, "report it open", "established"),
    (_LNS_OUT, "wait-connect", SessionInput.OCRQ, _END, "idle"),
    (_LNS_OUT, "wait-connect", SessionInput.OCRP, _END, "idle"),
    (_LNS_OUT, "wait-connect", SessionInput.CDN, "clean up", "idle"),
    (_LNS_OUT, "wait-connect", SessionInput.LOCAL_CLOSE, _END, "idle"),
    (_LNS_OUT, "established", SessionInput.OCRQ, _END, "idle"),
    (_LNS_OUT, "established", SessionInput.OCRP, _END, "idle"),
    (_LNS_OUT, "established", SessionInput.OCCN, _END, "idle"),
    (_LNS_OUT, "established", SessionInput.CDN, "clean up", "idle"),
    (_LNS_OUT, "established", SessionInput.LOCAL_CLOSE, _END, "idle"),
]  # fmt: skip


@pytest.mark.rfc2661("7.4-table", "7.5-table", "6.12-clean")
@pytest.mark.parametrize(("role", "state", "event", "actions", "following"), SECTION_7_4)
def test_session_tables_are_those_of_the_rfc(
    role: SessionRole, state: str, event: SessionInput, actions: str, following: str
) -> None:
    done, next_state = SESSION_TABLES[role].step(SessionState(state), event)
    assert (", ".join(done), next_state) == (actions, following)


def test_every_action_has_a_handler() -> None:
    assert set(TUNNEL_ACTIONS) | {TunnelAction.PASS_TO_SESSION} == set(TunnelAction)
    assert set(SESSION_ACTIONS) == set(SessionAction)


def test_what_no_row_allows_is_a_local_error() -> None:
    with pytest.raises(LocalProtocolError, match="not possible in state stopped"):
        TUNNEL_TABLE.step(TunnelState.STOPPED, TunnelInput.LOCAL_CALL)


def test_a_pair_in_two_rows_is_refused() -> None:
    row = Row((SessionState.IDLE,), (SessionInput.CDN,), (SessionAction.CLEAN_UP,), None, "ours")
    with pytest.raises(ValueError, match="two rows"):
        Table("twice", (row, row))
