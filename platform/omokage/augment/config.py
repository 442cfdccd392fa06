"""How training pictures are altered: a field for each kind of change."""

from dataclasses import dataclass, fields

from omokage.errors import ConfigError

LARGEST_LENS = 0.5
"""Beyond, a lens would show some points of a frame twice."""

_LIMITS = {
    "flip": (0.0, 1.0),
    "rotate": (0.0, 180.0),
    "crop": (0.0, 0.5),
    "jitter": (0.0, 1.0),
    "blur": (0.0, 1.0),
    "jpeg": (0.0, 1.0),
    "occlusion": (0.0, 1.0),
    "lens": (0.0, LARGEST_LENS),
    "lens_frame": (1.0, 10.0),
    "strength": (0.0, 4.0),
}
"""The least and the largest value of each field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """How pictures are altered before the network sees them in training, and only there. 0 leaves a change out."""

    flip: float = 0.5
    """Share of pictures that are mirrored, 0 to 1."""

    rotate: float = 8.0
    """Largest turn to either side, in degrees, 0 to 180."""

    crop: float = 0.08
    """Largest zoom in or out, as a share, 0 to 0.5; the picture shifts by up to half as much, in sides of it."""

    jitter: float = 0.25
    """Largest change of brightness, contrast and saturation as a share, 0 to 1; hue turns by up to a tenth of it."""

    blur: float = 0.1
    """Share of pictures that are blurred, 0 to 1."""

    jpeg: float = 0.1
    """Share of pictures that are stored as a poor JPEG and read back, 0 to 1."""

    occlusion: float = 0.1
    """Share of pictures of which a rectangle is covered, 0 to 1."""

    lens: float = 0.1
    """Largest lens distortion C to either side, 0 to 0.5: barrel above 0, pincushion below."""

    lens_frame: float = 2.0
    """Side of the frame that the lens saw, in sides of the picture, 1 to 10; a face stands anywhere in it, and is
    distorted more at its border. 1: the face fills the frame."""

    strength: float = 1.0
    """Multiplies every amount and share, 0 to 4; 0 leaves pictures as they are."""

    def __post_init__(self) -> None:
        """Reject what no picture can be altered by."""
        for field in fields(self):
            value, (least, most) = getattr(self, field.name), _LIMITS[field.name]
            if not least <= value <= most:  # also NaN
                raise ConfigError(f"augment.{field.name} must lie in {least:g} to {most:g}, got {value:g}")

    def share(self, name: str) -> float:
        """Return how many of the pictures a change is made to, after ``strength``.

        Never more are mirrored than were asked for: all of them would be as one-sided as none.
        """
        value: float = getattr(self, name)
        return value * min(self.strength, 1.0) if name == "flip" else min(1.0, value * self.strength)

    def amount(self, name: str) -> float:
        """Return the largest amount of a change, after ``strength``."""
        value: float = getattr(self, name)
        return min(_LIMITS[name][1], value * self.strength)
