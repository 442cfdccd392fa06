"""A Ray cluster of one node as ``ray start`` makes it: on loopback, with a token, ended by its token."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s3_server import free_ports

RAY = Path(sys.executable).with_name("ray")

START_SECONDS = 120


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Run a head with two CPUs, and yield the environment in which its clients find it and are let in."""
    port, dashboard, agent, client = free_ports(4)
    temp = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    env = os.environ | {
        "PATH": f"{RAY.parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else 127.0.0.1 is taken for the machine's outer address
        "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # Ray reports even that reporting is off
    }
    command = [RAY, "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats", f"--temp-dir={temp}"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--port={port}"]
    command += [f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
    command += ["--min-worker-port=0", "--max-worker-port=0", f"--ray-client-server-port={client}"]
    command += [f"--object-store-memory={200 << 20}"]
    log = Path(temp) / "head.txt"
    with log.open("wb") as out:
        head = subprocess.Popen(
            list(map(str, command)), env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        _wait(head, f"{address}/api/version", env["RAY_AUTH_TOKEN"], log)
        yield env | {"RAY_API_SERVER_ADDRESS": address}
    finally:
        _kill_all(env["RAY_AUTH_TOKEN"])
        head.wait()
        shutil.rmtree(temp, ignore_errors=True)


def _kill_all(token: str) -> None:
    """End every process of the cluster; its token is in their environment and in nobody else's."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and token.encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


def _wait(head: subprocess.Popen[bytes], url: str, token: str, log: Path) -> None:
    """Return when the dashboard answers to the token."""
    end = time.monotonic() + START_SECONDS
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    while True:
        try:
            urllib.request.urlopen(request, timeout=5)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{url} refuses the token") from error
        except OSError as error:
            if head.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the head did not come up: {log.read_text()[-2000:]}") from error
            time.sleep(0.2)
        else:
            return
