"""People who are proposed to be one, as groups.

Shape key: C pairs of people, G people in some pair.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def groups(
    label_a: NDArray[np.int64], label_b: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the group of each pair, numbered from 1 by its first pair, and the people and pairs of its group.

    Args:
        label_a: People. Shape (C,). No pair twice.
        label_b: Who the same people are.
    """
    label_G, place = np.unique(np.concatenate([label_a, label_b]), return_inverse=True)
    a_C, b_C = place[: len(label_a)], place[len(label_a) :]
    links = coo_array((np.ones(len(a_C)), (a_C, b_C)), shape=(len(label_G), len(label_G)))
    _, part_G = connected_components(links, directed=False)
    part_C = part_G[a_C]
    _, first, number_C = np.unique(part_C, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    return rank[number_C], np.bincount(part_G)[part_C], np.bincount(part_C)[part_C]
