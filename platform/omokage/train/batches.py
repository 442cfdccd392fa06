"""P people times K pictures a step: who is in which step on which rank, told by a seed alone.

Every rank works out the same plan, and takes its own columns of it. A step of ``world`` ranks has ``world * P``
different people; one rank with 2 P people sees what two ranks with P see side by side.

**Dealing.** Each person's pictures are shuffled and dealt in hands of K different ones, pass after pass, and an
epoch goes on where the one before ended. Where K does not divide a person's pictures, some are dealt twice in a pass,
other ones each time; who has fewer than K shows them again within a hand. So over the epochs each picture of a person
is dealt as often as any other of theirs.

**Who deals.** All pictures are thought to lie in a row, person by person, and whoever's picture is hit, going
along it in even strides of about K, deals a hand. Each epoch starts elsewhere. So people deal by how many pictures
they have, nobody is left out for long, and an epoch shows as many pictures as there are. Who has more pictures than
a step a hand can show is in every step, and the others deal the rest.

**When.** The hands of an epoch are laid out in columns, one hand a step, where all hands of a person follow each other;
then each column is shuffled. Nobody comes twice in a column's step, and who reaches into the next column is kept
apart from themselves there.

All of it is whole numbers, since ranks on unlike processors must not differ in a last bit.

Shape key: N rows of the split's table, M of them in the part, C people, S steps, G people of a step on all ranks,
P on this one, H hands, K pictures of a hand, B = P K.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.train.shuffle import shuffled, stirred

CHUNK: Final = 1 << 16
"""Pictures that are dealt at once: more take memory, fewer take time."""

GOLDEN: Final = (618_034, 1_000_000)
"""Of the row, how far on the next epoch begins: starts lie evenly, however many there are."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchConfig:
    """What a step sees."""

    people: int = 16
    """People of a step on each worker, at least 1."""
    pictures: int = 4
    """Pictures of each of them, at least 1; two or more for losses that compare pictures of one person."""

    def __post_init__(self) -> None:
        """Reject empty batches."""
        for key in ("people", "pictures"):
            if getattr(self, key) < 1:
                raise ConfigError(f"batches.{key} must be at least 1, got {getattr(self, key)}")


