"""Nothing phones home: what a whole ingest says to whom, as the kernel sees it."""

import ipaddress
import re
import shutil
import subprocess

import cv2
import pytest

from conftest import DEADLINE, command
from omokage.stages.isolate import can_block_network
from omokage.synth.portrait import portrait

pytestmark = [
    pytest.mark.ray,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

TO = re.compile(r'(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
"""The address in one line of strace: of a peer in connect, sendto and sendmsg, of our own in bind."""


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Four pictures."""
    root = tmp_path_factory.mktemp("few")
    for number in range(4):
        drawn = cv2.cvtColor(portrait(5, number, 0, 256).picture, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(root / f"{number}.jpg"), drawn)
    return root


def addresses(calls, log, besides=""):
    """Return the addresses that appear in some kinds of system calls, ``besides`` those that ended in this error."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if any(f" {c}(" in line for c in calls)]
    return {address for line in lines if not besides or besides not in line for address in TO.findall(line)}


def is_loopback(address):
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


@pytest.mark.parametrize("detector", ["mediapipe", "mediapipe-tasks"])
def test_an_ingest_talks_to_this_machine_only(few, tmp_path, detector):
    if detector == "mediapipe-tasks" and not can_block_network():
        pytest.skip("this kernel lets no process give up its network")
    log = tmp_path / "calls.txt"
    traced = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg,bind", "-o", str(log)]
    ingest = command("ingest", few, tmp_path / "dataset", "--detector", detector, "--workers", "1", "--json")
    done = subprocess.run([*traced, *ingest], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    # The mediapipe package may try to report to its maker, but from a namespace in which no address can be reached.
    tried = "ENETUNREACH" if detector == "mediapipe-tasks" else ""
    spoken = addresses(("connect", "sendto", "sendmsg", "sendmmsg"), log, besides=tried)
    assert "127.0.0.1" in spoken, "strace saw nothing, not even Ray"
    assert {address for address in spoken if not is_loopback(address)} == set()
    heard = addresses(("bind",), log)
    assert {address for address in heard if not is_loopback(address)} == set()
