"""The local outlier factor within a person: a second opinion, of a method that knows no other people.

Shape key: N faces, C candidates, S faces of a person, D numbers of an embedding.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor

from omokage.curate.gallery import Gallery


def local_factors(gallery: Gallery, row_C: NDArray[np.int64], neighbours: int) -> pa.Array:
    """Return the local outlier factor of some faces among those of their person; about 1 for one like the others.

    Null where a person has too few faces for it: fewer than half of ``neighbours``. Only the people of ``row_C`` are
    looked at.

    Source:
        Breunig, Kriegel, Ng and Sander, "LOF: identifying density-based local outliers", 2000; scikit-learn's code.
    """
    factor_N = np.full(len(gallery.label_N), np.nan, np.float32)
    for label in np.unique(gallery.label_N[row_C]).tolist():
        rows = gallery.rows(label)
        if len(rows) >= max(3, neighbours / 2):
            model = LocalOutlierFactor(n_neighbors=min(neighbours, len(rows) - 1), algorithm="brute")
            model.fit(gallery.vectors[rows])
            factor_N[rows] = -model.negative_outlier_factor_
    found_C = factor_N[row_C]
    return pa.array(found_C, pa.float32(), mask=np.isnan(found_C))