class Batches:
    """The rows of every step of every epoch, the same on all ranks without a word between them.

    Args:
        label_N: Class of each row; rows below 0 are of another part and never come.
        config: P and K.
        seed: Everything follows from it.
        rank: Number of this worker.
        world: Workers.

    Raises:
        ConfigError: There are fewer people than a step takes, or nobody has K pictures.
    """

    def __init__(self, label_N: Ints, config: BatchConfig, seed: int, rank: int = 0, world: int = 1) -> None:
        self.config, self.seed, self.rank = config, seed, rank
        self.at_once = config.people * world  # G
        mine_M = np.flatnonzero(label_N >= 0)
        self.row_M = mine_M[np.argsort(label_N[mine_M], kind="stable")]
        count_C = np.bincount(label_N[mine_M]) if len(mine_M) else np.zeros(0, np.int64)
        self.count_C = count_C[count_C > 0].astype(np.int64)
        self.first_C = np.cumsum(self.count_C) - self.count_C
        self._check(world)
        shown = self.at_once * config.pictures
        self.steps = max(1, (2 * len(mine_M) + shown) // (2 * shown))
        """Of an epoch: so many that as many pictures pass by as there are, to the nearest step."""
        self.always_C = _too_many(self.count_C, self.at_once)
        self._before = 0, np.zeros(len(self.count_C), np.int64)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how their people are dealt."""
        few, always, people = (
            int((self.count_C < self.config.pictures).sum()),
            int(self.always_C.sum()),
            len(self.count_C),
        )
        said = []
        if few:
            said.append(
                f"{few:,} of {people:,} people have fewer than {self.config.pictures} pictures, which are shown again "
                "within a step"
            )
        if always and always < people:
            said.append(
                f"{always:,} of {people:,} people have so many pictures that they are in every step; their pictures "
                "are seen less often than others"
            )
        return tuple(said)

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Ints]:
        """Yield the rows of this rank's steps, from a step on.

        Each has shape (B,): the K pictures of one person after those of another. The same number always gives the
        same steps, from whichever step on.
        """
        person_SG, hand_SG = self._plan(number)
        mine = slice(self.rank * self.config.people, (self.rank + 1) * self.config.people)
        some = max(1, CHUNK // (self.config.people * self.config.pictures))
        for start in range(first_step, self.steps, some):
            part = slice(start, start + some)
            rows_HK = self._deal(person_SG[part, mine].reshape(-1), hand_SG[part, mine].reshape(-1))
            yield from rows_HK.reshape(-1, self.config.people * self.config.pictures)

    def _check(self, world: int) -> None:
        people, most = len(self.count_C), int(self.count_C.max(initial=0))
        if self.at_once < 2:
            raise ConfigError("a step of one person has nobody to tell them from: give --people 2 or more")
        if people < self.at_once:
            largest = people // world
            help = (
                f"give --people {largest} or less"
                if largest * world >= 2
                else f"that is too few for {world} worker{'s' * (world > 1)}"
            )
            raise ConfigError(
                f"a step takes {self.config.people} different people on each of {world} "
                f"worker{'s' * (world > 1)}, {self.at_once} in all, and there are {people} to train with: {help}"
            )
        if most < self.config.pictures:
            raise ConfigError(
                f"a step takes {self.config.pictures} pictures of a person, and nobody has more than {most}: "
                f"give --pictures {most} or less"
            )

    def _hands(self, number: int) -> Ints:
        """Return how many hands each person deals in an epoch; (S G) in all, and no person more than S."""
        hands_C = np.where(self.always_C, self.steps, 0)
        rest_C = np.where(self.always_C, 0, self.count_C)
        row, hands = int(rest_C.sum()), self.steps * (self.at_once - int(self.always_C.sum()))
        rng = np.random.default_rng([self.seed, 1])
        stride = row * GOLDEN[0] // GOLDEN[1]
        while math.gcd(stride, row) > 1:  # or some starts would never come
            stride += 1
        start = (int(rng.integers(row)) + number * stride) % row
        # hand t goes to the picture (t row + start) / hands: so many lie before where each person's pictures end
        until_C = np.clip(-((start - np.cumsum(rest_C) * hands) // row), 0, hands)
        return np.asarray(hands_C + np.diff(until_C, prepend=0), np.int64)

    def _dealt(self, number: int) -> Ints:
        """Return how many hands each person has dealt before an epoch."""
        at, dealt_C = self._before if self._before[0] <= number else (0, np.zeros(len(self.count_C), np.int64))
        for before in range(at, number):
            dealt_C = dealt_C + self._hands(before)
        self._before = number, dealt_C
        return dealt_C

    def _plan(self, number: int) -> tuple[Ints, Ints]:
        """Return who deals in each step of an epoch, and which of their hands; both of shape (S, G)."""
        rng = np.random.default_rng([self.seed, 2, number])
        order_C = rng.permutation(len(self.count_C))
        hands_C = self._hands(number)[order_C]
        person_H = np.repeat(order_C, hands_C)
        nth_H = np.arange(len(person_H)) - np.repeat(np.cumsum(hands_C) - hands_C, hands_C)
        hand_H = self._dealt(number)[person_H] + nth_H
        person_GS = person_H.reshape(self.at_once, self.steps)
        step_GS = _steps(person_GS, rng)
        plan = np.empty((2, self.steps, self.at_once), np.int64)
        column_G1 = np.arange(self.at_once)[:, None]
        plan[0, step_GS, column_G1] = person_GS
        plan[1, step_GS, column_G1] = hand_H.reshape(self.at_once, self.steps)
        return plan[0], plan[1]

    def _deal(self, person_H: Ints, hand_H: Ints) -> Ints:
        """Return the rows of some hands, shape (H, K); those of a hand differ where the person has K pictures.

        A pass's pictures are numbered from those that it deals twice. Its last hand takes all of these, and the first
        few of the others as shuffled. The hands before take all pictures but these few, shuffled in turn. From pass to
        pass the numbers move on, so that each picture is dealt twice in its turn, and a round of passes ends when
        all have been equally often; then they are numbered anew.
        """
        size, turn_K = self.config.pictures, np.arange(self.config.pictures)
        count_H1 = self.count_C[person_H][:, None]
        hands_H1 = -(-count_H1 // size)
        pass_H1, nth_H1 = np.divmod(hand_H[:, None], hands_H1)
        twice_H1 = hands_H1 * size - count_H1
        few_H1 = size - twice_H1
        last_H1 = nth_H1 == hands_H1 - 1
        key_H1 = _keys(self.seed, person_H, pass_H1[:, 0])[:, None]
        place_HK = np.where(last_H1, 0, nth_H1 * size + turn_K)
        early_HK = shuffled(place_HK, np.maximum(count_H1 - few_H1, 1), key_H1)
        second_HK = np.where(last_H1, turn_K, early_HK)
        other_HK = np.where(last_H1, turn_K, early_HK + few_H1) - twice_H1
        once_H1 = np.maximum(count_H1 - twice_H1, 1)
        once_HK = shuffled(np.clip(other_HK, 0, once_H1 - 1), once_H1, key_H1 + np.uint64(1))
        number_HK = np.where(second_HK < twice_H1, second_HK, once_HK + twice_H1) + pass_H1 * twice_H1
        again_HK = pass_H1 * size + turn_K  # of who has fewer than K: one after another, and over again
        number_HK = np.where(count_H1 < size, again_HK, number_HK) % count_H1
        round_H1 = pass_H1 // (count_H1 // np.gcd(count_H1, twice_H1))
        picture_HK = shuffled(number_HK, count_H1, _keys(self.seed + 1, person_H, round_H1[:, 0])[:, None])
        return np.asarray(self.row_M[self.first_C[person_H][:, None] + picture_HK], np.int64)


def _keys(seed: int, person_H: Ints, pass_H: Ints) -> NDArray[np.uint64]:
    """Return what selects the shuffle of a person's pass."""
    key_H = stirred(np.full(len(person_H), seed % 2**64, np.uint64))
    key_H = stirred(key_H + person_H.astype(np.uint64))
    return stirred(key_H + pass_H.astype(np.uint64))


def _too_many(count_C: Ints, at_once: int) -> NDArray[np.bool_]:
    """Return who has more pictures than they can show in an epoch if they are in each of its steps.

    The biggest is one of them if it has more than its share of what is left for each of the places of a step. Then it
    takes one place, and the next is asked about the rest.
    """
    order_C = np.argsort(-count_C, kind="stable")[:at_once]
    biggest_G = count_C[order_C]
    left_G = count_C.sum() - np.cumsum(biggest_G) + biggest_G
    fits_G = biggest_G * (at_once - np.arange(at_once)) <= left_G
    too_many_C = np.zeros(len(count_C), np.bool_)
    too_many_C[order_C[: int(np.argmax(fits_G))]] = True
    return too_many_C


def _steps(person_GS: Ints, rng: np.random.Generator) -> Ints:
    """Return a step for each hand of each column; a person who is in two columns is never twice in a step.

    Args:
        person_GS: Who deals; all hands of a person follow each other, from one row into the next.
        rng: Shuffles.
    """
    steps = person_GS.shape[1]
    step_GS = np.empty_like(person_GS)
    for column, person_S in enumerate(person_GS):
        order_S = rng.permutation(steps)
        if column and person_S[0] == person_GS[column - 1, -1]:
            same_S = person_GS[column - 1] == person_S[0]
            taken_S = np.zeros(steps, np.bool_)
            taken_S[step_GS[column - 1, same_S]] = True
            first = order_S[~taken_S[order_S]][: int((person_S == person_S[0]).sum())]
            others_S = np.ones(steps, np.bool_)
            others_S[first] = False
            order_S = np.concatenate([first, order_S[others_S[order_S]]])
        step_GS[column] = order_S
    return step_GS
