"""Memory that tensors give back stays with the process."""

import os
import subprocess
import sys

import pytest

from omokage.train.heap import KEPT

STEPS = """
import resource, threading
import torch

def steps():
    for _ in range(12):
        sum(torch.ones(1 << 24) for _ in range(2))  # 64 MB each

thread = threading.Thread(target=steps)  # as Ray's workers have it
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="these are settings of glibc")
def test_tensors_take_memory_that_others_gave_back() -> None:
    def pages(environ: dict[str, str]) -> int:
        code = "import resource, torch\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_minflt" + STEPS
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        return int(subprocess.check_output([sys.executable, "-c", code], env=kept | environ))

    new, kept = pages({}), pages(KEPT)
    assert new > 12 * 16_384  # pages of 4 KB: every tensor is new memory
    assert kept < new / 2
