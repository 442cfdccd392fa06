"""Numbers and memory layout in which a network runs, chosen by what the hardware does well.

Measured (tf_efficientnetv2_b0, 224 px, two cores of a CPU without bf16 units): float32 10.7 images/s, with channels
last 12.8, with bf16 autocast 1.3. So a CPU computes in float32 unless it has matrix units for bf16 (AMX).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch

from omokage.errors import ConfigError

Kind = Literal["auto", "float32", "bf16", "fp16"]

AMX: Final = "amx_bf16"
"""The flag of a CPU with matrix units for bf16."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How a network runs."""

    kind: Literal["float32", "bf16", "fp16"]
    layout: torch.memory_format
    why: str
    """What it was chosen by, for the report."""

    @property
    def autocast(self) -> torch.dtype | None:
        """What operations that can do with less compute in; None: all in float32."""
        return {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.kind]

    @property
    def scaled(self) -> bool:
        """Whether losses must be scaled, or small gradients would become zero."""
        return self.kind == "fp16"


def choose(kind: Kind, channels_last: bool, device: torch.device) -> Precision:
    """Return how a network runs on ``device``.

    Raises:
        ConfigError: The device cannot do what was asked for.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    if kind != "auto":
        if kind == "fp16" and device.type == "cpu":
            raise ConfigError("precision fp16 is for GPUs: take float32, or bf16 on a CPU with units for it")
        return Precision(kind, layout, "asked for")
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bf16", layout, f"{name} computes bf16")
        return Precision("fp16", layout, f"{name} computes fp16 and no bf16")
    flags = cpu_flags()
    if AMX in flags:
        return Precision("bf16", layout, f"the CPU has the flag {AMX}")
    return Precision("float32", layout, f"the CPU lacks the flag {AMX}")


def cpu_flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return what the CPU says that it can do, in Linux's words; nothing where that is not known."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))
