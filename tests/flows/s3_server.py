"""SeaweedFS as an S3 server on loopback: signed requests, wrong keys refused, nothing shared with other runs."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import s3fs

START_SECONDS = 60
GRPC = 10_000
"""SeaweedFS serves gRPC this far above each of its ports."""


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Run a server with its data in ``folder``, and yield the environment in which AWS clients find it."""
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    may = {"name": "tests", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [may]}))
    s3, master, volume, filer = free_ports(4)
    command = [Path(sys.executable).with_name("weed"), "server", f"-dir={folder}", "-s3", f"-s3.port={s3}"]
    command += [f"-s3.config={folder / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=99"]
    command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    command += ["-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with (folder / "log.txt").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _wait(server, env, folder)
        yield env
    finally:
        s3fs.S3FileSystem.clear_instance_cache()  # or the next server's tests would be sent to this one
        server.kill()  # it takes its time to end in order, and its data ends with the test
        server.wait()


def client(env: dict[str, str]) -> s3fs.S3FileSystem:
    """Return a client of our own, apart from the cached ones that the program uses."""
    return s3fs.S3FileSystem(
        key=env["AWS_ACCESS_KEY_ID"],
        secret=env["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=env["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def free_ports(count: int) -> list[int]:
    """Return ports that are free on loopback, each with the one ``GRPC`` above it."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as low, socket.socket() as high:
            low.bind(("127.0.0.1", 20_000 + secrets.randbelow(10_000)))
            port = low.getsockname()[1]
            try:
                high.bind(("127.0.0.1", port + GRPC))
            except OSError:
                continue
        ports.append(port)
    return ports


def _wait(server: subprocess.Popen[bytes], env: dict[str, str], folder: Path) -> None:
    """Return when the server stores and returns an object."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            files = client(env)
            files.mkdir("ready")
            files.pipe_file("ready/x", os.urandom(9))
        except OSError as error:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError((folder / "log.txt").read_text()[-2000:]) from error
            time.sleep(0.2)
        else:
            return
