"""P x K batches: every rank its own people, every picture its turn, and nothing but the seed decides."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.train.batches import BatchConfig, Batches

Ints = NDArray[np.int64]


def labelled(counts: Sequence[int], others: int = 3) -> Ints:
    """Return labels of people with so many pictures, and of pictures of another part, in some mixed order."""
    label_N = np.concatenate([np.repeat(np.arange(len(counts)), counts), np.full(others, -1)])
    return np.random.default_rng(len(label_N)).permutation(label_N)


def ranks(label_N: Ints, people: int, pictures: int, world: int = 1, seed: int = 0) -> list[Batches]:
    config = BatchConfig(people=people, pictures=pictures)
    return [Batches(label_N, config, seed, rank, world) for rank in range(world)]


def steps(batches: list[Batches], number: int) -> Ints:
    """Return an epoch's rows, shape (S, people of all ranks, K)."""
    epochs = [np.stack(list(each.epoch(number))) for each in batches]
    return np.concatenate(
        [rows.reshape(len(rows), each.config.people, -1) for rows, each in zip(epochs, batches, strict=True)], 1
    )


@st.composite
def settings_of(draw: st.DrawFn) -> tuple[list[int], int, int, int]:
    counts = draw(st.lists(st.integers(1, 14), min_size=2, max_size=14))
    world = draw(st.integers(1, 3))
    assume(len(counts) >= max(2, world))
    people = draw(st.integers(1, len(counts) // world))
    assume(people * world >= 2)
    return counts, people, draw(st.integers(1, max(counts))), world


@settings(deadline=None, max_examples=40)
@given(settings_of(), st.integers(0, 50), st.integers(0, 9))
def test_every_step_has_different_people_with_different_pictures(
    of: tuple[list[int], int, int, int], seed: int, number: int
) -> None:
    counts, people, pictures, world = of
    label_N = labelled(counts)
    rows_SGK = steps(ranks(label_N, people, pictures, world, seed), number)
    assert rows_SGK.shape[1:] == (people * world, pictures)
    for step in label_N[rows_SGK]:
        assert (step >= 0).all(), "a picture of another part"
        assert (step == step[:, :1]).all(), "a hand of two people"
        assert len(set(step[:, 0].tolist())) == people * world, "somebody is there twice"
    for hand in rows_SGK.reshape(-1, pictures).tolist():
        have = counts[label_N[hand[0]]]
        often = Counter(hand).values()
        assert len(often) == min(have, pictures)
        assert max(often) <= -(-pictures // have), "one picture in place of others"


@settings(deadline=None, max_examples=40)
@given(settings_of(), st.integers(0, 50))
def test_an_epoch_shows_as_many_pictures_as_there_are(of: tuple[list[int], int, int, int], seed: int) -> None:
    counts, people, pictures, world = of
    shown = people * pictures * world
    for batches in ranks(labelled(counts), people, pictures, world, seed):
        assert abs(batches.steps * shown - sum(counts)) <= shown / 2 or batches.steps == 1
        assert len(list(batches.epoch(1))) == batches.steps


def test_an_epoch_is_not_a_hundred_thousand_pictures_whatever_the_data() -> None:
    """10 people with 50 pictures and batches of 32 were 3,125 steps an epoch (face01.md 3 #9)."""
    assert ranks(labelled([50] * 10), 8, 4)[0].steps == 16


@settings(deadline=None, max_examples=10)
@given(settings_of(), st.integers(0, 50))
def test_everybody_deals_by_how_many_pictures_they_have(of: tuple[list[int], int, int, int], seed: int) -> None:
    """Compared with filling places one by one: whoever has more than a place a step can show gets that, no more."""
    counts, people, pictures, world = of
    batches, label_N = ranks(labelled(counts), people, pictures, world, seed), labelled(counts)
    share = shares(counts, people * world, batches[0].steps)
    total = np.zeros(len(counts))
    for number in range(20):
        hands = np.bincount(label_N[steps(batches, number)[:, :, 0]].ravel(), minlength=len(counts))
        assert (hands >= np.floor(share - 1e-9)).all()
        assert (hands <= np.ceil(share + 1e-9)).all()
        total += hands
    assert np.abs(total / 20 - share).max() < 0.2, "somebody is left out"


def shares(counts: Sequence[int], places: int, steps: int) -> NDArray[np.float64]:
    """Return how many hands of an epoch are each person's, slowly."""
    share, left, rest = np.zeros(len(counts)), places, dict(enumerate(counts))
    while True:
        person, most = max(rest.items(), key=lambda item: item[1])
        if most * left <= sum(rest.values()):
            break
        share[person], left = steps, left - 1
        del rest[person]
    for person, count in rest.items():
        share[person] = count * left * steps / sum(rest.values())
    return share


@pytest.mark.parametrize("counts", [[7] * 9, [5, 3, 6, 10, 7, 8, 8, 12, 10, 6], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
def test_over_the_epochs_every_picture_is_seen_as_often_as_any(counts: list[int]) -> None:
    label_N = labelled(counts)
    batches = ranks(label_N, 2, 4)
    seen_N = np.zeros(len(label_N), np.int64)
    for number in range(60):
        np.add.at(seen_N, steps(batches, number).ravel(), 1)
    mine_N = seen_N[label_N >= 0]
    expected = 60 * batches[0].steps * 8 / len(mine_N)
    assert seen_N[label_N < 0].sum() == 0
    assert np.abs(mine_N - expected).max() <= 4
    for label in range(len(counts)):
        assert np.ptp(seen_N[label_N == label]) <= 2


def test_a_person_of_too_many_pictures_is_in_every_step_and_deals_on_where_they_ended() -> None:
    label_N = labelled([400, *[6] * 20])
    batches = ranks(label_N, 4, 4)
    assert "1 of 21 people have so many pictures" in batches[0].notes[0]
    seen: list[int] = []
    for number in range(3):
        label_SG = label_N[steps(batches, number)[:, :, 0]]
        assert ((label_SG == 0).sum(axis=1) == 1).all()
        seen += [
            row for hand in steps(batches, number).reshape(-1, 4).tolist() if label_N[hand[0]] == 0 for row in hand
        ]
    assert len(seen) == 396
    assert len(set(seen)) == 396, "a picture is shown again before all have been"


def test_people_meet_everybody_else_in_time() -> None:
    """All of a person's hands follow each other when steps are laid out; that must not tie them to a few others."""
    label_N = labelled([12] * 24)
    batches, met = ranks(label_N, 6, 3), np.zeros((24, 24))
    for number in range(150):
        for people in label_N[steps(batches, number)[:, :, 0]]:
            met[np.ix_(people, people)] += 1
    others = met[~np.eye(24, dtype=bool)]
    assert others.std() / others.mean() < 0.1
    assert others.min() > 0.7 * others.mean()


def test_pictures_of_a_person_meet_each_other_in_time() -> None:
    label_N = np.repeat(np.arange(4), 10)
    batches, met = ranks(label_N, 2, 4), np.zeros((10, 10))
    for number in range(400):
        for hand in steps(batches, number).reshape(-1, 4):
            if label_N[hand[0]] == 2:
                met[np.ix_(hand - 20, hand - 20)] += 1
    others = met[~np.eye(10, dtype=bool)]
    assert others.min() > 0.7 * others.mean()
    assert others.max() < 1.3 * others.mean()


@settings(deadline=None, max_examples=15)
@given(settings_of(), st.integers(0, 50), st.integers(0, 5))
def test_ranks_side_by_side_are_one_rank_of_all_their_people(
    of: tuple[list[int], int, int, int], seed: int, number: int
) -> None:
    counts, people, pictures, world = of
    label_N = labelled(counts)
    one = steps(ranks(label_N, people * world, pictures, 1, seed), number)
    assert np.array_equal(one, steps(ranks(label_N, people, pictures, world, seed), number))


def test_the_seed_and_the_number_decide_and_nothing_else() -> None:
    label_N = labelled([9, 4, 6, 8, 5, 7])
    once, again, other = (ranks(label_N, 3, 4, 1, seed)[0] for seed in (7, 7, 8))
    later = steps([once], 5)
    assert np.array_equal(later, steps([again], 5))
    assert np.array_equal(steps([once], 2), steps([again], 2)), "an earlier epoch after a later one"
    assert np.array_equal(later, steps([once], 5))
    assert not np.array_equal(later, steps([again], 6))
    assert not np.array_equal(later, steps([other], 5))


def test_an_epoch_goes_on_from_any_step() -> None:
    batches = ranks(labelled([40] * 50), 3, 4, 2)[1]
    whole = list(batches.epoch(3))
    for first in (1, 7, len(whole) - 1, len(whole)):
        rest = list(batches.epoch(3, first))
        assert len(rest) == len(whole) - first
        assert all(np.array_equal(a, b) for a, b in zip(rest, whole[first:], strict=True))


@pytest.mark.parametrize(
    ("counts", "people", "pictures", "world", "said"),
    [
        ([5, 5, 5], 4, 2, 1, "give --people 3 or less"),
        ([5] * 9, 5, 2, 2, "give --people 4 or less"),
        ([5] * 3, 2, 2, 4, "too few for 4 workers"),
        ([5], 1, 2, 1, "nobody to tell them from"),
        ([5], 2, 2, 1, "there are 1 to train with"),
        ([], 2, 2, 1, "there are 0 to train with"),
        ([3, 5, 4], 2, 6, 1, "nobody has more than 5: give --pictures 5 or less"),
    ],
)
def test_batches_that_cannot_be_are_refused(
    counts: list[int], people: int, pictures: int, world: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        ranks(labelled(counts), people, pictures, world)


@pytest.mark.parametrize("key", ["people", "pictures"])
def test_empty_batches_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"batches.{key} must be at least 1, got 0"):
        BatchConfig(**{key: 0})


def test_who_has_few_pictures_is_told() -> None:
    assert "2 of 4 people have fewer than 4 pictures" in ranks(labelled([1, 3, 4, 9]), 2, 4)[0].notes[0]
    assert ranks(labelled([4, 9, 8]), 2, 4)[0].notes == ()


def test_a_million_people_are_planned_within_memory() -> None:
    """10 pictures each; a plan of all hands, and one step of it."""
    label_N = np.arange(1_000_000, dtype=np.int64) % 100_000
    batches = ranks(label_N, 64, 4, 8)[7]
    rows_B = next(batches.epoch(2, batches.steps - 1))
    assert rows_B.shape == (256,)
    assert len(set(label_N[rows_B].tolist())) == 64
