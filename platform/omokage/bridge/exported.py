"""What every export reports, and how it writes a file that is streamed: whole or not at all."""

import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from omokage.bridge.remarks import remarks
from omokage.sheet.words import count
from omokage.storage import Folder


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What an export wrote."""

    dataset: str
    version: str | None
    """None: the dataset as it is decided now."""
    format: str
    out: str
    files: int
    faces: int
    identities: int
    left_out: dict[str, int] = field(default_factory=dict)
    """Faces or pictures that are not in it, by reason."""
    refused: dict[str, str] = field(default_factory=dict)
    """Files that were not written, and why."""
    warnings: tuple[str, ...] = ()
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        return "\n".join(
            [
                f"{self.out}: {self.faces:,} faces of {self.identities:,} identities as {self.format}, "
                f"{count(self.files, 'file')}, {self.seconds:,.1f} s",
                *remarks(self.left_out, self.refused, self.warnings),
            ]
        )


@contextmanager
def streamed(folder: Folder, name: str) -> Iterator[Path]:
    """Give a path to write to; when the block ends well, what is there becomes the folder's file ``name``.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    if folder.local:
        target = Path(folder.place(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        path = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            yield path
            folder.take(path, name)
        finally:
            path.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory() as beside:
        path = Path(beside) / "file"
        yield path
        folder.take(path, name)
