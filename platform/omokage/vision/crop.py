"""What an encoder sees of a face: cut out of the picture by landmarks, at the size that the encoder takes.

Shape key: H W picture, 5 landmarks of 2 coordinates, 4 box corners x0 y0 x1 y1, S side of what the encoder takes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omokage.vision import codec, geometry
from omokage.vision.encoder import EncoderSpec
from omokage.vision.geometry import Template
from omokage.vision.shrink import square


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """How a face is cut for an encoder."""

    template: Template
    """How it is cut out of the picture."""

    size: int
    """Side that the encoder takes, px; what was cut at another is averaged down, or enlarged, to it."""

    jpeg: int | None = None
    """Quality of the JPEG through which what was cut goes before that; None: none."""

    @classmethod
    def of(cls, spec: EncoderSpec) -> "Crop":
        """Return how an encoder wants to see a face.

        Raises:
            ConfigError: No face can be cut so.
        """
        template = Template(name=spec.template, size=spec.cut or spec.input_size, padding=spec.padding)
        return cls(template=template, size=spec.input_size, jpeg=spec.jpeg)

    @property
    def tag(self) -> str:
        """Everything that decides on its pixels, such as ``arcface-1/112/0``, or ``dlib-1/224/0.1+jpeg95>112``."""
        coded = f"+jpeg{self.jpeg}" if self.jpeg else ""
        return self.template.tag + coded + (f">{self.size}" if self.template.size != self.size else "")

    def __call__(
        self, picture: NDArray[np.uint8], landmarks_52: NDArray[np.float32], box_4: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """Return a face of an RGB picture as the encoder takes it. Shape (S, S, 3).

        Raises:
            GeometryError: The landmarks fit no template.
        """
        cut = geometry.cut(self.template, picture, landmarks_52, box_4)
        if self.jpeg is not None:
            cut = codec.decode(codec.encode_jpeg(cut, self.jpeg))
        return square(cut, self.size)
