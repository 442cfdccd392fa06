"""The local outlier factor within a person: a second opinion, of a method that knows no other people.

Shape key: N faces, C candidates.
"""

import warnings
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor
from threadpoolctl import threadpool_limits

from omokage.curate.gallery import Gallery

MOST: Final = 4096
"""Faces of a person that are compared with each other; of more, a sample, and the candidates."""

MEANT: Final = 1e6
"""Factor from which it is none: more faces are equal than a face has neighbours, and distances are divided by 0."""


def local_factors(gallery: Gallery, row_C: NDArray[np.int64], neighbours: int) -> pa.Array:
    """Return the local outlier factor of some faces among those of their person; about 1 for one like the others.

    Null where a person has fewer than twice three faces, or many equal ones. Only people of ``row_C`` are looked at.

    Args:
        gallery: Faces of unit length; distances are Euclidean.
        row_C: Candidates. Shape (C,).
        neighbours: Of a face; half of a person's faces where those are fewer, for a neighbourhood must not be all.
    """
    factor_N = np.full(len(gallery.label_N), np.nan, np.float32)
    chosen_N = np.zeros(len(factor_N), bool)
    chosen_N[row_C] = True
    with threadpool_limits(1, "blas"):  # the products are so small that threads would only wait for each other
        for label in np.unique(gallery.label_N[row_C]).tolist():
            rows = gallery.rows(label)
            if len(rows) > MOST:
                rest = np.random.default_rng(label).permutation(rows[~chosen_N[rows]])
                rows = np.concatenate([rows[chosen_N[rows]], rest])[:MOST]
            if len(rows) >= 6:
                model = LocalOutlierFactor(n_neighbors=min(neighbours, len(rows) // 2), algorithm="brute")
                with warnings.catch_warnings():  # of what is left out below
                    warnings.simplefilter("ignore", UserWarning)
                    found_n = -model.fit(gallery.vectors[rows]).negative_outlier_factor_
                factor_N[rows] = found_n if found_n.max() < MEANT else np.nan
    found_C = factor_N[row_C]
    return pa.array(found_C, pa.float32(), mask=np.isnan(found_C))
