"""Magnitude pruning: the schedule's figures, what masks keep, and that nothing comes back."""

import numpy as np
import pytest

from minicnn.compress import prune, sensitivity
from minicnn.compress.prune import PolynomialDecay, adaptive_masks, global_masks, kept, layer_masks
from minicnn.config import Pruning
from minicnn.layers import Conv2D, Dense, Flatten, GlobalAvgPool2D, Sequential
from minicnn.loss import CrossEntropy
from minicnn.optim import Adam

THESIS = PolynomialDecay(initial=0.5, final=0.9, begin=20, end=125, every=100)


def network():
    layers = [("one", Conv2D(3, 8, 3, rng=1)), ("two", Conv2D(8, 4, 1, rng=2))]
    return Sequential([*layers, ("pool", GlobalAvgPool2D())])


def test_the_formula_gives_the_figures_worked_out_by_hand():
    # s = 0.9 - 0.4 (1 - (step - 20) / 100)^3: a half is left at 70, and 0.5^3 = 0.125
    schedule = PolynomialDecay(0.5, 0.9, begin=20, end=120, every=10, power=3)
    wanted = {20: 0.5, 70: 0.9 - 0.4 * 0.125, 95: 0.9 - 0.4 / 64, 120: 0.9}
    for step, sparsity in wanted.items():
        assert schedule.sparsity(step) == pytest.approx(sparsity)
    assert schedule.sparsity(0) == 0.5 and schedule.sparsity(1000) == 0.9
    straight = PolynomialDecay(0.0, 0.8, begin=0, end=4, every=1, power=1)
    assert [straight.sparsity(step) for step in range(5)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_the_thesis_prunes_twice_in_its_epoch_of_125_steps():
    turns = THESIS.turns(125)
    assert [step for step, _ in turns] == [20, 120]
    # 100 of 105 steps are done at the second: 0.9 - 0.4 (5 / 105)^3
    assert [sparsity for _, sparsity in turns] == pytest.approx([0.5, 0.9 - 0.4 / 9261])
    assert [step for step in range(200) if THESIS.prunes(step)] == [20, 120]
    assert [step for step, _ in THESIS.turns(100)] == [20]


@pytest.mark.filterwarnings("ignore")  # of its own imports
def test_schedule_and_masks_are_those_of_tensorflow_model_optimization():
    tfmot = pytest.importorskip("tensorflow_model_optimization")
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

    ours = PolynomialDecay(0.5, 0.9, 20, 125, every=10)
    theirs = tfmot.sparsity.keras.PolynomialDecay(0.5, 0.9, 20, 125, power=3, frequency=10)
    values = np.random.default_rng(0).standard_normal((16, 3, 3, 7)).astype(np.float32)
    for step in range(150):
        turn, sparsity = theirs(step)
        assert bool(turn) == ours.prunes(step)
        assert float(sparsity) == pytest.approx(ours.sparsity(step), abs=1e-6)
        if turn:
            pruning = pruning_impl.Pruning(lambda: step, [], theirs, (1, 1), "AVG")  # noqa: B023
            _, mask = pruning._update_mask(values)
            (own,) = layer_masks({"w": values}, ours.sparsity(step)).values()
            assert np.array_equal(np.array(mask, bool), own)


@pytest.mark.parametrize(
    "size, sparsity, left",
    [(10, 0.5, 5), (10, 0.87, 1), (17, 0.9, 2), (1000, 0.864, 136), (3, 0.98, 1), (7, 0, 7)],
)
def test_a_sparsity_leaves_so_many_weights(size, sparsity, left):
    values = np.random.default_rng(0).standard_normal(size)
    (mask,) = layer_masks({"w": values}, sparsity).values()
    assert kept(size, sparsity) == mask.sum() == left
    assert size == left or np.abs(values[~mask]).max() < np.abs(values[mask]).min()


def test_equal_weights_are_told_apart_by_their_place():
    (mask,) = layer_masks({"w": np.array([[1.0, -1.0], [1.0, 2.0]])}, 0.5).values()
    assert mask.tolist() == [[True, False], [False, True]]


def test_one_threshold_for_all_layers_takes_most_from_the_small_ones():
    weights = {"small": np.full((2, 4), 0.01), "large": np.linspace(1, 2, 8).reshape(2, 4)}
    masks = global_masks(weights, 0.5)
    assert masks["large"].all()
    assert masks["small"].sum() == 1  # its largest: a layer is never cut off
    assert [mask.sum() for mask in layer_masks(weights, 0.5).values()] == [4, 4]


def test_the_adaptive_threshold_is_of_a_share_of_what_an_array_has_left():
    # scores: 1 / (1 + 1) and 1 / 1; 9 / (9 + 16) and 16 / 16: the 3 goes first, then a 1
    weights = {"small": np.array([1.0, -1.0]), "large": np.array([3.0, 4.0])}
    masks = adaptive_masks(weights, 0.25)
    assert masks["small"].all() and masks["large"].tolist() == [False, True]
    masks = adaptive_masks(weights, 0.5)
    assert masks["small"].tolist() == [True, False] and masks["large"].tolist() == [False, True]
    assert global_masks(weights, 0.25)["large"].all()


def test_the_adaptive_threshold_is_of_squares():
    # 0.25 / 1.25 goes before 1 / 4; of magnitudes 0.5 / 1.5 would stay
    masks = adaptive_masks({"four": np.ones(4), "two": np.array([0.5, 1.0])}, 1 / 6)
    assert masks["four"].all() and masks["two"].tolist() == [False, True]


@pytest.mark.parametrize("scope", list(prune.SCOPES))
def test_biases_are_left_alone_and_pruned_weights_stay_zero(scope):
    net, rng = network(), np.random.default_rng(0)
    params = net.named_params()
    params["one/b"].value[:] = 1e-6
    prune.prune(params, 0.75, scope)
    assert params["one/b"].mask is None and (params["one/b"].value != 0).all()
    zero = {path: param.value == 0 for path, param in prune.prunable(params).items()}
    assert sum(z.sum() for z in zero.values()) == 0.75 * (8 * 27 + 4 * 8)
    optimizer = Adam(0.01)
    for _ in range(5):
        x = rng.standard_normal((4, 6, 6, 3), np.float32)
        net.gradients(x, np.arange(4), CrossEntropy())
        optimizer.step(params)
    for path, where in zero.items():
        assert ((params[path].value == 0) == where).all()
    prune.prune(params, 0.9, scope)  # more: what was zero is among it
    for path, where in zero.items():
        assert (params[path].value[where] == 0).all()


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5])
def test_a_sparsity_out_of_range_is_refused(sparsity):
    with pytest.raises(ValueError, match="wanted at least 0 and below 1"):
        prune.prune(network().named_params(), sparsity)


