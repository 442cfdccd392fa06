"""Small galleries of people who exist as vectors, for the tests of finders."""

import numpy as np
import pyarrow as pa

from omokage.curate.gallery import NOBODY, Gallery


def people(vectors, labels, ids=None, names=None):
    """Return a gallery of vectors, made to unit length."""
    vectors = np.asarray(vectors, np.float32)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.asarray(labels, np.int32)
    ids = pa.array([f"{i:06d}" for i in (np.arange(len(labels)) if ids is None else ids)], pa.string())
    names = names or [f"p{i:04d}" for i in range(labels.max(initial=-1) + 1)]
    identity = pa.array([None if v == NOBODY else names[v] for v in labels], pa.string())
    return Gallery(pa.table({"face_id": ids, "uri": ids, "identity": identity}), vectors, labels, names, lambda _: [])


class Cast:
    """Makes faces of numbered people; two of one have a similarity of about 0.7."""

    def __init__(self, seed=0, count=60, dim=128):
        self.rng = np.random.default_rng(seed)
        self.person_PD = self.rng.standard_normal((count, dim)).astype(np.float32)

    def shots(self, persons):
        """Return one face of each of some people, -1 for somebody never seen before; shape (n, dim)."""
        noise = self.rng.standard_normal((len(persons), self.person_PD.shape[1]))
        new = self.rng.standard_normal(noise.shape)
        persons = np.asarray(persons)
        return np.where(persons[:, None] < 0, new, self.person_PD[persons] + 0.65 * noise).astype(np.float32)
