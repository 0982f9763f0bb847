"""Ranges of tensors, by each method; and which images are looked at."""

import numpy as np
import pytest
from PIL import Image

from minicnn.compress import calibrate as calibration
from minicnn.compress import calibration_set, float_run
from minicnn.compress.calibrate import METHODS, calibrate
from minicnn.compress.fold import Pixels
from minicnn.data.dataset import Dataset
from minicnn.errors import UserError
from minicnn.graph import Graph, Tensor, from_layer
from minicnn.layers import Conv2D, ReLU, Sequential
from minicnn.preparation import Prepared

PIXELS = Pixels(1.0, 0)


def passes_through(shape=(10, 10, 3)):
    """A graph that gives its input back: its ranges are the images' own."""
    graph = Graph([Tensor("input", (1, *shape))], inputs=[0])
    graph.outputs = [graph.add("RELU", [0], shape, "relu")]
    return graph


def images(count=16, low=0, high=200, seed=0):
    return np.random.default_rng(seed).integers(low, high, (count, 10, 10, 3)).astype(np.uint8)


def test_minmax_is_everything_that_was_seen():
    net = Sequential([("conv", Conv2D(3, 4, 3, rng=0)), ("relu", ReLU())])
    graph = from_layer(net, (10, 10, 3))
    x = images(20)
    ranges = calibrate(graph, Pixels(1 / 255, 100), x)
    for t, values in float_run.run(graph, (x.astype(np.float32) - 100) / 255).items():
        assert ranges[t] == pytest.approx((min(values.min(), 0), max(values.max(), 0)), rel=1e-6)
    assert ranges[graph.nodes[0].output][0] < 0
    assert ranges[graph.nodes[1].output][0] == 0


def test_moving_average_forgets_one_odd_image():
    x = images(80, high=101)
    x[3, 0, 0, 0] = 255
    assert calibrate(passes_through(), PIXELS, x)[0] == (0, 255)
    low, high = calibrate(passes_through(), PIXELS, x, "moving-average")[0]
    # the first batch has 255, the nine after it about 100: 100 + 155 * 0.9 ** 9
    assert low == 0
    assert high == pytest.approx(100 + 155 * 0.9**9, abs=1)


def test_percentile_leaves_the_rarest_values_out():
    x = np.full((40, 10, 10, 3), 90, np.uint8)  # 12,000 values; a ten-thousandth is 1.2 of them
    x[0, 0, 0, 0] = 255
    assert calibrate(passes_through(), PIXELS, x, "percentile")[0] == pytest.approx(
        (0, 90), abs=0.2
    )
    x[1, 0, 0, 0] = 255
    assert calibrate(passes_through(), PIXELS, x, "percentile")[0] == pytest.approx((0, 255))


def test_percentile_clips_both_ends():
    x = np.full((40, 10, 10, 3), 90, np.uint8)
    x[0, 0, 0, 0], x[1, 0, 0, 0], x[:20, 1] = 0, 200, 80
    low, high = calibrate(passes_through(), Pixels(1.0, 100), x, "percentile")[0]
    assert (low, high) == pytest.approx((-20, 0), abs=0.2)  # not -100 and 100


def test_mse_weighs_clipping_against_rounding():
    """Brute force over the same ranges, on the values themselves instead of a histogram."""
    rng = np.random.default_rng(0)
    x = np.minimum(rng.exponential(12, (600, 10, 10, 3)), 200).astype(np.uint8)
    x[:, 1:] = 0  # zeros are exact at any scale: they must not count
    x[5, 0, 0] = 255
    low, high = calibrate(passes_through(), PIXELS, x, "mse")[0]
    values = x[x > 0].astype(np.float64)

    def error(top):
        kept = np.minimum(values, top)
        return ((values - kept) ** 2).sum() + (kept < top).sum() * (top / 255) ** 2 / 12

    tops = x.max() * np.arange(1.0, 0.2, -0.01)
    best = tops[np.argmin([error(top) for top in tops])]
    assert low == 0
    assert high == pytest.approx(best, rel=0.015)
    assert high < x.max()


def averaged(*after):
    """The range that "mse" gives a tensor which is averaged over 10x10 and then goes on.

    Its values are 4 and 5 but for one peak of 250 in each channel of one image: averages stay low,
    and the steps of a range up to the peak, nearly 1 wide, would not tell them apart.
    """
    x = np.random.default_rng(0).integers(4, 6, (40, 10, 10, 3)).astype(np.uint8)
    x[7, 5, 5] = 250
    graph = passes_through()
    pooled = {"kernel": (10, 10), "stride": (10, 10), "padding": "valid"}
    t = graph.add("AVERAGE_POOL_2D", [graph.outputs[0]], (1, 1, 3), "pool", **pooled)
    t = graph.add("RESHAPE", [t], (3,), "flat", new_shape=np.array([1, 3], np.int32))
    for op in after:
        t = graph.add(op, [t], (3,), op.lower())
    graph.outputs = [t]
    ranges = calibrate(graph, Pixels(0.1, 0), x, "mse")
    return ranges[graph.nodes[0].output], ranges[0]


