"""The local outlier factor within a person: a second opinion, of a method that knows no other people.

scikit-learn's takes 2 to 20 ms a person, which is more than everything else together; this gives the same numbers.

Shape key: N faces, C candidates, S faces of a person, D numbers of an embedding, K neighbours.
"""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from omokage.curate.gallery import Gallery

MOST: Final = 4096
"""Faces of a person that are compared with each other; of more, a sample, and the candidates."""


def local_factors(gallery: Gallery, row_C: NDArray[np.int64], neighbours: int) -> pa.Array:
    """Return the local outlier factor of some faces among those of their person; about 1 for one like the others.

    Null where a person has fewer than twice three faces. Only the people of ``row_C`` are looked at.

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
                factor_N[rows] = factors(gallery.vectors[rows], min(neighbours, len(rows) // 2))
    found_C = factor_N[row_C]
    return pa.array(found_C, pa.float32(), mask=np.isnan(found_C))


def factors(x_SD: NDArray[np.float32], neighbours: int) -> NDArray[np.float32]:
    """Return the local outlier factor of every face, with so many neighbours; fewer than S.

    Source:
        Breunig, Kriegel, Ng and Sander, "LOF: identifying density-based local outliers", 2000; the 1e-10 is
        scikit-learn's, for faces that are all the same.
    """
    away_SS = np.sqrt(np.maximum(2 - 2 * (x_SD @ x_SD.T), 0))
    np.fill_diagonal(away_SS, np.inf)  # nobody is a neighbour of himself
    near_SK = np.argpartition(away_SS, neighbours - 1, axis=1)[:, :neighbours]
    away_SK = np.take_along_axis(away_SS, near_SK, axis=1)
    reach_SK = np.maximum(away_SK, away_SK.max(axis=1)[near_SK])
    density_S = 1 / (reach_SK.mean(axis=1) + 1e-10)
    factor_S: NDArray[np.float32] = (density_S[near_SK].mean(axis=1) / density_S).astype(np.float32)
    return factor_S
