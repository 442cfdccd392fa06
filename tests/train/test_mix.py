"""Numbers that look like chance: those of SplitMix64, whichever library works them out."""

import numpy as np
import torch

from omokage.train.mix import mixed
from omokage.train.shuffle import stirred

WHOLE = 2**64


def splitmix(number: int) -> int:
    """Return the published generator's first number from a state, in whole numbers without end."""
    number = (number + 0x9E3779B97F4A7C15) % WHOLE
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % WHOLE
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % WHOLE
    return number ^ (number >> 31)


def test_numpy_and_torch_give_the_published_numbers() -> None:
    assert splitmix(0) == 0xE220A8397B1DCDAF  # the first number of the generator that is seeded with 0
    states = [0, 1, 2**63 - 1, 2**63, WHOLE - 1, 0x0123456789ABCDEF]
    wanted = [splitmix(each) for each in states]
    given = np.array(states, np.uint64)
    assert stirred(given).tolist() == wanted
    assert mixed(given.view(np.int64)).view(np.uint64).tolist() == wanted
    assert mixed(torch.from_numpy(given.view(np.int64))).numpy().view(np.uint64).tolist() == wanted
