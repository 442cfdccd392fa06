"""What OpenCV computes on CPUs is what torch computes elsewhere."""

import pytest
import torch

from omokage.augment import blur, colour, cpu, geometry

SIZES = [(32, 32), (37, 53), (53, 37), (9, 4), (1, 1)]


def pictures(height, width, count=5):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def numbers(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("reach", [0.5, 4.0])
def test_places(height, width, reach):
    pixels = pictures(height, width)
    x_BHW, y_BHW = (2 * numbers(2, 5, height, width) - 1) * reach * max(height, width)
    want = geometry.grid_sampled(pixels, x_BHW, y_BHW)
    found = geometry.remapped(pixels, x_BHW.clone(), y_BHW.clone())
    # So far out, float32 tells places apart by some 1e-5 of a pixel
    assert torch.allclose(found, want, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_light(height, width):
    pixels, matrix, grey = pictures(height, width), 2 * numbers(5, 3, 3) - 1, numbers(5)
    assert torch.allclose(colour.transformed(pixels, matrix, grey), colour.product(pixels, matrix, grey), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_blur(height, width):
    pixels = pictures(height, width)
    sigma = torch.tensor([0.05, 0.6, 1.3, 3.0, 9.0], dtype=torch.float64)
    assert torch.allclose(blur.filtered(pixels, sigma), blur.product(pixels, sigma), atol=5e-6)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_picture_gets_its_own_on_any_number_of_threads(threads):
    def change(picture, out, number, name):
        out[:] = picture * number + len(name)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        pixels = pictures(4, 6)
        for given in (pixels, pixels.contiguous(memory_format=torch.channels_last), pixels[:0]):
            found = cpu.each(given, change, range(5), ["", "a", "bb", "ccc", "dddd"])
            own = torch.arange(len(given), dtype=torch.float32)[:, None, None, None]
            assert torch.equal(found, given * own + own)
            assert found.permute(0, 2, 3, 1).is_contiguous()
        assert torch.equal(pixels, pictures(4, 6))
    finally:
        torch.set_num_threads(before)


def test_what_goes_wrong_with_a_picture_is_raised():
    def change(picture, out):
        raise ValueError("of a picture")

    with pytest.raises(ValueError, match="of a picture"):
        cpu.each(pictures(4, 4), change)
