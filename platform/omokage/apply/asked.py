"""What of a dataset is to be applied."""

from dataclasses import dataclass

import pyarrow as pa

from omokage.ledger.version import faces_of, opened
from omokage.store import Dataset


@dataclass(frozen=True, slots=True)
class Asked:
    """A dataset, and which of its decisions."""

    data: Dataset
    version: str | None
    """Frozen version; None for the decisions as they stand."""

    @classmethod
    def at(cls, address: str) -> "Asked":
        """Return what "DATASET" or "DATASET@v2" asks for.

        Raises:
            DatasetError: There is no such dataset or version.
        """
        return cls(*opened(address))

    def faces(self) -> pa.Table:
        """Return every face after the decisions, columns ``schema.VERSION``."""
        return faces_of(self.data, self.version)
