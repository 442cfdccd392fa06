"""Picture files of every kind that people have: one visible table from a name to a writer.

A writer takes RGB pixels, (H, W, 3) uint8, and a quality in [1, 100] that only lossy formats use, and returns
a file's bytes.
Same pixels, same bytes.
"""

import io
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from omokage.errors import OmokageError

Picture = NDArray[np.uint8]

ORIENTATION_TAG: Final = 0x0112


def jpeg(picture: Picture, quality: int) -> bytes:
    """Return a plain JPEG."""
    return _cv2(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def png(picture: Picture, quality: int) -> bytes:
    """Return an 8-bit RGB PNG."""
    return _cv2(".png", picture[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])


def png_16bit(picture: Picture, quality: int) -> bytes:
    """Return a PNG with 16 bits a channel."""
    return _cv2(".png", picture[:, :, ::-1].astype(np.uint16) * 257, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def png_grey(picture: Picture, quality: int) -> bytes:
    """Return a PNG with one channel."""
    return _pil(Image.fromarray(picture).convert("L"), "PNG", compress_level=3)


def png_palette(picture: Picture, quality: int) -> bytes:
    """Return a PNG with 256 colours."""
    return _pil(Image.fromarray(picture).quantize(256), "PNG", compress_level=3)


def png_alpha(picture: Picture, quality: int) -> bytes:
    """Return a PNG whose corners are transparent; the pixels under them are kept."""
    height, width = picture.shape[:2]
    row, column = np.ogrid[:height, :width]
    edge = np.minimum(np.minimum(row, height - 1 - row) + np.minimum(column, width - 1 - column), 255)
    alpha = np.clip(edge * (2550 // max(1, min(height, width))), 0, 255).astype(np.uint8)
    return _pil(Image.fromarray(np.dstack([picture, alpha])), "PNG", compress_level=3)


def jpeg_grey(picture: Picture, quality: int) -> bytes:
    """Return a JPEG with one channel."""
    return _pil(Image.fromarray(picture).convert("L"), "JPEG", quality=quality)


def jpeg_cmyk(picture: Picture, quality: int) -> bytes:
    """Return a JPEG for printers."""
    return _pil(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=quality)


def jpeg_turned(picture: Picture, quality: int) -> bytes:
    """Return a JPEG stored lying on its side, with EXIF orientation 6: viewers turn it upright."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    return _pil(Image.fromarray(np.ascontiguousarray(np.rot90(picture))), "JPEG", quality=quality, exif=exif)


def webp(picture: Picture, quality: int) -> bytes:
    """Return a lossy WebP."""
    return _pil(Image.fromarray(picture), "WEBP", quality=quality, method=2)


def gif(picture: Picture, quality: int) -> bytes:
    """Return a GIF of two frames; the second is blank."""
    blank = Image.new("RGB", (picture.shape[1], picture.shape[0]), (90, 90, 90)).quantize(2)
    return _pil(Image.fromarray(picture).quantize(256), "GIF", save_all=True, append_images=[blank], duration=200)


def bmp(picture: Picture, quality: int) -> bytes:
    """Return a BMP."""
    return _pil(Image.fromarray(picture), "BMP")


def tiff(picture: Picture, quality: int) -> bytes:
    """Return a TIFF without compression."""
    return _pil(Image.fromarray(picture), "TIFF")


FORMATS: Final[dict[str, tuple[str, Callable[[Picture, int], bytes]]]] = {
    "jpeg": (".jpg", jpeg),
    "png": (".png", png),
    "webp": (".webp", webp),
    "gif": (".gif", gif),
    "bmp": (".bmp", bmp),
    "tiff": (".tif", tiff),
    "jpeg_turned": (".jpeg", jpeg_turned),
    "jpeg_cmyk": (".JPG", jpeg_cmyk),
    "jpeg_grey": (".jpg", jpeg_grey),
    "png_grey": (".png", png_grey),
    "png_palette": (".PNG", png_palette),
    "png_alpha": (".png", png_alpha),
    "png_16bit": (".png", png_16bit),
}
"""Name: usual ending of the file's name, and writer."""


def _cv2(ending: str, pixels: NDArray[np.uint8] | NDArray[np.uint16], options: list[int]) -> bytes:
    done, data = cv2.imencode(ending, pixels, options)
    if not done:
        raise OmokageError(f"OpenCV cannot write a {ending} picture of shape {pixels.shape}")
    return data.tobytes()


def _pil(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
