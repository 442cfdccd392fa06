"""The interval of a share: its ends are just as far from what was observed as chance takes it, 95 times in 100."""

import pytest

from omokage.index.wilson import Z95, interval


@pytest.mark.parametrize(("share", "count"), [(0.5, 10), (0.8, 10), (0.999, 1000), (0.3, 7.5), (0.01, 100)])
def test_the_ends_lie_where_a_normal_score_does(share: float, count: float) -> None:
    low, high = interval(share, count)
    for end in (low, high):
        assert abs(share - end) / (end * (1 - end) / count) ** 0.5 == pytest.approx(Z95)
    assert 0 < low < share < high < 1


def test_none_and_all_have_an_interval_that_stays_within_what_a_share_can_be() -> None:
    assert interval(0.0, 10) == (0.0, pytest.approx(Z95**2 / (10 + Z95**2)))
    assert interval(1.0, 10) == (pytest.approx(10 / (10 + Z95**2)), 1.0)
    low, high = interval(1.0, 3)
    assert 0 <= low < high == 1.0
