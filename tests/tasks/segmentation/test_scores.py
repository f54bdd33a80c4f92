from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.scores import scores

IGNORE = 255


def confusion(target: np.ndarray, prediction: np.ndarray, n_classes: int) -> np.ndarray:
    matrix = np.zeros((n_classes, n_classes), dtype=np.int64)
    keep = target != IGNORE
    np.add.at(matrix, (target[keep], prediction[keep]), 1)
    return matrix


def test_hand_computed_case() -> None:
    #           predicted a  b  c
    total = np.array([[3, 1, 0], [0, 2, 2], [0, 0, 0]])
    result = scores(total, ["a", "b", "c"])
    assert result["iou"] == {"a": 3 / 4, "b": 2 / 5, "c": 0.0}  # c is predicted, never labelled: it counts, with IoU 0
    assert result["miou"] == pytest.approx((3 / 4 + 2 / 5 + 0) / 3)
    assert result["acc"] == {"a": 3 / 4, "b": 2 / 4, "c": None}
    assert result["macc"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert result["pixel_accuracy"] == 5 / 8
    assert result["n_classes_scored"] == 3


def test_class_absent_from_labels_and_predictions_is_left_out() -> None:
    result = scores(np.array([[3, 0, 1], [0, 0, 0], [2, 0, 4]]), ["a", "b", "c"])
    assert result["iou"]["b"] is None
    assert result["acc"]["b"] is None
    assert result["n_classes_scored"] == 2
    assert result["miou"] == pytest.approx((3 / 6 + 4 / 7) / 2)


def test_perfect_and_all_wrong() -> None:
    assert scores(np.diag([5, 7]), ["a", "b"])["miou"] == 1.0
    wrong = scores(np.array([[0, 5], [7, 0]]), ["a", "b"])
    assert (wrong["miou"], wrong["macc"], wrong["pixel_accuracy"]) == (0.0, 0.0, 0.0)


def test_every_pixel_ignored_gives_null_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = scores(np.zeros((2, 2), dtype=np.int64), ["a", "b"])
    assert (result["miou"], result["macc"], result["pixel_accuracy"], result["n_classes_scored"]) == (
        None,
        None,
        None,
        0,
    )
    assert result["iou"] == {"a": None, "b": None}


def test_pixels_are_pooled_over_images_of_unequal_share() -> None:
    """One image with 1 pixel of class b, all missed, and one with 1000, all found."""
    first = np.array([[999, 0], [1, 0]])
    second = np.array([[0, 0], [0, 1000]])
    pooled = scores(Counts.from_dense(np.stack([first, second])).total(), ["a", "b"])
    assert pooled["iou"]["b"] == 1000 / 1001
    per_image = (scores(first, ["a", "b"])["iou"]["b"] + scores(second, ["a", "b"])["iou"]["b"]) / 2
    assert per_image == 0.5
    assert pooled["miou"] == pytest.approx((999 / 1000 + 1000 / 1001) / 2)


def test_result_is_plain_json() -> None:
    result = scores(np.array([[2, 1], [0, 3]], dtype=np.uint32), ["a", "b"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize(
    ("total", "names", "words"),
    [
        (np.zeros((2, 3), dtype=int), ["a", "b"], "shape"),
        (np.zeros((2, 2), dtype=int), ["a"], "shape"),
        (np.zeros((2, 2), dtype=int), ["a", "a"], "distinct"),
        (np.array([[1, -1], [0, 1]]), ["a", "b"], "negative"),
    ],
)
def test_wrong_arguments_are_refused(total: np.ndarray, names: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        scores(total, names)


def by_pixel_loop(target: list[int], prediction: list[int], n_classes: int) -> tuple[list[float], list[float]]:
    """IoU and accuracy of the classes that count, from sets of pixel positions."""
    ious, accuracies = [], []
    scored = [position for position, label in enumerate(target) if label != IGNORE]
    for index in range(n_classes):
        labelled = {position for position in scored if target[position] == index}
        predicted = {position for position in scored if prediction[position] == index}
        if labelled | predicted:
            ious.append(len(labelled & predicted) / len(labelled | predicted))
        if labelled:
            accuracies.append(len(labelled & predicted) / len(labelled))
    return ious, accuracies


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda k: st.tuples(
            st.just(k), st.lists(st.tuples(st.sampled_from([*range(k), IGNORE]), st.integers(0, k - 1)), max_size=40)
        )
    )
)
def test_equals_a_loop_over_pixels(case: tuple[int, list[tuple[int, int]]]) -> None:
    n_classes, pixels = case
    target, prediction = [pixel[0] for pixel in pixels], [pixel[1] for pixel in pixels]
    ious, accuracies = by_pixel_loop(target, prediction, n_classes)
    matrix = confusion(np.array(target, dtype=int), np.array(prediction, dtype=int), n_classes)
    result = scores(matrix, [str(index) for index in range(n_classes)])
    assert result["n_classes_scored"] == len(ious)
    assert result["miou"] == (pytest.approx(sum(ious) / len(ious)) if ious else None)
    assert result["macc"] == (pytest.approx(sum(accuracies) / len(accuracies)) if accuracies else None)


def test_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification")
    rng = np.random.default_rng(0)
    target = rng.integers(0, 6, (4, 16, 16))  # class 6 is in neither labels nor predictions
    target[rng.random(target.shape) < 0.2] = IGNORE
    prediction = np.where(rng.random(target.shape) < 0.6, np.minimum(target, 5), rng.integers(0, 6, target.shape))
    metric = classification.MulticlassJaccardIndex(num_classes=7, ignore_index=IGNORE)
    for image in range(len(target)):
        metric.update(torch.from_numpy(prediction[image]), torch.from_numpy(target[image]))
    ours = scores(confusion(target, prediction, 7), [str(index) for index in range(7)])
    assert ours["miou"] == pytest.approx(float(metric.compute()), abs=1e-6)
    assert ours["n_classes_scored"] == 6
