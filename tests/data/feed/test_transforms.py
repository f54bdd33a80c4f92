import pytest
import torch
from pydantic import ValidationError
from torchvision import tv_tensors

from bench.data.facts import DatasetInfo
from bench.data.feed.augment import Augment
from bench.data.feed.transforms import RandomScale, build_train_transform
from bench.tasks.segmentation.task import Segmentation

INFO = DatasetInfo(("a", "b"), ((0, 0, 0), (9, 9, 9)), (0.2, 0.4, 0.6), (0.1, 0.1, 0.1), "made here", ignore_index=99)
FILL = [51, 102, 153]
FILLS = Segmentation.fills(INFO)


def sample(height=12, width=16):
    """Labels and red agree everywhere, so that any misalignment shows."""
    mask = torch.arange(height * width).reshape(height, width).remainder(2).to(torch.uint8)
    image = torch.stack([mask * 200 + 10, mask * 0 + 30, mask * 0 + 40])
    return tv_tensors.Image(image), tv_tensors.Mask(mask)


def apply(height=12, width=16, seed=0, **augment):
    torch.manual_seed(seed)
    return build_train_transform(Augment(**augment), INFO, FILLS)(*sample(height, width))


def agrees(image, mask):
    padding = mask == 99
    assert (image[:, padding] == torch.tensor(FILL)[:, None]).all()
    assert (image[0][~padding] == mask[~padding] * 200 + 10).all()


def test_nothing_asked_changes_nothing():
    image, mask = apply()
    assert torch.equal(image, sample()[0])
    assert torch.equal(mask, sample()[1])


@pytest.mark.parametrize(
    "augment", [{"crop": 8}, {"crop": (20, 30)}, {"shift": 4}, {"flip": 0.5}, {"crop": 9, "shift": 3}]
)
def test_image_and_mask_move_together(augment):
    for seed in range(10):
        agrees(*apply(seed=seed, **augment))


def test_a_crop_larger_than_the_image_is_padded_with_mean_and_ignore():
    image, mask = apply(crop=(20, 30))
    assert image.shape == (3, 20, 30)
    assert (mask == 99).sum() == 20 * 30 - 12 * 16


def test_shift_keeps_the_size_and_reaches_both_ends():
    masks = [apply(seed=seed, shift=2)[1] for seed in range(60)]
    assert {tuple(mask.shape) for mask in masks} == {(12, 16)}
    for edge in (lambda m: m[0], lambda m: m[-1], lambda m: m[:, 0], lambda m: m[:, -1]):
        assert any((edge(mask) == 99).all() for mask in masks)
    assert any(not (mask == 99).any() for mask in masks)


def test_flip_has_its_probability():
    original = sample()[1]
    assert torch.equal(apply(flip=1.0)[1], original.flip(-1))
    flipped = sum(torch.equal(apply(seed=seed, flip=0.3)[1], original.flip(-1)) for seed in range(300))
    assert 60 < flipped < 120


def test_scale_is_of_the_own_size_and_labels_stay_labels():
    transform_sizes = []
    for seed in range(40):
        torch.manual_seed(seed)
        image, mask = RandomScale(0.5, 2.0)(*sample(40, 80))
        assert image.shape[-2:] == mask.shape
        assert set(mask.unique().tolist()) <= {0, 1}
        transform_sizes.append(mask.shape[0] / 40)
        assert mask.shape[1] == pytest.approx(2 * mask.shape[0], abs=2)
    assert 0.5 <= min(transform_sizes) < 0.8
    assert 1.6 < max(transform_sizes) <= 2.0


def test_jitter_changes_colours_alone():
    image, mask = apply(jitter=0.5)
    assert not torch.equal(image, sample()[0])
    assert torch.equal(mask, sample()[1])


def test_a_single_number_is_a_square():
    assert Augment(crop=64).crop == (64, 64)
    assert Augment(**Augment(crop=64).model_dump(mode="json")) == Augment(crop=64)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": (2.0, 0.5)},
        {"scale": (0.0, 1.0)},
        {"crop": 0},
        {"crop": True},
        {"crop": (5, -1)},
        {"shift": -1},
        {"flip": 1.1},
        {"flip": float("nan")},
        {"jitter": -0.1},
        {"rotate": 5},
    ],
)
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Augment(**wrong)


def test_scale_without_a_crop_is_refused():
    with pytest.raises(ValidationError, match="give crop as well"):
        Augment(scale=(0.5, 2.0))


def test_scaled_images_and_masks_stay_aligned():
    """The edge between two halves lies at the same place in both, to within half a pixel."""
    mask = torch.zeros(20, 20, dtype=torch.uint8)
    mask[:, 10:] = 1
    image = (mask * 200).expand(3, 20, 20)
    for seed in range(10):
        torch.manual_seed(seed)
        scaled, labels = RandomScale(1.5, 3.0)(tv_tensors.Image(image), tv_tensors.Mask(mask))
        assert ((scaled[0] > 100) == (labels == 1)).float().mean() > 0.97


def test_the_short_side_is_brought_to_a_length_before_all_else():
    image = tv_tensors.Image(torch.zeros(3, 10, 25, dtype=torch.uint8))
    mask = tv_tensors.Mask(torch.zeros(10, 25, dtype=torch.uint8))
    resized, labels = build_train_transform(Augment(short_side=20), INFO, FILLS)(image, mask)
    assert resized.shape == (3, 20, 50)
    assert labels.shape == (20, 50)
    tall = tv_tensors.Image(image.transpose(1, 2)), tv_tensors.Mask(mask.T)
    assert build_train_transform(Augment(short_side=3), INFO, FILLS)(*tall)[1].shape == (8, 3)  # 7.5 is rounded to even


def test_scales_in_steps_are_the_multiples_above_the_smallest():
    torch.manual_seed(0)
    image, mask = torch.zeros(3, 10, 10, dtype=torch.uint8), torch.zeros(10, 10, dtype=torch.uint8)
    scale = RandomScale(0.5, 2.0, 0.1)
    seen = {scale(tv_tensors.Image(image), tv_tensors.Mask(mask))[1].shape[0] for _ in range(400)}
    assert seen == set(range(5, 21))


def test_distortion_changes_pixels_and_no_label():
    torch.manual_seed(0)
    image = tv_tensors.Image(torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8))
    mask = tv_tensors.Mask(torch.randint(0, 3, (8, 8), dtype=torch.uint8))
    changed, labels = build_train_transform(Augment(distort=1.0), INFO, FILLS)(image, mask)
    assert not torch.equal(changed, image)
    assert (changed.dtype, changed.shape) == (torch.uint8, image.shape)
    assert torch.equal(labels, mask)


@pytest.mark.parametrize(
    ("given", "word"),
    [({"scale": (0.5, 1.0), "crop": 8, "scale_step": 0.6}, "larger than the range"), ({"scale_step": 0.1}, "larger")],
)
def test_steps_that_do_not_fit_are_refused(given, word):
    with pytest.raises(ValidationError, match=word):
        Augment(**given)
