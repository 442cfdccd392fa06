"""What a figure was measured on, and with."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "omokage",
    "ray",
    "pyarrow",
    "numpy",
    "opencv-contrib-python",
    "ai-edge-litert",
    "openvino",
    "onnxruntime",
    "pillow",
    "faiss-cpu",
    "torch",
    "scikit-learn",
)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def keep_to(count: int) -> None:
    """Let this process and what it starts use ``count`` cores only."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def name() -> str:
    """Return the hardware in a few letters, for a file name."""
    model = re.sub(r"\((R|TM)\)|CPU|Processor|@.*", " ", _field("/proc/cpuinfo", "model name"))
    return re.sub(r"[^a-z0-9]+", "-", f"{model} {cores()} cores".lower()).strip("-")


def lines() -> list[str]:
    """Return what a reader must know of hardware, versions and load."""
    memory_gb = int(_field("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    model, family = (_field("/proc/cpuinfo", key) for key in ("model name", "cpu family"))
    changed = ", with changes" if _git("status", "--porcelain", "--", "platform", "tests/bench/*.py") else ""
    return [
        f"- Commit: {_git('rev-parse', '--short=12', 'HEAD')}{changed}",
        f"- Cores: {cores()} of {model}, family {family}",
        f"- Memory: {memory_gb:.1f} GB; {platform.system()} {platform.release()}; Python {platform.python_version()}",
        f"- Versions: {', '.join(f'{package} {metadata.version(package)}' for package in PACKAGES)}",
    ]


def load() -> float:
    """Return how many processes wanted a core, on average over the last minute."""
    return os.getloadavg()[0]


def _field(file: str, key: str) -> str:
    found = re.search(rf"^{key}\s*:\s*(.*)$", Path(file).read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
