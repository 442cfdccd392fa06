"""Embeddings laid out in the plane by UMAP, so that near ones stay near: a picture to look at, and no figure.

Source:
    L. McInnes, J. Healy and J. Melville, "UMAP: uniform manifold approximation and projection", 2018, in the package
    umap-learn, which is an extra.

Shape key: N faces, S of them laid out, E numbers of an embedding.
"""

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.pairs import unit_vectors

NEIGHBOURS: Final = 15
"""Faces that each one is to stay near to."""

MOST: Final = 4000
"""Faces that are laid out; 4,000 take about half a minute."""


@dataclass(frozen=True, kw_only=True)
class Manifold:
    """Faces in the plane. Neither distances nor the sizes of heaps mean anything."""

    row_S: NDArray[np.int64]
    """Faces that are shown."""
    place_S2: NDArray[np.float64]


def check() -> None:
    """Check that UMAP is there, before any work.

    Raises:
        ConfigError: It is not; the text names the extra.
    """
    if importlib.util.find_spec("umap") is None:
        raise ConfigError(
            'UMAP is not installed: pip install "omokage[umap]", or leave --umap out; PCA is always drawn'
        )


def manifold(embedding_NE: Any, most: int = MOST, seed: int = 0) -> Manifold:
    """Return up to ``most`` faces, drawn at random, laid out in the plane; the same each time on one machine.

    Raises:
        ConfigError: UMAP is not installed.
        DatasetError: These are no unit vectors, or too few.
    """
    check()
    vector_NE = unit_vectors(embedding_NE)
    row_S = np.sort(np.random.default_rng(seed).permutation(len(vector_NE))[:most])
    if len(row_S) <= NEIGHBOURS:
        raise DatasetError(f"UMAP needs more than {NEIGHBOURS} faces, got {len(row_S)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that a seed forbids, and of TensorFlow that is not there
        import umap  # type: ignore[import-untyped]

        # Unit vectors: their Euclidean distance orders them as their cosine does, and has the quicker code.
        layout = umap.UMAP(n_neighbors=NEIGHBOURS, metric="euclidean", random_state=seed, n_jobs=1)
        place_S2 = layout.fit_transform(vector_NE[row_S])
    return Manifold(row_S=row_S, place_S2=np.asarray(place_S2, np.float64))
