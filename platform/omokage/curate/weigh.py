"""Vectors weighed by what tells people apart: directions in which one person's faces differ count less.

Light and age move the faces of everybody in much the same directions, and with many encoders a few of those hold most
of the variance. There strangers look alike and a person unlike himself. Dividing by the covariance of faces about the
centre of their own person (within-class covariance normalisation) takes that away, and the cosine of weighed vectors
parts strangers from people in hard light where the plain cosine cannot.

It is learnt from the folders themselves, wrong faces and all: robust centres leave most of those out, few folders are
answered by shrinking towards the plain cosine.

Shape key: N faces, K people of one size, S faces of each, D numbers of an embedding.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.curate.centres import centres, same_size, to_strangers
from omokage.curate.gallery import NOBODY, Gallery, Vectors

SAMPLE: Final = 10_000
"""Faces to learn from; more do not change a covariance of 512 numbers that matters."""

ROUNDS: Final = 2
"""Faces in hard light are far from their person's centre at first, and found to belong there in the second round."""

LOOSE: Final = 0.7
"""Share of the usual similarity within people, below which a folder teaches nothing."""

DOUBT: Final = 10
"""People who weigh as much as the assumption that people have nothing in common."""

AT_ONCE: Final = 1024
"""Vectors weighed at once: few enough to stay in the processor's cache, and in memory that is used again."""

STRIP: Final = 128
"""Columns of the weights that are multiplied at once."""

HELD: Final = 512 * 2**20
"""Bytes of weighed vectors that are held; more are weighed anew whenever they are read."""


@dataclass(frozen=True)
class Moved:
    """Vectors by row, without what all people have in common; unit length."""

    vectors: Vectors
    common_D: NDArray[np.float32]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return the vectors of an array or slice of rows, shape (n, D)."""
        return _unit(self.vectors[rows] - self.common_D)


@dataclass(frozen=True)
class Weighed:
    """Vectors by row, weighed as they are read; unit length."""

    vectors: Vectors
    common_D: NDArray[np.float32]
    """What all people have in common, which is taken off."""
    weights_DD: NDArray[np.float32]
    """What the rest is multiplied with; 0 above the diagonal."""

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return the weighed vectors of an array or slice of rows, shape (n, D)."""
        rest_nD = self.vectors[rows] - self.common_D
        out_nD = np.empty_like(rest_nD)
        for start in range(0, rest_nD.shape[1], STRIP):  # what is 0 above a strip need not be multiplied
            strip = slice(start, start + STRIP)
            np.matmul(rest_nD[:, start:], self.weights_DD[start:, strip], out=out_nD[:, strip])
        return _unit(out_nD)


