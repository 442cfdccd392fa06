"""Crops to unit embeddings."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from omokage import schema
from omokage.stages import base
from omokage.vision import runtimes
from omokage.vision.embedder import Embedder
from omokage.vision.encoder import EncoderSpec

FACES_AT_ONCE = 256
"""Bounds the encoder's float input: 256 faces of 224 px are 154 MB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeConfig:
    """Which encoder, and what runs it."""

    spec: EncoderSpec
    runtime: str
    """A name of ``vision.runtimes``, chosen once by the driver."""
    threads: int = 1
    """Cores to keep busy."""


class Encode:
    """Add ``embedding``, one a face, and take ``crop`` away: nobody reads it any more."""

    reads = pa.unify_schemas([schema.DETECTED, schema.ALIGNED])

    def __init__(self, config: EncodeConfig) -> None:
        self.spec = config.spec
        self.adds = pa.schema([pa.field("embedding", pa.list_(schema.embedding(config.spec.dim)))])
        self.embed = Embedder(config.spec, runtimes.load(config.runtime, config.spec, threads=config.threads))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with embeddings; ``not_encoded`` where a face of the picture has none."""
        count_N = schema.counts(batch)
        crops = schema.flat(batch["crop"])
        size = self.spec.input_size
        vectors_FD = np.zeros((len(crops), self.spec.dim), np.float32)
        usable_F = np.ones(len(crops), bool)
        for start in range(0, len(crops), FACES_AT_ONCE):
            part = slice(start, start + FACES_AT_ONCE)
            pixels = [np.frombuffer(c.as_buffer(), np.uint8).reshape(size, size, 3) for c in crops[part]]
            vectors_FD[part], usable_F[part] = self.embed(np.stack(pixels))
        owner_F = np.repeat(np.arange(len(count_N)), count_N)
        spoilt = set(owner_F[~usable_F].tolist())
        failed = ["not_encoded" if row in spoilt else None for row in range(len(count_N))]
        batch = base.fail(batch, failed)
        column = schema.per_picture(schema.fixed(vectors_FD), count_N, base.good(batch))
        return base.append(batch.drop_columns(["crop"]), self.adds, [column])
