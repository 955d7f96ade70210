"""Red tests: what fails in the place must come out as a failure here, and never as nothing."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from lab.interpreters import PROJECT

_CONFTEST = """
import sys
import pytest
from tests.support.in_place import InPlace

FAR = {far!r}
COUNT = {count}

def commands(config, modules):
    return [FAR or [sys.executable, "-m", "tests.support.report_stream"]] * COUNT

def pytest_configure(config):
    config.addinivalue_line("markers", "kernel: far away")
    import os
    if not os.environ.get("FAR_AWAY"):
        os.environ["FAR_AWAY"] = "1"
        config.pluginmanager.register(InPlace(config, commands), "far")
"""

_FAR_TESTS = """
import os
import pytest
pytestmark = pytest.mark.kernel

def test_passes():
    pass

def test_fails():
    assert 1 == 2, "the far side's own words"

@pytest.fixture
def broken():
    raise RuntimeError("no such device")

def test_cannot_set_up(broken):
    pass

def test_skips():
    pytest.skip("not on this kernel")
"""


@pytest.fixture
def far(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run far tests through the plugin, with a pytest of their own in another process."""

    def run(
        *modules: str,
        far: list[str] | None = None,
        count: int = 1,
        maxfail: int = 0,
        **environment: str,
    ) -> pytest.RunResult:
        monkeypatch.delenv("CI", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", str(PROJECT))
        pytester.makeconftest(_CONFTEST.format(far=far, count=count))
        for number, tests in enumerate(modules):
            pytester.makepyfile(**{f"test_far_{number}": dedent(tests)})
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--maxfail={maxfail}")

    return run


def test_outcomes_come_back_as_they_were(far) -> None:
    result = far(_FAR_TESTS)
    result.assert_outcomes(passed=1, failed=1, errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*the far side's own words*"])
    result.stdout.fnmatch_lines(["*no such device*"])


def test_a_crash_of_the_far_side_fails_what_had_not_run(far) -> None:
    crash = "import os, pytest\npytestmark = pytest.mark.kernel\n"
    crash += "def test_one(): pass\ndef test_two(): os._exit(3)\ndef test_three(): pass\n"
    result = far(crash)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*gave no report; its pytest ended with code 3*"])


_WAITS_FOR_THE_OTHER = """
import pathlib, pytest, time
pytestmark = pytest.mark.kernel

def test_both_are_here():
    pathlib.Path("{mine}").touch()
    ends = time.monotonic() + 30
    while not pathlib.Path("{other}").exists():
        assert time.monotonic() < ends, "nobody else came"
        time.sleep(0.01)
"""


def test_two_share_the_modules_and_run_at_once(far) -> None:
    first = _WAITS_FOR_THE_OTHER.format(mine="a", other="b")
    second = _WAITS_FOR_THE_OTHER.format(mine="b", other="a")
    far(first, second, _FAR_TESTS, count=2).assert_outcomes(passed=3, failed=1, errors=1, skipped=1)


def test_what_one_leaves_when_it_crashes_the_other_runs(far) -> None:
    crash = "import os, pytest\npytestmark = pytest.mark.kernel\n"
    crash += "def test_one(): os._exit(3)\ndef test_two(): pass\n"
    more = "import pytest\npytestmark = pytest.mark.kernel\ndef test_it(): pass\n"
    result = far(crash, more, more, more, count=2)
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["*gave no report; its pytest ended with code 3*"])


def test_a_far_side_that_cannot_even_collect_fails(far) -> None:
    result = far(_FAR_TESTS, far=["sh", "-c", "echo No module named nowhere; exit 2"])
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["*No module named nowhere*"])


def test_a_lost_machine_fails_every_test(far) -> None:
    result = far(_FAR_TESTS, far=["sh", "-c", "echo l2tp-lab: the machine was lost; exit 3"])
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["*the machine was lost*"])


def test_what_cannot_run_is_a_skip_at_home(far) -> None:
    result = far(_FAR_TESTS, far=["sh", "-c", "echo l2tp-lab: no qemu; exit 4"])
    result.assert_outcomes(skipped=4)


def test_what_cannot_run_is_a_failure_in_ci(far) -> None:
    result = far(_FAR_TESTS, far=["sh", "-c", "echo l2tp-lab: no qemu; exit 4"], CI="true")
    result.assert_outcomes(failed=4)


def test_wrong_usage_of_the_far_pytest_is_no_skip() -> None:
    far = [sys.executable, "-m", "tests.support.report_stream"]
    done = subprocess.run(
        far, cwd=PROJECT, input="no/such/test.py", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1


def test_when_nobody_reads_on_the_far_side_tears_down_and_ends(far, pytester) -> None:
    marks = """
        import pathlib, pytest
        pytestmark = pytest.mark.kernel

        @pytest.fixture(scope="module", autouse=True)
        def made():
            yield
            pathlib.Path("torn-down").touch()

        def test_fails():
            assert False

        @pytest.mark.parametrize("number", range(50))
        def test_after_it(number):
            import time
            time.sleep(0.05)
            pathlib.Path(f"ran-{number}").touch()
    """
    far(marks, maxfail=1)
    assert (pytester.path / "torn-down").exists()
    assert not (pytester.path / "ran-49").exists()
