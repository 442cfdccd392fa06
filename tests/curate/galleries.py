"""Small galleries of people who exist as vectors, for the tests of finders."""

import numpy as np
import pyarrow as pa

from crowd import Crowd
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


def gallery_of(vectors_ND: np.ndarray, label_N: np.ndarray) -> Gallery:
    """Return a gallery of vectors as they are, in which nobody has a chip."""
    ids = pa.table({"face_id": [f"{row:08x}" for row in range(len(label_N))]})
    names = [f"{label:05d}" for label in range(int(label_N.max(initial=-1)) + 1)]
    return Gallery(ids, vectors_ND.astype(np.float32), label_N.astype(np.int32), names, lambda rows: [b""] * len(rows))


def of_crowd(crowd: Crowd) -> Gallery:
    """Return a crowd's faces, by folder."""
    whole = crowd.whole()
    return gallery_of(whole.vectors_ND, whole.folder_N)


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
