"""What JPEG does, against real JPEG as OpenCV writes and reads it."""

import cv2
import numpy as np
import pytest
import torch

from omokage.augment import jpeg
from omokage.augment.batch import Some, changed

QUALITIES = (5, 20, 35, 50, 75, 90, 100)


def picture(height, width):
    """Return smooth colours, sharp edges and noise, in whole steps; shape (H, W, 3)."""
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.random((height, width, 3)).astype(np.float32), (0, 0), 5)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    smooth[height // 3 : height // 2, width // 4 : width // 2] = (0.9, 0.1, 0.2)
    return np.clip(np.rint(255 * smooth + rng.normal(0, 4, smooth.shape)), 0, 255).astype(np.uint8)


def really(given, quality):
    how = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    _, data = cv2.imencode(".jpg", given[:, :, ::-1], how)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1].astype(np.float64)


def psnr(one, two):
    return 10 * np.log10(255**2 / max(np.mean((one - two) ** 2), 1e-9))


def by_file(pixels, quality_B):
    return changed(pixels, [Some(list(range(len(pixels))), jpeg.by_blocks, jpeg.by_file, quality_B)])


@pytest.mark.parametrize("stored", [by_file, jpeg.by_blocks])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 83), (7, 33), (1, 1)])
def test_as_real_jpeg(height, width, stored):
    given = picture(height, width) if min(height, width) > 8 else picture(40, 40)[:height, :width]
    pixels = torch.from_numpy(given).permute(2, 0, 1)[None].float().repeat(len(QUALITIES), 1, 1, 1) / 255
    kept = pixels.clone()
    found = stored(pixels, torch.tensor(QUALITIES, dtype=torch.float64))
    assert torch.equal(pixels, kept)
    assert found.min() >= 0 and found.max() <= 1
    for quality, seen in zip(QUALITIES, found, strict=True):
        ours, theirs = (seen * 255).permute(1, 2, 0).double().numpy(), really(given, quality)
        assert np.abs(ours - np.rint(ours)).max() < 1e-4
        # Where a picture is tiny, one coefficient that is rounded the other way is much of it
        assert psnr(ours, theirs) > (42 if height > 8 else 36), quality
        if height > 8:
            assert psnr(ours, given) == pytest.approx(psnr(theirs, given), abs=0.1), quality


@pytest.mark.parametrize("stored", [by_file, jpeg.by_blocks])
def test_each_picture_has_its_own_quality(stored):
    pixels = torch.from_numpy(picture(32, 48)).permute(2, 0, 1)[None].float() / 255
    both = stored(pixels.repeat(2, 1, 1, 1), torch.tensor([10.0, 90.0]))
    for row, quality in enumerate((10.0, 90.0)):
        assert torch.equal(both[row : row + 1], stored(pixels, torch.tensor([quality])))
    assert (both[0] - pixels[0]).abs().mean() > 2 * (both[1] - pixels[0]).abs().mean()
