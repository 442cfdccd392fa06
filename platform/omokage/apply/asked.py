"""What of a dataset is to be applied."""

from dataclasses import dataclass

import pyarrow as pa

from omokage.ledger import version
from omokage.store import Dataset


@dataclass(frozen=True, slots=True)
class Asked:
    """A dataset, and which of its decisions."""

    data: Dataset
    version: str | None
    """Frozen version; None for the decisions as they stand."""

    @classmethod
    def at(cls, place: str) -> "Asked":
        """Return what "DATASET" or "DATASET@v2" asks for.

        Raises:
            DatasetError: There is no such dataset or version.
        """
        url, name = version.parse(place)
        return cls(Dataset.open(url), name)

    def faces(self) -> pa.Table:
        """Return every face after the decisions, columns ``schema.VERSION``."""
        if self.version is None:
            return version.current(self.data)
        return version.Version.open(self.data, self.version).faces()
