"""Bytes to format and size, by content and never by name."""

import pyarrow as pa

from omokage import schema
from omokage.stages import base
from omokage.vision import codec


class Inspect:
    """Add ``format``, ``width`` and ``height``."""

    reads = schema.READ
    adds = schema.INSPECTED

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with what each file's header says; a reason where it is no picture."""
        headers: list[codec.Header | None] = []
        failed: list[str | None] = []
        for data, ok in zip(batch["data"].to_pylist(), base.good(batch), strict=True):
            header, reason = None, None
            if ok:
                try:
                    header = codec.read_header(data)
                except codec.PictureError as error:
                    reason = error.reason
            headers.append(header)
            failed.append(reason)
        columns = [[h and getattr(h, name) for h in headers] for name in self.adds.names]
        return base.append(base.fail(batch, failed), self.adds, columns)
