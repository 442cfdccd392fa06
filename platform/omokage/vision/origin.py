"""Where a vector comes from: all of an encoder that decides on its numbers. Vectors of two origins never compare."""

from typing import Any

from omokage.vision.crop import Crop
from omokage.vision.encoder import EncoderSpec


def origin(spec: EncoderSpec) -> dict[str, Any]:
    """Return an encoder in the words of a dataset's recipe, as plain values.

    Raises:
        ConfigError: No face can be cut for it.
        WeightsError: Its weights file is not there.
    """
    return {
        "name": spec.name,
        "sha256": spec.sha256(),
        "dim": spec.dim,
        "crop": Crop.of(spec).tag,
        "pixels": [spec.colour, spec.scale, list(spec.mean), list(spec.std)],
        "output": spec.output_name,
    }
