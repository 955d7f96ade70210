from l2tp.protocol.deadlines import Deadlines


def test_the_soonest_comes_first_and_once() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for key, at in ((1, 3.0), (2, 1.0), (3, 2.0)):
        deadlines.arm(key, at)
    assert deadlines.get_timer() == 1.0
    assert deadlines.take_due(0.5) == []
    assert deadlines.take_due(2.0) == [2, 3]
    assert deadlines.take_due(2.0) == []
    assert deadlines.get_timer() == 3.0


def test_moving_and_removing() -> None:
    deadlines: Deadlines[int] = Deadlines()
    deadlines.arm(1, 1.0)
    deadlines.arm(1, 5.0)
    deadlines.arm(2, 2.0)
    deadlines.arm(2, None)
    deadlines.arm(3, None)
    assert deadlines.get_timer() == 5.0
    # Back to a time it had before: the stale entry must not make it fire twice.
    deadlines.arm(1, 1.0)
    assert deadlines.take_due(9.0) == [1]
    assert deadlines.get_timer() is None
