"""Whether tunnels may share ports, as the driver's type information or its symbols tell."""

import pytest

from l2tp.kernel.shared_ports import finds_sessions_by_ids


@pytest.mark.parametrize(
    ("symbols", "shared"),
    [
        (
            "0000 t l2tp_v3_session_get\t[l2tp_core]\n0000 T l2tp_v2_session_get\t[l2tp_core]\n",
            True,
        ),
        ("0000 t l2tp_session_get\t[l2tp_core]\n", False),
        ("0000 t __ksymtab_l2tp_v2_session_get_x\t[other]\n", False),
        (None, False),
    ],
)
def test_the_symbol_tells(tmp_path, symbols, shared):
    path = tmp_path / "kallsyms"
    if symbols is not None:
        path.write_text(symbols)
    assert finds_sessions_by_ids(tmp_path / "none", path) is shared


@pytest.mark.parametrize(
    ("types", "shared"),
    [(b"..\0l2tp_v2_session_get\0..", True), (b"..\0l2tp_v2_session_get_next\0..", False)],
)
def test_type_information_may_be_enough(tmp_path, types, shared):
    path, symbols = tmp_path / "l2tp_core", tmp_path / "kallsyms"
    path.write_bytes(types)
    assert finds_sessions_by_ids(path, symbols) is shared
    finds_sessions_by_ids.cache_clear()
    symbols.write_text("0000 T l2tp_v2_session_get\t[l2tp_core]\n")
    assert finds_sessions_by_ids(path, symbols)
