"""Crowds of people who exist as embeddings only, with planted truth: splits, strangers, same shots, hard light.

The people are as unlike as random directions of a decaying spectrum, which is how real embeddings look. Faces come
in blocks of folders, each from a seed of its own, so that ten million can be written without being held.

Shape key: P people, F folders, N faces of a block, D numbers of an embedding.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from omokage import schema
from omokage.curate.gallery import COLUMNS, Gallery, labelled
from omokage.shards import Shard, write_shard
from omokage.storage import Folder
from omokage.store import Dataset, Head

FOLDERS_AT_ONCE = 64
"""Folders of a block."""

SIDE = 112
"""Of a chip, px."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """What to make."""

    folders: int = 100
    faces: int = 20
    """Of a folder."""
    dim: int = 128
    seed: int = 0
    splits: float = 0.05
    """Share of folders that show a person whom another folder shows too."""
    strangers: float = 0.02
    """Share of faces that are somebody else: half of them people of other folders, half people of none."""
    repeats: float = 0.05
    """Share of faces that are the shot of another face of the folder, saved again."""
    hard: float = 0.0
    """Share of faces in a light that makes different people look alike."""
    genuine: float = 0.65
    """Mean similarity of two faces of a person."""
    decay: float = 0.35
    """Of the spectrum; the bigger, the more alike strangers look."""
    chips: bool = False
    """Whether faces have pictures of their own, which cost 2 ms each."""

    centres_PD: NDArray[np.float32] = field(init=False)
    person_F: NDArray[np.int64] = field(init=False)
    """Whom a folder shows; the people of no folder follow after."""
    split_pairs: tuple[tuple[int, int], ...] = field(init=False)
    """Folders that show the same person, smaller number first."""

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 1])
        outsiders = max(8, self.folders // 8)
        centres_PD = rng.standard_normal((self.folders + outsiders, self.dim), np.float32) * self._spectrum()
        person_F = np.arange(self.folders)
        two = rng.permutation(self.folders)[: 2 * round(self.splits * self.folders / 2)].reshape(2, -1)
        person_F[two[1]] = two[0]
        object.__setattr__(self, "centres_PD", _unit(centres_PD))
        object.__setattr__(self, "person_F", person_F)
        object.__setattr__(self, "split_pairs", tuple(sorted((min(p), max(p)) for p in two.T.tolist())))

    def blocks(self) -> Iterator["Block"]:
        """Yield the faces, some folders at a time."""
        for start in range(0, self.folders, FOLDERS_AT_ONCE):
            yield self._block(np.arange(start, min(start + FOLDERS_AT_ONCE, self.folders)))

    def whole(self) -> "Block":
        """Return all faces at once."""
        blocks, start, parts = list(self.blocks()), 0, []
        for block in blocks:
            parts.append(np.where(block.original_N >= 0, block.original_N + start, -1))
            start += len(block.folder_N)
        joined = {
            name: np.concatenate([getattr(b, name) for b in blocks])
            for name in ("vectors_ND", "folder_N", "person_N", "hard_N", "number_N")
        }
        return Block(**joined, original_N=np.concatenate(parts))

    def name(self, folder: int) -> str:
        """Return a folder's name."""
        return f"{folder:06d} 人物"

    def write(self, url: str) -> Dataset:
        """Return a dataset of the crowd, in the way that an ingest would have left it."""
        head = Head(
            source="/crowd", recipe={"encoder": {"name": f"crowd-{self.decay}", "sha256": "0" * 64, "dim": self.dim}}
        )
        data = Dataset.open_or_create(Folder.at(url), head)
        manifests, shards = [], []
        for block in self.blocks():
            shard, manifest = self._shard(data.folder, block)
            shards.append(shard)
            manifests.append(manifest)
        return data.commit(pa.concat_tables(manifests), shards)

    def _spectrum(self) -> NDArray[np.float32]:
        spectrum_D = np.arange(1, self.dim + 1, dtype=np.float32) ** -self.decay
        return spectrum_D / np.linalg.norm(spectrum_D)

    def _block(self, folder_B: NDArray[np.int64]) -> "Block":
        rng = np.random.default_rng([self.seed, 2, int(folder_B[0])])
        folder_N = np.repeat(folder_B, self.faces)
        person_N = self.person_F[folder_N].copy()
        number_N = np.tile(np.arange(self.faces), len(folder_B))
        strange_N = (rng.random(len(folder_N)) < self.strangers) & (number_N > 0)
        others_N = np.where(
            rng.random(len(folder_N)) < 0.5,
            self.person_F[(folder_N + 1 + rng.integers(self.folders - 1, size=len(folder_N))) % self.folders]
            if self.folders > 1
            else len(self.centres_PD) - 1,
            rng.integers(self.folders, len(self.centres_PD), size=len(folder_N)),
        )
        person_N[strange_N] = others_N[strange_N]
        noise_ND = rng.standard_normal((len(folder_N), self.dim), np.float32) * self._spectrum()
        vectors_ND = _unit(self.centres_PD[person_N] + np.float32(np.sqrt(1 / self.genuine - 1)) * noise_ND)
        hard_N = rng.random(len(folder_N)) < self.hard
        light_D = _unit(np.random.default_rng([self.seed, 3]).standard_normal((1, self.dim), np.float32))
        vectors_ND[hard_N] = _unit(vectors_ND[hard_N] + np.float32(1.1) * light_D)
        original_N = np.full(len(folder_N), -1)
        again = np.flatnonzero((rng.random(len(folder_N)) < self.repeats) & (number_N > 1) & ~strange_N)
        for row in again:  # the shot of an earlier face that is no repeat itself
            first = row - number_N[row]
            earlier = [r for r in range(first, row) if original_N[r] < 0 and not strange_N[r]]
            original_N[row] = earlier[rng.integers(len(earlier))]
            slip_D = rng.standard_normal(self.dim, np.float32) * self._spectrum()
            vectors_ND[row] = _unit((vectors_ND[original_N[row]] + np.float32(0.12) * slip_D)[None])[0]
            hard_N[row] = hard_N[original_N[row]]
        return Block(vectors_ND, folder_N, person_N, hard_N, number_N, original_N)

    def _shard(self, folder: Folder, block: "Block") -> tuple[Shard, pa.Table]:
        count = len(block.folder_N)
        uris = [
            f"{self.name(f)}/{n:05d}.jpg" for f, n in zip(block.folder_N.tolist(), block.number_N.tolist(), strict=True)
        ]
        identities = [self.name(f) for f in block.folder_N.tolist()]
        shas = [
            f"{self.seed:08x}{f:016x}{n:016x}".ljust(64, "0")
            for f, n in zip(block.folder_N, block.number_N, strict=True)
        ]
        rng = np.random.default_rng([self.seed, 4, int(block.folder_N[0])])
        figures = {
            "score": rng.uniform(0.6, 1, count),
            "side": rng.uniform(60, 300, count),
            "sharpness": rng.uniform(0.2, 1, count),
            "exposure": rng.uniform(0.3, 0.7, count),
            "yaw": rng.normal(0, 15, count),
            "pitch": rng.normal(0, 8, count),
            "roll": rng.normal(0, 5, count),
        }
        columns: dict[str, pa.Array] = {
            "face_id": pa.array(
                [f"{self.seed:04x}{f:010x}{n:010x}" for f, n in zip(block.folder_N, block.number_N, strict=True)]
            ),
            "uri": pa.array(uris),
            "sha256": pa.array(shas),
            "identity": pa.array(identities),
            "box": schema.fixed(np.tile(np.float32([10, 10, 100, 100]), (count, 1))),
            "landmarks": schema.fixed(np.tile(np.arange(10, dtype=np.float32), (count, 1))),
            **{name: pa.array(values.astype(np.float32)) for name, values in figures.items()},
            "chip": pa.array(self._chips(block), pa.binary()),
            "embedding": schema.fixed(block.vectors_ND),
        }
        want = schema.face(self.dim)
        faces = pa.table([columns[name] for name in want.names], schema=want)
        pictures = pa.table(
            {
                "uri": uris,
                "identity": identities,
                "size": pa.array([1000] * count, pa.int64()),
                "stamp": ["1"] * count,
                "sha256": shas,
                "format": ["JPEG"] * count,
                "width": pa.array([300] * count, pa.int32()),
                "height": pa.array([300] * count, pa.int32()),
                "status": ["ok"] * count,
                "reason": pa.nulls(count, pa.string()),
                "found": pa.array([1] * count, pa.int32()),
                "kept": pa.array([1] * count, pa.int32()),
            },
            schema=schema.MANIFEST,
        )
        shard = write_shard(folder, pictures, faces, {}, 0.0)
        return shard, pictures.append_column(schema.SHARD, pa.array([shard.name] * count))

    def _chips(self, block: "Block") -> list[bytes]:
        if not self.chips:
            return [b""] * len(block.folder_N)
        shots: dict[int, Image.Image] = {}
        out = []
        for row in range(len(block.folder_N)):
            first = int(block.original_N[row])
            source = row if first < 0 else first
            if source not in shots:
                shots[source] = self._shot(
                    int(block.person_N[source]), int(block.folder_N[source]), int(block.number_N[source])
                )
            out.append(_jpeg(shots[source] if first < 0 else _again(shots[source], row), 92 if first < 0 else 60))
        return out

    def _shot(self, person: int, folder: int, number: int) -> Image.Image:
        """Return one shot: a face of smooth blots that are the person's, moved, lit and crossed by the shot's own."""
        mine, shot = (
            np.random.default_rng([self.seed, 5, person]),
            np.random.default_rng([self.seed, 6, folder, number]),
        )
        face = _blots(mine, 7) + 0.6 * _blots(shot, 6) + 0.25 * _blots(shot, 14)
        face = np.roll(face, shot.integers(-3, 4, 2), (0, 1))
        slope = np.linspace(-1, 1, SIDE)[None, :, None] * shot.uniform(-40, 40)
        return Image.fromarray(np.clip(128 + 45 * face + slope, 0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Block:
    """Faces, one row each."""

    vectors_ND: NDArray[np.float32]
    folder_N: NDArray[np.int64]
    person_N: NDArray[np.int64]
    """Who it really is."""
    hard_N: NDArray[np.bool_]
    number_N: NDArray[np.int64]
    """In its folder."""
    original_N: NDArray[np.int64]
    """Row of the face whose shot this is again; -1 for a shot of its own."""


def _unit(values_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    return values_ND / np.linalg.norm(values_ND, axis=1, keepdims=True)


def _blots(rng: np.random.Generator, cells: int) -> NDArray[np.float64]:
    small = Image.fromarray(np.clip(128 + 50 * rng.standard_normal((cells, cells, 3)), 0, 255).astype(np.uint8))
    return (np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float) - 128) / 50


def _again(shot: Image.Image, row: int) -> Image.Image:
    """Return a shot after it was made smaller, or cut and so aligned a little otherwise."""
    if row % 3 == 0:
        return shot.resize((60, 60), Image.Resampling.BILINEAR).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if row % 3 == 1:
        return shot.crop((1, 0, SIDE, SIDE - 1)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return shot


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def gallery(data: Dataset) -> Gallery:
    """Return a small dataset's faces, held in memory."""
    table = pa.concat_tables(data.faces()).combine_chunks()
    vectors_ND = schema.vectors(table["embedding"].combine_chunks(), data.dim)
    label_N, names = labelled(table["identity"], np.ones(table.num_rows, bool))

    def chips(rows: NDArray[np.int64]) -> list[bytes]:
        return table["chip"].take(pa.array(rows)).to_pylist()

    return Gallery(table.select(COLUMNS), vectors_ND, label_N, names, chips)
