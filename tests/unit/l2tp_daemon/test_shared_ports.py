"""Whether tunnels may share ports, as the driver's own symbols tell."""

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
    assert finds_sessions_by_ids(path) is shared