def test_before_an_average_pool_the_averages_count():
    (low, high), alone = averaged("RELU")
    assert low == 0
    assert high < 0.75 * 25  # the peak, clipped, moves one average of 120 by little
    assert alone[1] > high


def test_before_a_softmax_the_probabilities_count():
    (_, high), _ = averaged("SOFTMAX")
    (_, without), _ = averaged("RELU")
    assert high != without
    # the image with the peak has it in all channels alike: clipping it changes no probability
    assert high < 0.2 * 25


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_is_always_zero(method):
    graph = passes_through()
    ranges = calibrate(graph, Pixels(1.0, 255), images(), method)
    assert ranges[graph.outputs[0]] == pytest.approx((0, 0), abs=1)
    assert ranges[0][0] < -200


def test_batches_change_nothing(monkeypatch):
    x = images(21)
    before = calibrate(passes_through(), PIXELS, x, "percentile")
    monkeypatch.setattr(calibration, "BATCH", 5)
    assert calibrate(passes_through(), PIXELS, x, "percentile") == before


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (images(0), "no calibration images"),
        (np.zeros((4, 10, 10, 3), np.uint8), "all calibration images are black"),
        (np.full((4, 10, 10, 3), 7, np.uint8), "are of one colour"),
        (images()[:, :9], r"are uint8 \(9, 10, 3\), wanted uint8 \(10, 10, 3\)"),
        (images().astype(np.float32), "are float32"),
    ],
)
def test_images_that_will_not_do(given, says):
    with pytest.raises(UserError, match=says):
        calibrate(passes_through(), PIXELS, given)


def test_an_unknown_method():
    with pytest.raises(UserError, match="'entropy': choose one of minmax, moving-average"):
        calibrate(passes_through(), PIXELS, images(), "entropy")


def prepared(counts):
    """A data set whose images tell their class and number; all of it is the training side."""
    labels = np.repeat(np.arange(len(counts)), counts)
    pictures = np.zeros((len(labels), 2, 2, 3), np.uint8)
    pictures[:, 0, 0, 0], pictures[:, 0, 0, 1] = labels, np.arange(len(labels))
    names = np.arange(len(labels)).astype(str)
    classes = tuple(str(i) for i in range(len(counts)))
    everything = np.arange(len(labels))
    dataset = Dataset(pictures, labels, names, names, classes, "test")
    return Prepared(dataset, everything, everything, everything[:0])


def test_classes_take_turns():
    chosen = calibration_set.of_training(prepared([100, 3, 50]), 30)
    assert np.bincount(chosen[:, 0, 0, 0]).tolist() == [14, 3, 13]
    numbers = chosen[:, 0, 0, 1]
    assert len(np.unique(numbers)) == 30
    assert numbers[:14].max() - numbers[:14].min() > 30  # from all of the class's hundred
    again = calibration_set.of_training(prepared([100, 3, 50]), 30)
    np.testing.assert_array_equal(chosen, again)


def test_there_may_be_fewer_images_than_asked_for():
    data = prepared([4, 2])
    repeated = Prepared(data.dataset, data.kept, np.repeat(data.train, 3), data.test)
    assert len(calibration_set.of_training(repeated, 30)) == 6  # over-sampling repeats positions


def test_a_folder_of_images(tmp_path):
    for number in range(10):
        folder = tmp_path / ("nv" if number < 7 else "mel")
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    chosen = calibration_set.of_folder(tmp_path, (3, 4), 4)
    assert chosen.shape == (4, 3, 4, 3)
    assert chosen[:, 0, 0, 0].tolist() == [7, 0, 3, 6]  # mel before nv, evenly spread
    assert len(calibration_set.of_folder(tmp_path, (3, 4), 99)) == 10


def test_folders_that_will_not_do(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        calibration_set.of_folder(tmp_path / "absent", (3, 4))
    with pytest.raises(UserError, match="no images in it"):
        calibration_set.of_folder(tmp_path, (3, 4))
    (tmp_path / "bad.jpg").write_bytes(b"not a photograph")
    with pytest.raises(UserError, match=r"bad.jpg cannot be read: not an image"):
        calibration_set.of_folder(tmp_path, (3, 4))
