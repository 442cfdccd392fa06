"""How near to each other the faces of a group lie: within-group sum of squares, similarities between groups, and axes.

The plain sum of squares of a group grows with its faces, so that a small group looks narrow; what can be compared is
the sum for each face. Embeddings have unit length, so it is 1 less the squared length of the group's mean. A narrow
group is one whose people a model tells apart less well, but only error rates at a threshold (``audit``) say how often
it fails.

Shape key: N faces, E numbers of an embedding, G groups, U units (some people of one group), R draws, S sampled faces.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import DatasetError
from omokage.evaluate.audit import AuditConfig
from omokage.evaluate.bootstrap import BootstrapConfig, interval, units_for
from omokage.evaluate.groups import Groups
from omokage.evaluate.interval import Interval
from omokage.evaluate.pairs import unit_vectors

UNITS: Final = 1000
"""Most units of a group; where it has more people, random groups of them are drawn together."""

BATCH: Final = 100
"""Draws at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSpread:
    """One group."""

    name: str
    people: int
    faces: int
    wss: float | None
    """Plain within-group sum of squares; not comparable between groups of different sizes. Withheld as the other is."""
    per_face: Interval | None
    """Of each face: mean squared distance from the group's mean. None where the group is too small."""
    withheld: str

    def text(self) -> str:
        """Return the group for a person."""
        told = self.per_face.text() if self.per_face else f"withheld, {self.withheld}"
        plain = "" if self.wss is None else f"; plain sum {self.wss:,.1f} of {self.faces:,} faces"
        return f"{self.name}: sum of squares of each face {told}{plain}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Groups' sums of squares. Plain values."""

    groups: tuple[GroupSpread, ...]
    difference: float | None
    """The highest sum of each face less the lowest; None with fewer than two groups to compare."""
    p_value: float | None
    """Share of permutations, people's groups exchanged at random, with at least that difference."""
    permutations: int
    similarity: tuple[tuple[float | None, ...], ...]
    """Mean similarity of all pairs of two groups' faces, a face with itself left out; None where one is too small."""

    def json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the figures for a person."""
        lines = [group.text() for group in self.groups]
        if self.p_value is not None:
            lines.append(
                f"highest less lowest {self.difference:.4f}; were groups exchanged at random, p = {self.p_value:.4f} "
                f"({self.permutations:,} permutations)"
            )
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Similarities of some faces of every group, for a plot."""

    row_S: NDArray[np.int64]
    """Which faces, group by group, in each person by person."""
    group_S: NDArray[np.int64]
    similarity_SS: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The principal axes of all embeddings."""

    explained: tuple[float, ...]
    """Share of the variance along each axis, the greatest first."""
    row_S: NDArray[np.int64]
    """Faces that are shown."""
    place_SA: NDArray[np.float64]
    """Their places along the axes."""


def spread(
    embedding_NE: Any,
    label_N: Any,
    groups: Groups,
    config: AuditConfig | None = None,
    bootstrap: BootstrapConfig | None = None,
) -> Spread:
    """Return each group's sum of squares, and whether groups differ more than chance would have them.

    Raises:
        DatasetError: These are no unit vectors, do not go together, or none is in a group.
    """
    config, bootstrap = config or AuditConfig(), bootstrap or BootstrapConfig()
    vector_NE, label_N = unit_vectors(embedding_NE), np.asarray(label_N)
    if not len(vector_NE) == len(label_N) == len(groups.group_N) or not (groups.group_N >= 0).any():
        raise DatasetError(
            f"{len(vector_NE):,} embeddings do not go with {len(groups.group_N):,} groups, or none has one"
        )
    rows = [np.flatnonzero(groups.group_N == group) for group in range(len(groups.names))]
    # permutations exchange units between groups, so all units are of as many people
    size = -(-max(len(np.unique(label_N[row])) for row in rows) // UNITS)
    parts = [_Part.of(vector_NE[row], label_N[row], size, bootstrap.seed) for row in rows]
    told = [_group(name, part, config, bootstrap) for name, part in zip(groups.names, parts, strict=True)]
    shown = [part for part, group in zip(parts, told, strict=True) if group.per_face]
    difference = _range([part.per_face for part in shown]) if len(shown) > 1 else None
    return Spread(
        groups=tuple(told),
        difference=difference,
        p_value=None if difference is None else _permuted(shown, difference, bootstrap),
        permutations=bootstrap.replicates,
        similarity=_similarity(parts, [bool(group.per_face) for group in told]),
    )


def heat_map(
    embedding_NE: Any, label_N: Any, groups: Groups, each: int = 40, most: int = 600, seed: int = 0
) -> HeatMap:
    """Return the similarities of up to ``each`` faces of every group, ``most`` in all."""
    vector_NE, label_N = unit_vectors(embedding_NE), np.asarray(label_N)
    rng = np.random.default_rng(seed)
    each = max(1, min(each, most // len(groups.names)))
    rows = []
    for group in range(len(groups.names)):
        row = rng.permutation(np.flatnonzero(groups.group_N == group))[:each]
        rows.append(row[np.argsort(label_N[row], kind="stable")])
    row_S = np.concatenate(rows)
    return HeatMap(row_S=row_S, group_S=groups.group_N[row_S], similarity_SS=vector_NE[row_S] @ vector_NE[row_S].T)


def axes(embedding_NE: Any, count: int = 2, shown: int = 2000, seed: int = 0) -> Axes:
    """Return the principal axes of all embeddings, and the places of some.

    Raises:
        DatasetError: These are no unit vectors, or fewer than two.
    """
    vector_NE = unit_vectors(embedding_NE)
    if len(vector_NE) < 2:
        raise DatasetError(f"axes need two faces, got {len(vector_NE)}")
    mean_E = vector_NE.mean(0, dtype=np.float64)
    covariance_EE = np.zeros((len(mean_E), len(mean_E)))
    for start in range(0, len(vector_NE), 8192):
        away_NE = vector_NE[start : start + 8192] - mean_E
        covariance_EE += away_NE.T @ away_NE
    variance_E, axis_EA = np.linalg.eigh(covariance_EE / len(vector_NE))
    variance_E, axis_EA = np.maximum(variance_E[::-1], 0), axis_EA[:, ::-1][:, :count]
    # an axis has no direction of its own: let its greatest part point up, so that plots stay as they are
    axis_EA = axis_EA * np.sign(axis_EA[np.abs(axis_EA).argmax(0), np.arange(axis_EA.shape[1])])
    total = variance_E.sum()
    row_S = np.sort(np.random.default_rng(seed).permutation(len(vector_NE))[:shown])
    return Axes(
        explained=tuple((variance_E[:count] / total).tolist()) if total > 0 else (0.0,) * axis_EA.shape[1],
        row_S=row_S,
        place_SA=(vector_NE[row_S] - mean_E) @ axis_EA,
    )


@dataclass(frozen=True)
class _Part:
    """A group: sums of its units' vectors."""

    people: int
    sum_UE: NDArray[np.float64]
    faces_U: NDArray[np.int64]

    @classmethod
    def of(cls, vector_NE: NDArray[np.float32], label_N: NDArray[Any], size: int, seed: int) -> "_Part":
        """Return the sums of faces, so many people a unit."""
        if not len(label_N):
            return cls(0, np.zeros((0, vector_NE.shape[1])), np.zeros(0, np.int64))
        person_N = np.unique(label_N, return_inverse=True)[1]
        people = int(person_N.max()) + 1
        unit_N = units_for(people, -(-people // size), seed)[person_N]
        faces_U = np.bincount(unit_N)
        order_N = np.argsort(unit_N, kind="stable")
        first_U = np.cumsum(faces_U) - faces_U
        return cls(people, np.add.reduceat(vector_NE[order_N], first_U, axis=0, dtype=np.float64), faces_U)

    @property
    def faces(self) -> int:
        return int(self.faces_U.sum())

    @property
    def per_face(self) -> float:
        return float(_per_face(self.sum_UE.sum(0)[None], np.array([self.faces]))[0])


def _per_face(sum_RE: NDArray[np.float64], faces_R: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean squared distance of unit vectors from their mean."""
    squared_R = np.einsum("re,re->r", sum_RE, sum_RE) / np.maximum(faces_R, 1).astype(np.float64) ** 2
    per_face_R: NDArray[np.float64] = np.maximum(1 - squared_R, 0)
    return per_face_R


def _group(name: str, part: _Part, config: AuditConfig, bootstrap: BootstrapConfig) -> GroupSpread:
    withheld = config.too_small(part.people, part.faces)
    return GroupSpread(
        name=name,
        people=part.people,
        faces=part.faces,
        wss=None if withheld else part.per_face * part.faces,
        per_face=None if withheld else interval(part.per_face, _drawn(part, bootstrap), bootstrap),
        withheld=withheld,
    )


def _drawn(part: _Part, bootstrap: BootstrapConfig) -> NDArray[np.float64]:
    """Return the sum of squares of each face, people drawn anew.

    The mean of a draw lies nearer to the drawn than the true mean does; draws are moved by how much it does on average.
    """
    units = len(part.faces_U)
    rng = np.random.default_rng([bootstrap.seed, units])
    found = []
    for start in range(0, bootstrap.replicates, BATCH):
        size = min(BATCH, bootstrap.replicates - start)
        weight_RU = rng.multinomial(units, np.full(units, 1 / units), size).astype(np.float64)
        found.append(_per_face(weight_RU @ part.sum_UE, weight_RU @ part.faces_U))
    draw_R = np.concatenate(found)
    draw_R += part.per_face - draw_R.mean()
    return draw_R


def _permuted(parts: list[_Part], difference: float, bootstrap: BootstrapConfig) -> float:
    """Return how often groups differ as much when people are given groups at random."""
    sum_UE, faces_U = np.concatenate([part.sum_UE for part in parts]), np.concatenate([p.faces_U for p in parts])
    group_U = np.repeat(np.arange(len(parts)), [len(part.faces_U) for part in parts])
    rng = np.random.default_rng([bootstrap.seed, 2])
    as_many = 0
    for _ in range(bootstrap.replicates):
        onehot_GU = (rng.permutation(group_U) == np.arange(len(parts))[:, None]).astype(np.float64)
        as_many += _range(_per_face(onehot_GU @ sum_UE, onehot_GU @ faces_U)) >= difference - 1e-12
    return float((as_many + 1) / (bootstrap.replicates + 1))


def _range(value_G: Any) -> float:
    return float(np.max(value_G) - np.min(value_G))


def _similarity(parts: list[_Part], shown: list[bool]) -> tuple[tuple[float | None, ...], ...]:
    """Return the mean similarity of groups; a mean of products is the product of means."""
    sum_GE = np.stack([part.sum_UE.sum(0) for part in parts])
    faces_G = np.array([part.faces for part in parts])
    product_GG = sum_GE @ sum_GE.T - np.diag(faces_G)
    pairs_GG = np.outer(faces_G, faces_G) - np.diag(faces_G)
    pairs_GG = np.where(np.outer(shown, shown), pairs_GG, 0)  # within a group it is the sum of squares otherwise said
    return tuple(
        tuple(float(product) / int(pairs) if pairs else None for product, pairs in zip(*row, strict=True))
        for row in zip(product_GG, pairs_GG, strict=True)
    )
