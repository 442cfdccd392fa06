"""A bucket on an S3 server in memory, for tests that ask little of it; ``s3_server`` starts a real one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer


@contextmanager
def bucket(name: str) -> Iterator[Any]:
    """Yield the files of a new server with one bucket, which the environment leads to while the block runs."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        patch.setenv("AWS_ACCESS_KEY_ID", "a")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        fsspec.filesystem("s3").clear_instance_cache()
        files = fsspec.filesystem("s3", use_listings_cache=False)
        files.mkdir(name)
        yield files
        files.clear_instance_cache()
    server.stop()
