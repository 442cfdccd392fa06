"""Draws of searches: those that intervals are read from, and of the same people for two encoders."""

from dataclasses import replace

import numpy as np
import pytest

from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.identification import RANK_ONE, drawn, fnir_name, identification
from omokage.evaluate.search import Searches

CONFIG = BootstrapConfig(replicates=2000)


def searches(seed: int, people: int = 12, each: int = 5) -> Searches:
    """Return searches of half the people as mates, of the others as strangers."""
    rng = np.random.default_rng(seed)
    person_Q = np.repeat(np.arange(people), each)
    mated_Q = person_Q < people // 2
    score_Q = rng.uniform(0.3, 0.9, len(person_Q)).astype(np.float32)
    rank_Q = np.where(mated_Q, rng.integers(1, 3, len(person_Q)), 0)
    return Searches(
        size=people // 2,
        faces=people // 2,
        mated_Q=mated_Q,
        rank_Q=rank_Q,
        mate_Q=np.where(mated_Q, score_Q, -np.inf).astype(np.float32),
        top_Q=score_Q,
        person_Q=person_Q,
        deepest=people // 2,
    )


def test_intervals_are_read_from_the_draws() -> None:
    found, fpirs = searches(0, people=60), (0.1,)
    told, draws = drawn(found, fpirs, bootstrap=CONFIG)
    assert told == identification(found, fpirs, bootstrap=CONFIG)
    assert set(draws) == {RANK_ONE, "fnir_at_fpir_1e-1"} == {RANK_ONE, fnir_name(0.1)}
    fnir = told.points[0].fnir
    for figure, name in ((told.rank_one, RANK_ONE), (fnir, fnir_name(0.1))):
        assert figure is not None and len(draws[name]) == CONFIG.replicates
        assert (figure.low, figure.high) == pytest.approx(tuple(np.quantile(draws[name], [0.025, 0.975])))
    # too few strangers for the rate: no figure, and no draws
    assert set(drawn(searches(0), (1e-3,), bootstrap=CONFIG)[1]) == {RANK_ONE}


def test_two_encoders_have_the_same_people_in_each_draw() -> None:
    one = searches(1)
    rank_Q = one.rank_Q.copy()
    rank_Q[one.person_Q == 2] = 3 - rank_Q[one.person_Q == 2]  # of one person alone, other searches are right
    a, b = (drawn(each, (), bootstrap=CONFIG)[1][RANK_ONE] for each in (one, replace(one, rank_Q=rank_Q)))
    changed = int((rank_Q == 1).sum()) - int((one.rank_Q == 1).sum())
    assert changed != 0
    # the difference is that of how often this one of six people was drawn: binomial, with steps of 1/6 of it
    times_R = (b - a) / (changed / 30)
    np.testing.assert_allclose(times_R, np.round(times_R), atol=1e-5)
    assert times_R.mean() == pytest.approx(1, abs=0.1)
    assert (np.round(times_R) == 0).mean() == pytest.approx((5 / 6) ** 6, abs=0.04)