@dataclass(frozen=True)
class Held:
    """Vectors of some rows in memory; of nobody's faces there are none."""

    held_nD: NDArray[np.float32]
    place_N: NDArray[np.int64]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return the vectors of an array or slice of rows, shape (n, D)."""
        return np.asarray(self.held_nD[self.place_N[rows]])


def weighed(gallery: Gallery) -> Gallery:
    """Return the gallery with weighed vectors; the same rows and people.

    Source:
        Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker recognition", 2006.
    """
    return _held(gallery.with_vectors(learnt(gallery)))


def _held(gallery: Gallery) -> Gallery:
    """Return the gallery with the vectors of its people read once, where they are few enough to be held.

    They are read by person, however they are stored: where a row lies in a product can change its last digit.
    """
    rows, dim = gallery.order[gallery.bounds[0] :], gallery.vectors[:1].shape[1]
    if len(rows) * dim * 4 > HELD:
        return gallery
    held_nD = np.zeros((max(1, len(rows)), dim), np.float32)
    for start in range(0, len(rows), AT_ONCE):
        held_nD[start : start + AT_ONCE] = gallery.vectors[rows[start : start + AT_ONCE]]
    place_N = np.zeros(len(gallery.label_N), np.int64)
    place_N[rows] = np.arange(len(rows))
    return gallery.with_vectors(Held(held_nD, place_N))


def learnt(gallery: Gallery) -> Weighed:
    """Return the gallery's vectors, weighed.

    The weights are the Cholesky factor of the inverse covariance within people: of faces about the mean of the faces of
    their person that agree, over a sample of people, shrunk towards the identity; with one face a person they are the
    identity. The mean of all people is taken off before, the less the fewer they are: of one it would be the person.
    """
    sample = _held(_some_people(gallery))
    people = int(np.count_nonzero(sample.sizes))
    common_D = (centres(sample).robust_PD.sum(axis=0) / (people + DOUBT)).astype(np.float32)
    space: Vectors = Moved(sample.vectors, common_D)
    for _ in range(ROUNDS):
        weights_DD = _weights(sample, _sound(_held(sample.with_vectors(space))))
        space = Weighed(sample.vectors, common_D, weights_DD)
    return Weighed(gallery.vectors, common_D, weights_DD)


def _sound(sample: Gallery) -> NDArray[np.bool_]:
    """Return which faces surely show their person: nearer than halfway to strangers, in a folder that holds together.

    A small folder that is nothing but strangers would else teach that what parts them does not matter, and a folder of
    two people what parts those.
    """
    known = centres(sample)
    own_N = np.nan_to_num(known.own_N, nan=-1.0)
    mine_N = sample.label_N >= 0
    usual = float(np.median(own_N[mine_N])) if mine_N.any() else 0.0
    cut = (usual + float(np.median(to_strangers(sample, known.robust_PD)))) / 2
    loose_P = known.within_P < LOOSE * np.nanmedian(np.append(known.within_P, 1.0))
    loose_N = mine_N & np.append(loose_P, False)[sample.label_N]
    sound_N: NDArray[np.bool_] = known.kept_N & (own_N >= cut) & ~loose_N
    return sound_N


def _weights(sample: Gallery, kept_N: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the weights that the faces of ``kept_N`` teach."""
    dim = sample.vectors[:1].shape[1]
    scatter_DD, freedom = np.zeros((dim, dim)), 0
    for _, rows_KS, x_KSD in same_size(sample):
        kept_KS = kept_N[rows_KS]
        count_K = kept_KS.sum(axis=1)
        kept_nD = (x_KSD * kept_KS[:, :, None]).reshape(-1, dim)
        sum_KD = (kept_KS[:, None].astype(np.float32) @ x_KSD)[:, 0]
        sum_KD /= np.sqrt(count_K.clip(1, dtype=np.float32))[:, None]
        scatter_DD += kept_nD.T @ kept_nD  # squares about the means of people: all, less those of the means
        scatter_DD -= sum_KD.T @ sum_KD
        freedom += int((count_K - 1).clip(0).sum())
    if freedom == 0 or np.trace(scatter_DD) < 1e-6 * freedom:  # one face a person, or all of them the same
        return np.eye(dim, dtype=np.float32)
    inverse_DD = np.linalg.inv(_shrunk(scatter_DD / freedom, freedom))
    return np.linalg.cholesky(inverse_DD).astype(np.float32)


def _unit(moved_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    length_N1 = np.sqrt(np.vecdot(moved_ND, moved_ND))[:, None].clip(1e-12)
    moved_ND /= length_N1
    return moved_ND


def _some_people(gallery: Gallery) -> Gallery:
    """Return a gallery in which only a sample of people, those with at least two faces, still have theirs."""
    able = np.random.default_rng(0).permutation(np.flatnonzero(gallery.sizes > 1))
    chosen = np.zeros(len(gallery.names), bool)
    chosen[able[: int(np.searchsorted(np.cumsum(gallery.sizes[able]), SAMPLE)) + 1]] = True
    label_N = np.where((gallery.label_N >= 0) & chosen[gallery.label_N], gallery.label_N, NOBODY).astype(np.int32)
    return gallery.with_labels(label_N)


def _shrunk(cov_DD: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Return a covariance of mean variance 1, shrunk as by the oracle, and at least by what few faces leave unknown.

    The second part matters for what comes after: a covariance that is learnt from fewer faces than it has directions
    knows the very faces it was learnt from, and would draw them nearer to their person than any new face.

    Source:
        Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE covariance estimation", 2010, equation 23.
    """
    dim = len(cov_DD)
    trace, squares = np.trace(cov_DD), np.sum(cov_DD * cov_DD)
    above = (1 - 2 / dim) * squares + trace**2
    below = (freedom + 1 - 2 / dim) * (squares - trace**2 / dim)
    share = max(min(1.0, above / max(below, 1e-300)), dim / (dim + freedom))
    shrunk_DD: NDArray[np.float64] = (1 - share) * cov_DD * (dim / trace) + share * np.eye(dim)
    return shrunk_DD
