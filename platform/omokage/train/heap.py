"""How a process that trains keeps its memory."""

from typing import Final

KEPT: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 40),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
}
"""For glibc, read when a process starts: what a tensor gives back is kept for the next one, and all threads share it.

By default each large tensor is new memory, which the kernel fills with zeros first. A step of EfficientNetV2-B0 on 64
pictures of 224 px took 1.2 million such pages, and up to half of its time."""
