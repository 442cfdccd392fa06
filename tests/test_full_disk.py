"""What a disk that nothing can be written to makes of commands: words for a person, never a traceback."""

import json
import os
import subprocess
import sys

import pytest

from crowd import Crowd
from omokage.ledger.version import freeze

VERBS = (
    ["version", "--name", "v2"],
    ["find"],
    ["evaluate"],
    ["export", "webdataset", "out"],
    ["export", "parquet", "out.parquet"],
    ["report", "card.html"],
)


@pytest.fixture
def frozen_disk(tmp_path):
    """A dataset on a disk that is mounted for reading."""
    place = tmp_path / "disk"
    data = Crowd(folders=3, faces=3, dim=8, chips=True).write(str(place / "data"))
    freeze(data, "v1")
    mounts = f"mount --bind {place} {place} && mount -o remount,ro,bind {place} && cd {place} && "
    words = ["unshare", "--mount", "sh", "-c", mounts + 'exec "$@"', "sh"]
    if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    return words


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb))
def test_a_disk_that_cannot_be_written_to_is_told_in_words(frozen_disk, verb):
    given = [verb[0], *verb[1:2], "data", *verb[2:]] if verb[0] == "export" else [verb[0], "data", *verb[1:]]
    ran = subprocess.run(
        [*frozen_disk, sys.executable, "-m", "omokage", *given, "--json"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, "Traceback" in ran.stderr) == (1, False), ran.stderr
    assert "Read-only file system" in json.loads(ran.stdout)["error"]
