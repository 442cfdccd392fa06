"""All changes together: what is drawn, what stays, what may never happen."""

import dataclasses

import pytest
import torch

from omokage.augment.augment import _DRAWN, Augment
from omokage.augment.config import AugmentConfig
from omokage.errors import ConfigError

NOTHING = {"flip": 0, "rotate": 0, "crop": 0, "jitter": 0, "blur": 0, "jpeg": 0, "occlusion": 0, "lens": 0}
"""Every change left out."""


def pictures(count=8, height=48, width=48, dtype=torch.float32):
    base = torch.rand(count, 3, height // 4 + 1, width // 4 + 1, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(base, (height, width), mode="bilinear").to(dtype)


def altered(pixels, seed=0, **config):
    return Augment(AugmentConfig(**config))(pixels, torch.Generator().manual_seed(seed))


def changed(one, two):
    """Return which pictures differ."""
    return (one != two).flatten(1).any(1)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    pixels = pictures()
    before = pixels.clone()
    assert torch.equal(altered(pixels, 1), altered(pixels, 1))
    assert changed(altered(pixels, 1), altered(pixels, 2)).all()
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("name", ["flip", "blur", "jpeg", "occlusion"])
def test_what_is_given_is_never_written_to(name):
    pixels = pictures()
    before = pixels.clone()
    assert changed(altered(pixels, **NOTHING | {name: 1.0}), before).all()
    assert torch.equal(pixels, before)


def test_the_default_leaves_no_picture_as_it_was_and_treats_no_two_alike():
    pixels = pictures(1).repeat(64, 1, 1, 1)
    seen = altered(pixels)
    assert changed(seen, pixels).all()
    assert len({tuple(each.flatten().tolist()) for each in seen}) == 64


def test_a_generator_goes_on_by_the_same_count_whatever_is_asked():
    ends = []
    for config in ({}, {"strength": 0.0}, NOTHING, NOTHING | {"jpeg": 1.0}):
        generator = torch.Generator().manual_seed(3)
        Augment(AugmentConfig(**config))(pictures(), generator)
        ends.append(generator.get_state())
    assert all(torch.equal(end, ends[0]) for end in ends)


def test_no_strength_is_the_identity_bit_for_bit():
    pixels = pictures(3, 31, 57)
    assert torch.equal(altered(pixels, strength=0.0), pixels)
    assert torch.equal(altered(pixels, **NOTHING), pixels)
    assert torch.equal(altered(pixels, **NOTHING | {"lens": 0.0, "lens_frame": 3.0}), pixels)


def test_a_larger_frame_of_the_lens_changes_every_picture():
    one, other = (altered(pictures(), **NOTHING | {"lens": 0.1, "lens_frame": side}) for side in (1.0, 3.0))
    assert changed(one, other).all()


@pytest.mark.parametrize("name", ["rotate", "crop", "jitter", "lens"])
def test_each_amount_changes_every_picture(name):
    amount = dataclasses.asdict(AugmentConfig())[name]
    assert changed(altered(pictures(), **NOTHING | {name: amount}), pictures()).all()


@pytest.mark.parametrize("name", ["flip", "blur", "jpeg", "occlusion"])
def test_each_share_is_the_share_of_pictures_changed(name):
    pixels = pictures(1, 64, 64).repeat(300, 1, 1, 1)
    for share in (0.3, 1.0):
        seen = altered(pixels, **NOTHING | {name: share})
        assert changed(seen, pixels).float().mean().item() == pytest.approx(share, abs=0.07)


def test_a_change_left_out_does_not_change_the_others():
    pixels = pictures(40)
    everything = NOTHING | {"rotate": 8.0, "jitter": 0.2}
    with_blur = altered(pixels, **everything | {"blur": 0.3})
    without = altered(pixels, **everything)
    share = changed(with_blur, without).float().mean().item()
    assert 0.1 < share < 0.5


def test_strength_scales_amounts_and_shares():
    pixels = pictures(200, 24, 24)
    config = NOTHING | {"jitter": 0.1, "rotate": 3.0}
    moved = [(altered(pixels, **config, strength=s) - pixels).abs().mean().item() for s in (0.25, 1.0, 2.0)]
    assert moved[0] < moved[1] / 2 and moved[1] < moved[2]
    double = altered(pixels, **NOTHING | {"blur": 0.2}, strength=2.0)
    assert torch.equal(double, altered(pixels, **NOTHING | {"blur": 0.4}))
    flips = altered(pixels, **NOTHING | {"flip": 0.5}, strength=4.0)
    assert changed(flips, pixels).float().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("count", "height", "width"), [(1, 112, 112), (1, 1, 1), (3, 37, 53), (2, 9, 4), (0, 16, 16)])
@pytest.mark.parametrize("strength", [1.0, 4.0])
def test_any_size_stays_a_picture(count, height, width, strength):
    pixels = torch.rand(count, 3, height, width)
    seen = altered(pixels, blur=1.0, jpeg=1.0, occlusion=1.0, lens=0.5, crop=0.5, strength=strength)
    assert seen.shape == pixels.shape and seen.dtype == pixels.dtype
    assert torch.isfinite(seen).all()
    assert ((seen >= 0) & (seen <= 1)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_give_what_float32_gives(dtype):
    pixels = pictures(6, 32, 32)
    seen = altered(pixels.to(dtype), jpeg=0.0)
    assert seen.dtype == dtype
    assert torch.allclose(seen.float(), altered(pixels, jpeg=0.0), atol=0.02)


def test_autocast_changes_nothing():
    pixels = pictures(6, 64, 64)
    everything = {"jpeg": 1.0, "blur": 1.0}
    with torch.autocast("cpu", torch.bfloat16):
        seen = altered(pixels, **everything)
    assert torch.equal(seen, altered(pixels, **everything))


def test_a_layout_with_channels_last_gives_the_same():
    pixels = pictures(6, 32, 40)
    last = altered(pixels.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(last, altered(pixels), atol=1e-5)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_whole_numbers_are_shares_of_255(strength):
    whole = (pictures(6, 32, 40) * 255).round().to(torch.uint8)
    for given in (whole, whole.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(altered(given, strength=strength), altered(whole.float() / 255, strength=strength))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 53)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_each_picture_alone_gets_what_cards_do_to_all(height, width, share):
    pixels = pictures(12, height, width)
    config = AugmentConfig(blur=share, occlusion=share, jpeg=0, rotate=20 * share, crop=share / 2, lens=share / 2)
    table = torch.rand(len(_DRAWN), 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    want = pixels.clone()
    for change in Augment(config).changes(dict(zip(_DRAWN, table, strict=True)), height, width):
        want = change.batch(want)
    assert torch.allclose(Augment(config)(pixels, torch.Generator().manual_seed(0)), want, atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(2, 3, 8, 8, dtype=torch.int64), torch.zeros(3, 8, 8), torch.zeros(2, 1, 8, 8)]
)
def test_what_is_no_batch_of_pictures(wrong):
    with pytest.raises(ConfigError, match="floats or uint8 of shape"):
        altered(wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"flip": 1.1}, {"rotate": -1}, {"crop": float("nan")}, {"lens": 0.6}, {"strength": -0.1}, {"lens_frame": 0.5}],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AugmentConfig(**wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA card")
def test_a_card_draws_the_same():
    pixels = pictures(16, 64, 64)
    assert torch.allclose(altered(pixels.cuda(), jpeg=0.0).cpu(), altered(pixels, jpeg=0.0), atol=1e-4)
