"""Short codes of vectors: products of codes come close to products of vectors, by a bound that is known.

A vector is rotated and its numbers rounded to whole ones of one step, -127 to 127. The products of whole numbers
are exact and, where the processor has instructions for them, some five times as quick as those of floats. Whoever
looks for pairs above a threshold looks for codes above the threshold less the bound, and scores what is found by
the vectors themselves: so nothing is lost, and nothing is approximate.

The rotation spreads what a few numbers of a vector hold over many, so that one step serves all. It mixes runs of
numbers that lie far apart, which is enough and cheap.

The bound: for unit vectors x, y and their codes' vectors x', y' (step times code) with |x - x'| <= a and
|y - y'| <= b is |x.y - x'.y'| = |(x - x').y + x'.(y - y')| <= a + (1 + a) b.

Shape key: N vectors, D numbers of a vector, E numbers of a code (D and zeros up to a multiple of 16), R a run.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["int8", "float32"]

TOP: Final = 127
"""The biggest code."""

HEADROOM: Final = 1.25
"""By how much other vectors may exceed the sample's widest number before their codes are cut off."""

LONGEST_RUN: Final = 64

ALIGN: Final = 16
"""Codes are as long as a multiple of this, for the sake of the instructions that multiply them."""

AT_ONCE: Final = 512
"""Vectors that are gone over several times while they are in the processor's cache."""

ROUNDING: Final = 4e-6
"""Bound of what float32 products of unit vectors are off, on top of everything."""


@dataclass(frozen=True, slots=True)
class Coder:
    """Turns vectors of ``dim`` numbers into codes."""

    kind: Kind
    dim: int
    step: float = 1.0
    seed: int = 0

    @classmethod
    def fit(cls, kind: Kind, sample_ND: NDArray[np.float32]) -> "Coder":
        """Return a coder whose step suits vectors like the sample's (unit length)."""
        dim = sample_ND.shape[1]
        if kind == "float32":
            return cls(kind, dim)
        loose, widest = cls(kind, dim), float(1 / np.sqrt(dim))
        for start in range(0, len(sample_ND), AT_ONCE):
            widest = max(widest, float(np.abs(loose._rotate(sample_ND[start : start + AT_ONCE])).max()))
        return cls(kind, dim, widest * HEADROOM / TOP)

    @property
    def length(self) -> int:
        """Numbers of a code."""
        return self.dim if self.kind == "float32" else -(-self.dim // ALIGN) * ALIGN

    def encode(self, vectors_ND: NDArray[np.float32]) -> tuple[NDArray[np.int8] | NDArray[np.float32], float]:
        """Return the codes (N, E), and how far the furthest is from its vector."""
        if self.kind == "float32":
            return np.array(vectors_ND), 0.0  # one that may be written to: torch wants that
        codes_NE, furthest = np.zeros((len(vectors_ND), self.length), np.int8), 0.0
        for start in range(0, len(vectors_ND), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            turned_ND = self._rotate(vectors_ND[some])
            turned_ND *= np.float32(1 / self.step)
            rounded_ND = np.rint(turned_ND)
            np.clip(rounded_ND, -TOP, TOP, out=rounded_ND)
            codes_NE[some, : self.dim] = rounded_ND
            rounded_ND -= turned_ND
            furthest = max(furthest, float(np.vecdot(rounded_ND, rounded_ND).max(initial=0.0)))
        return codes_NE, float(np.sqrt(furthest)) * self.step

    def decode(self, codes_NE: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the vectors (N, D) that codes stand for, also such as are means of codes and no whole numbers."""
        if self.kind == "float32":
            return codes_NE.astype(np.float32)
        run = self._run
        turned_NR = (codes_NE[:, : self.dim] * self.step).astype(np.float32).reshape(-1, run)
        apart_NR = (turned_NR @ _rotation(run, self.seed).T).reshape(len(codes_NE), -1, run)
        return np.ascontiguousarray(apart_NR.swapaxes(1, 2)).reshape(len(codes_NE), self.dim)

    def margin(self, error_a: float, error_b: float) -> float:
        """Return how far the product of two codes can be from that of their vectors, given the codes' distances."""
        return error_a + (1 + error_a) * error_b + ROUNDING

    @property
    def unit(self) -> float:
        """What one in a product of codes is in similarity."""
        return 1.0 if self.kind == "float32" else self.step**2

    @property
    def _run(self) -> int:
        return max(r for r in range(1, min(LONGEST_RUN, self.dim) + 1) if self.dim % r == 0)

    def _rotate(self, vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors with every D/R-th number mixed: run by run with the same rotation."""
        run, count = self._run, len(vectors_ND)
        apart_NR = vectors_ND.reshape(count, run, -1).swapaxes(1, 2).reshape(-1, run)
        turned_NR: NDArray[np.float32] = apart_NR @ _rotation(run, self.seed)
        return turned_NR.reshape(count, self.dim)


@lru_cache(maxsize=8)
def _rotation(size: int, seed: int) -> NDArray[np.float32]:
    """Return a random rotation of ``size`` dimensions, the same for the same seed."""
    basis, upper = np.linalg.qr(np.random.default_rng([seed, size]).standard_normal((size, size)))
    return (basis * np.sign(np.diag(upper))).astype(np.float32)
