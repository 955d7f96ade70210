import sys
from types import FrameType

from lab.bench.protocol import measure_codec, profile_codec, set_up

FEW, MANY = 100, 1_000


def calls_made(count: int) -> int:
    """Count the functions that setting up so many sessions calls: the same on every machine."""
    calls = 0

    def count_call(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    previous = sys.getprofile()
    sys.setprofile(count_call)
    try:
        set_up(count, tunnels=1)
    finally:
        sys.setprofile(previous)
    return calls


def test_the_work_of_a_session_does_not_grow_with_their_number():
    each_of_few = calls_made(FEW) / FEW
    each_of_many = calls_made(MANY) / MANY
    assert each_of_many < each_of_few * 1.2


def test_the_codec_is_measured_and_its_profile_names_functions():
    assert measure_codec().value > 0
    assert any("codec.py" in line for line in profile_codec())
