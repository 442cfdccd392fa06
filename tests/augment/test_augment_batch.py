"""What OpenCV computes of one picture on CPUs is what torch computes of a batch elsewhere."""

import pytest
import torch

from omokage.augment import blur, colour, geometry, occlusion
from omokage.augment.batch import Some, changed

SIZES = [(32, 32), (37, 53), (53, 37), (9, 4), (1, 1)]


def pictures(height, width, count=5):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def numbers(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def one_by_one(change, pixels, *numbers):
    return changed(pixels, [Some(list(range(len(pixels))), change, change, *numbers)])


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("reach", [0.5, 4.0])
def test_places(height, width, reach):
    pixels = pictures(height, width)
    x_BHW, y_BHW = (2 * numbers(2, 5, height, width) - 1) * reach * max(height, width)
    want = geometry.grid_sampled(pixels, x_BHW, y_BHW)
    for picture, x_HW, y_HW, seen in zip(pixels, x_BHW, y_BHW, want, strict=True):
        found = geometry.remapped(picture.permute(1, 2, 0).contiguous().numpy(), x_HW.numpy(), y_HW.numpy())
        # So far out, float32 tells places apart by some 1e-5 of a pixel
        assert torch.allclose(torch.from_numpy(found).permute(2, 0, 1), seen, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_light(height, width):
    pixels, matrix, grey = pictures(height, width), 2 * numbers(5, 3, 3) - 1, numbers(5)
    found = one_by_one(colour.transformed, pixels, matrix, grey)
    assert torch.allclose(found, colour.product(pixels, matrix, grey), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_blur(height, width):
    pixels = pictures(height, width)
    sigma = torch.tensor([0.05, 0.6, 1.3, 3.0, 9.0], dtype=torch.float64)
    assert torch.allclose(one_by_one(blur.filtered, pixels, sigma), blur.product(pixels, sigma), atol=5e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_cover(height, width):
    pixels, paint = pictures(height, width, 40), numbers(40, 3)
    box = torch.cat((1.2 * numbers(40, 2) - 0.4, 1.2 * numbers(40, 2) + 0.2), 1)  # some of it outside, some empty
    assert torch.equal(one_by_one(occlusion.painted, pixels, box, paint), occlusion.covered(pixels, box, paint))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_picture_gets_its_own_on_any_number_of_threads(threads):
    def change(picture, number, row):
        return picture * number + row[1]

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        pixels, own = pictures(4, 6), torch.arange(5, dtype=torch.float32)
        for given in (pixels, pixels.contiguous(memory_format=torch.channels_last), pixels[:0]):
            mine = own[: len(given)]
            found = one_by_one(change, given, mine, mine[:, None] + torch.tensor([0.0, 7.0]))
            assert torch.equal(found, given * mine[:, None, None, None] + (mine + 7)[:, None, None, None])
            assert found.permute(0, 2, 3, 1).is_contiguous()
        assert torch.equal(pixels, pictures(4, 6))
    finally:
        torch.set_num_threads(before)


def test_some_are_changed_and_the_others_stay_either_way():
    pixels, own = pictures(5, 7), torch.tensor([2.0, 3.0])
    some = Some(
        [1, 4], lambda some_BCHW, own_B: some_BCHW * own_B[:, None, None, None], lambda one, own: one * own, own
    )
    want = pixels.clone()
    want[1] *= 2
    want[4] *= 3
    assert torch.equal(changed(pixels, [some]), want)
    assert torch.equal(some.batch(pixels.clone()), want)
    nothing = Some([], some._batch, some._one, own[:0])
    assert torch.equal(changed(pixels, [nothing, some]), want)
    assert torch.equal(nothing.batch(pixels.clone()), pixels)


def test_what_goes_wrong_with_a_picture_is_raised():
    def change(picture, number):
        raise ValueError("of a picture")

    with pytest.raises(ValueError, match="of a picture"):
        one_by_one(change, pictures(4, 4), torch.zeros(5))
