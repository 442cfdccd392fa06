"""A dataset of embeddings that were made elsewhere. It says so, and so is never compared with what we encoded.

Of such faces little is known. What the other program did not say is zero (box, landmarks, score, quality) or empty
(chip). Where the picture was not read, its sha256 is "unknown:" and an id, so that two are never taken for one file.

Shape key: N rows, D numbers of an embedding.
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.bridge.remarks import remarks
from omokage.report import by_status, tally
from omokage.shards import Shard, write_shard
from omokage.storage import Folder
from omokage.store import Dataset, Head

FOREIGN: Final = "foreign:"
"""How the names of encoders begin that are not ours."""

UNKNOWN: Final = "unknown:"
"""How what stands in place of a sha256 begins where no file is known that it could be of."""

SHORTEST: Final = 1e-6
"""Length below which a vector is no direction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What an import read, and what the dataset now holds."""

    source: str
    dataset: str
    encoder: str
    dim: int
    pictures: int
    """Every one has a row in the manifest."""
    status: dict[str, int]
    reasons: dict[str, int]
    identities: int
    faces: int
    left_out: dict[str, int] = field(default_factory=dict)
    """Vectors that are not in the dataset, by reason."""
    refused: dict[str, str] = field(default_factory=dict)
    """Files that could not be taken, and why."""
    warnings: tuple[str, ...] = ()
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        return "\n".join(
            [
                f"{self.source}: {self.faces:,} faces of {self.identities:,} identities, {self.pictures:,} pictures",
                *(f"  {name:<30}{count:>9,}" for name, count in self.reasons.items()),
                *remarks(self.left_out, self.refused, self.warnings),
                f"Encoder {self.encoder}, {self.dim} numbers a face: comparable only with vectors of the same import",
                f"Dataset: {self.dataset}, {self.seconds:,.1f} s",
            ]
        )


def head(source: str, encoder: str, origin: str, dim: int, chip: str = "unknown") -> Head:
    """Return the head of a dataset of foreign vectors.

    Args:
        source: Where they come from.
        encoder: What the user, or the format, calls their encoder.
        origin: What else two sets must have in common for their vectors to be compared.
        dim: Length of a vector.
        chip: What the chips are.
    """
    return Head(
        source=source,
        recipe={
            "encoder": {
                "name": FOREIGN + encoder,
                "sha256": UNKNOWN + hashlib.sha256(f"{encoder}\n{origin}".encode(errors="surrogatepass")).hexdigest(),
                "dim": dim,
                "crop": "unknown",
            },
            "detector": {"name": "unknown", "weights": {}, "min_score": 0.0, "min_side": 0.0},
            "faces": "all",
            "chip": chip,
        },
        runtime="unknown",
    )


@dataclass(slots=True)
class Intake:
    """Takes batches of rows, and makes them a dataset's content at the end.

    Nothing that the dataset held is touched before ``commit``. Shards are named by what is in them, so an import that
    was killed and runs again writes the same ones.
    """

    data: Dataset
    shards: list[Shard] = field(default_factory=list)
    manifests: list[pa.Table] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    names: set[str] = field(default_factory=set)

    def take(self, pictures: pa.Table, faces: pa.Table) -> None:
        """Write a shard of some pictures (``MANIFEST``) and their faces (``face(dim)``)."""
        if not pictures.num_rows:
            return
        shard = write_shard(self.data.folder, pictures, faces, {}, 0.0)
        if shard.name in self.names:
            self.left_out["repeated"] += faces.num_rows  # the same rows once more
            return
        self.names.add(shard.name)
        self.shards.append(shard)
        self.manifests.append(pictures.append_column(schema.SHARD, pa.array([shard.name] * pictures.num_rows)))

    def commit(self) -> Dataset:
        """Return the dataset with all that was taken as its content."""
        empty = schema.MANIFEST.append(schema.SHARD).empty_table()
        return self.data.commit(pa.concat_tables([empty, *self.manifests]), self.shards)


def report(intake: Intake, after: Dataset, seconds: float, **more: Any) -> ImportReport:
    """Return what an import did."""
    manifest = after.manifest()
    return ImportReport(
        source=after.head.source,
        dataset=after.folder.url,
        encoder=after.head.recipe["encoder"]["name"],
        dim=after.dim,
        pictures=manifest.num_rows,
        status=by_status(manifest),
        reasons=tally(manifest["reason"]),
        identities=int(pc.count_distinct(manifest["identity"]).as_py()),
        faces=sum(shard.faces for shard in after.head.shards),
        left_out=dict(intake.left_out.most_common()),
        seconds=round(seconds, 3),
        **more,
    )


def created(url: str, head: Head) -> Dataset:
    """Return the dataset at ``url``, made now if there is none.

    Raises:
        DatasetError: There is one of another kind, or from another source.
    """
    return Dataset.open_or_create(Folder.at(url), head)


def unit(vectors_ND: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the vectors at length 1, and which of them are a direction: finite, and not zero."""
    whole_ND = vectors_ND.astype(np.float64)  # squares of big float32 numbers overflow
    with np.errstate(all="ignore"):
        length_N = np.sqrt(np.einsum("nd,nd->n", whole_ND, whole_ND))
        good_N = np.isfinite(length_N) & (length_N > SHORTEST)
        return (whole_ND / np.where(good_N, length_N, 1)[:, None]).astype(np.float32), good_N


def faces(known: dict[str, pa.Array], vectors_ND: NDArray[np.float32]) -> pa.Table:
    """Return rows of ``face(dim)``: what is known of them, and zero or nothing for the rest.

    ``known`` has face_id, uri, sha256 and identity, and may have any other column.
    """
    want = schema.face(vectors_ND.shape[1])
    known = known | {"embedding": schema.fixed(vectors_ND)}
    columns = [known[f.name] if f.name in known else nothing(f.type, len(vectors_ND)) for f in want]
    return pa.table(columns, schema=want)


def nothing(kind: pa.DataType, count: int) -> pa.Array:
    """Return a column that says nothing: zeros, or empty chips."""
    if pa.types.is_fixed_size_list(kind):
        return schema.fixed(np.zeros((count, kind.list_size), np.float32))
    if pa.types.is_binary(kind):
        return pa.array([b""] * count, kind)
    return pa.array(np.zeros(count, np.float32), kind)
