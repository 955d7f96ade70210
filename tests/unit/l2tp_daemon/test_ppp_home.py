"""The folder that pppd sees as /etc/ppp."""

import os
import stat

import pytest

from l2tp.ppp.advertiser import advertisement
from l2tp.ppp.home import PppHome


@pytest.fixture
def home(tmp_path):
    home = PppHome(tmp_path / "ppp")
    home.create({"alice": 'won"der', "bob": "build er"})
    return home


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["chap-secrets", "pap-secrets", "options"])
def test_no_file_is_for_others(home, name):
    assert mode(home.folder / name) == 0o600
    assert mode(home.folder) == 0o700


def test_secrets_are_quoted(home):
    text = (home.folder / "chap-secrets").read_text()
    assert text == '"alice" * "won\\"der" *\n"bob" * "build er" *\n'


def test_every_script_is_the_one_that_notifies(home):
    for name in ("auth-up", "ip-up", "ip-down", "ipv6-up", "ipv6-down"):
        assert (home.folder / name).read_text().startswith("#!/bin/sh")
        assert os.access(home.folder / name, os.X_OK)


def test_making_it_again_forgets_old_secrets(home):
    home.create({"carol": "x"})
    assert (home.folder / "chap-secrets").read_text() == '"carol" * "x" *\n'


def test_options_are_written_where_pppd_looks_and_removed(home):
    path = home.write_options("5.7", "nodetach\n")
    assert str(path) == "/etc/ppp/sessions/5.7.options"
    written = home.folder / "sessions" / "5.7.options"
    assert written.read_text() == "nodetach\n"
    assert mode(written) == 0o600
    home.remove_options("5.7")
    home.remove_options("5.7")
    assert not written.exists()


def test_the_fifo_stays_open_when_a_writer_leaves(home):
    reader = home.open_events()
    try:
        writer = os.open(home.folder / "events", os.O_WRONLY)
        os.write(writer, b"one\n")
        os.close(writer)
        assert os.read(reader, 100) == b"one\n"
        with pytest.raises(BlockingIOError):
            os.read(reader, 100)
    finally:
        os.close(reader)


def test_a_user_with_a_fixed_address_may_have_no_other(home):
    home.create({"alice": "x", "bob": "y"}, {"bob": "10.64.0.77"})
    text = (home.folder / "pap-secrets").read_text()
    assert text == '"alice" * "x" *\n"bob" * "y" 10.64.0.77\n'


def test_a_sessions_advertisement_goes_with_its_options(home):
    path, pid_file = home.write_advertisement("5.7", advertisement("ppp3", "2001:db8::/64", 1400))
    assert (str(path), str(pid_file)) == (
        "/etc/ppp/sessions/5.7.radvd",
        "/etc/ppp/sessions/5.7.pid",
    )
    written = home.folder / "sessions" / "5.7.radvd"
    assert {"interface ppp3 {", "  AdvLinkMTU 1400;", "  prefix 2001:db8::/64 {"} <= set(
        written.read_text().splitlines()
    )
    home.remove_options("5.7")
    assert not written.exists()
