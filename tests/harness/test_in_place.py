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

def command(config):
    return FAR or [sys.executable, "-m", "tests.support.report_stream"]

def pytest_configure(config):
    config.addinivalue_line("markers", "kernel: far away")
    import os
    if not os.environ.get("FAR_AWAY"):
        os.environ["FAR_AWAY"] = "1"
        config.pluginmanager.register(InPlace(config, command), "far")
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
        tests: str, far: list[str] | None = None, maxfail: int = 0, **environment: str
    ) -> pytest.RunResult:
        monkeypatch.delenv("CI", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", str(PROJECT))
        pytester.makeconftest(_CONFTEST.format(far=far))
        pytester.makepyfile(test_far=dedent(tests))
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


def test_a_far_side_that_cannot_even_collect_fails(far) -> None:
    result = far(_FAR_TESTS, ["sh", "-c", "echo No module named nowhere; exit 2"])
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["*No module named nowhere*"])


def test_a_lost_machine_fails_every_test(far) -> None:
    result = far(_FAR_TESTS, ["sh", "-c", "echo l2tp-lab: the machine was lost; exit 3"])
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["*the machine was lost*"])


def test_what_cannot_run_is_a_skip_at_home(far) -> None:
    result = far(_FAR_TESTS, ["sh", "-c", "echo l2tp-lab: no qemu; exit 4"])
    result.assert_outcomes(skipped=4)


def test_what_cannot_run_is_a_failure_in_ci(far) -> None:
    result = far(_FAR_TESTS, ["sh", "-c", "echo l2tp-lab: no qemu; exit 4"], CI="true")
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
