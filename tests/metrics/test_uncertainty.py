"""Bootstrap intervals over groups, against a loop that draws the images themselves."""

import numpy as np
import pytest

from minicnn import metrics
from minicnn.metrics import Detection, Draws, detection_intervals, intervals

RNG = np.random.default_rng(5)
N, CLASSES = 60, 3
LABELS = np.sort(RNG.integers(0, CLASSES, N))
LESIONS = np.array([f"lesion {number}" for number in np.arange(N) // 2])
PROBABILITIES = RNG.dirichlet(np.ones(CLASSES), N) * 0.6 + 0.4 * np.eye(CLASSES)[LABELS]
LOSSES = -np.log(PROBABILITIES[np.arange(N), LABELS])


def by_hand(figure, draws):
    """The interval of ``figure`` of image positions, with drawn lesions' images repeated."""
    values = []
    for times in draws.times.astype(int):
        positions = np.repeat(np.arange(N), times[draws.group])
        values.append(figure(positions))
    return tuple(np.nanpercentile(values, [2.5, 97.5]))


def recalls(at):
    answers = PROBABILITIES[at].argmax(axis=1)
    return metrics.recall(metrics.confusion_matrix(answers, LABELS[at], CLASSES))


FIGURES = {
    "top1": lambda at: metrics.top_k(PROBABILITIES[at], LABELS[at], 1),
    "top2": lambda at: metrics.top_k(PROBABILITIES[at], LABELS[at], 2),
    "top3": lambda at: metrics.top_k(PROBABILITIES[at], LABELS[at], 3),
    "balanced_accuracy": lambda at: np.nanmean(recalls(at)),
    "loss": lambda at: LOSSES[at].mean(),
    "calibration_error": lambda at: metrics.reliability(PROBABILITIES[at], LABELS[at]).error,
}


def test_every_figure_is_that_of_repeated_images():
    draws = Draws(LESIONS, seed=1, draws=200)
    found = intervals(PROBABILITIES, LABELS, LOSSES, draws)
    assert set(found) == {*FIGURES, "recall"}
    for name, figure in FIGURES.items():
        assert found[name] == pytest.approx(by_hand(figure, draws)), name
    for c in range(CLASSES):
        assert found["recall"][c] == pytest.approx(by_hand(lambda at, c=c: recalls(at)[c], draws))


def test_detection_is_that_of_repeated_images(monkeypatch):
    draws, which = Draws(LESIONS, draws=150), LABELS == 1
    detection = Detection(PROBABILITIES[:, 1], which)
    auc, (at_90,) = detection_intervals(detection, [0.9], draws)

    def alone(method, *args):
        def figure(at):
            return method(Detection(PROBABILITIES[at, 1], which[at]), *args, np.ones((1, len(at))))

        return figure

    assert auc == pytest.approx(by_hand(alone(Detection.auc), draws))
    assert at_90 == pytest.approx(by_hand(alone(Detection.sensitivity, 0.9), draws))
    monkeypatch.setattr("minicnn.metrics.uncertainty.AT_ONCE", 7 * N)  # 150 = 21 * 7 + 3
    assert detection_intervals(detection, [0.9], draws) == (auc, [at_90])


def test_the_same_seed_draws_the_same():
    first = intervals(PROBABILITIES, LABELS, LOSSES, Draws(LESIONS, seed=3))
    assert first == intervals(PROBABILITIES, LABELS, LOSSES, Draws(LESIONS, seed=3))
    assert first != intervals(PROBABILITIES, LABELS, LOSSES, Draws(LESIONS, seed=4))


def test_a_share_of_independent_images_has_the_binomials_interval():
    """0.8 of 400: the deviation is 0.02."""
    probabilities = np.eye(2)[np.repeat([0, 1], [320, 80])]
    found = intervals(probabilities, np.zeros(400, int), np.zeros(400), Draws(np.arange(400)))
    assert found["top1"] == pytest.approx((0.8 - 1.96 * 0.02, 0.8 + 1.96 * 0.02), abs=0.006)


def test_images_of_a_lesion_are_drawn_together():
    groups = np.repeat(np.arange(10), 6)
    right = np.repeat(np.arange(10) % 2, 6)  # lesion by lesion all right or all wrong
    answers = np.eye(2)[right]
    together = intervals(answers, np.ones(N, int), LOSSES, Draws(groups))["top1"]
    apart = intervals(answers, np.ones(N, int), LOSSES, Draws(np.arange(N)))["top1"]
    assert together[1] - together[0] > 1.8 * (apart[1] - apart[0])


def test_a_class_without_images_has_no_interval():
    labels = np.array([0, 0, 1])
    found = intervals(np.eye(3)[labels], labels, np.zeros(3), Draws(labels))
    assert found["recall"] == [(1, 1), (1, 1), None]
    assert found["top1"] == found["balanced_accuracy"] == (1, 1)
    nobody = Detection(np.zeros(3), labels == 2)
    assert detection_intervals(nobody, [0.9], Draws(labels)) == (None, [None])