def test_a_pruner_prunes_at_its_turns_only():
    params = network().named_params()
    pruner = prune.Pruner(Pruning(0.5, 0.75, begin=2, end=4, every=2))
    shares = []
    for step in range(6):
        pruner.before_step(params, step)
        shares.append(float(np.mean(params["one/w"].value == 0)))
        assert pruner.finished(step) == (step > 4)
    assert shares == [0, 0, 0.5, 0.5, 0.75, 0.75]


@pytest.mark.parametrize("scope", list(prune.SCOPES))
def test_a_pruner_keeps_to_its_scope(scope):
    params, wanted = network().named_params(), network().named_params()
    params["two/w"].value *= 0.01
    wanted["two/w"].value *= 0.01
    prune.Pruner(Pruning(0.5, 0.5, begin=0, end=1, every=1, scope=scope)).before_step(params, 0)
    prune.prune(wanted, 0.5, scope)
    assert {p: v.tolist() for p, v in prune.masks_of(params).items()} == {
        p: v.tolist() for p, v in prune.masks_of(wanted).items()
    }


def test_a_runs_settings_give_the_whole_schedule():
    settings = Pruning(0.1, 0.7, begin=3, end=9, every=2, power=1.5)
    assert prune.schedule_of(settings) == PolynomialDecay(0.1, 0.7, 3, 9, 2, 1.5)


def test_dense_weights_are_pruned_as_well():
    params = Sequential([Flatten(), ("dense", Dense(16, 4, rng=0))]).named_params()
    prune.prune(params, 0.75)
    assert np.count_nonzero(params["dense/w"].value) == 16


def test_masks_come_back_with_their_zeros():
    one, two = network().named_params(), network().named_params()
    assert prune.masks_of(one) == {}
    prune.prune(one, 0.5)
    prune.set_masks(two, prune.masks_of(one))
    for path, param in one.items():
        assert np.array_equal(param.value, two[path].value)


def test_a_scan_prunes_one_layer_at_a_time_and_puts_it_back():
    net = network()
    params = prune.prunable(net.named_params())
    before = {path: param.value.copy() for path, param in params.items()}
    shares = []

    def score():
        shares.append([float(np.mean(param.value == 0)) for param in params.values()])
        return float(len(shares))

    rows = sensitivity.scan(net, score, (0.5, 0.75))
    assert shares == [[0.5, 0], [0.75, 0], [0, 0.5], [0, 0.75]]
    assert [(row.path, row.weights, row.scores) for row in rows] == [
        ("one/w", 216, (1.0, 2.0)),
        ("two/w", 32, (3.0, 4.0)),
    ]
    for path, param in params.items():
        assert np.array_equal(param.value, before[path])
