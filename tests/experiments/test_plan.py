"""The plan of the thesis experiment: its flags, and what a budget makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data.dataset import parse_size
from minicnn.errors import UserError
from minicnn.experiments import plan
from minicnn.experiments.plan import Cost, Entry, Wish

NETWORKS = ["squeezenet", "deepsqueeze", "alexnet"]
SIZES = [(100, 100), (200, 200), (400, 400)]
DEAR = {"squeezenet": 1.0, "deepsqueeze": 2.0, "alexnet": 20.0}


def costs(network, size):
    epoch = DEAR[network] * size[0] * size[1] / 10_000
    return Cost(epoch=epoch, after=2 * epoch)


def wishes(epochs=100):
    return [Wish(name, epochs, SIZES) for name in NETWORKS]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("12", {"squeezenet": 12, "deepsqueeze": 12, "alexnet": 12}),
        ("12,alexnet=1", {"squeezenet": 12, "deepsqueeze": 12, "alexnet": 1}),
        ("alexnet=1,squeezenet=12", {"squeezenet": 12, "alexnet": 1}),
        (None, {}),
    ],
)
def test_a_default_and_exceptions(text, values):
    assert plan.per_network(text, NETWORKS, int, "--epochs") == values


@pytest.mark.parametrize(
    ("text", "problem"),
    [("12,13", "one default"), ("resnet=3", "none of"), ("a dozen", "whole number")],
)
def test_flags_that_make_no_sense(text, problem):
    with pytest.raises(UserError, match=problem):
        plan.per_network(text, NETWORKS, int, "--epochs")


def test_sizes_have_flags_of_the_same_form():
    sizes = plan.per_network("225x300,alexnet=450x600", NETWORKS, parse_size, "--size")
    assert sizes["alexnet"] == (450, 600) and sizes["squeezenet"] == (225, 300)
    with pytest.raises(UserError, match="225x300"):
        plan.per_network("big", NETWORKS, parse_size, "--size")


def test_networks_are_named_once_and_known():
    assert plan.names("alexnet,squeezenet") == ["alexnet", "squeezenet"]
    for text in ("resnet", "alexnet,alexnet", ""):
        with pytest.raises(UserError, match="--networks"):
            plan.names(text)


@given(st.floats(1, 100_000), st.integers(1, 100))
def test_a_plan_fits_its_budget_or_is_refused(budget, epochs):
    least = sum(costs(name, SIZES[0]).minutes(1) for name in NETWORKS)
    if least > 0.9 * budget:
        with pytest.raises(UserError, match="takes about 77 minutes"):
            plan.fit(wishes(epochs), budget, costs)
        return
    entries = plan.fit(wishes(epochs), budget, costs)
    assert [entry.network for entry in entries] == NETWORKS
    assert sum(entry.minutes for entry in entries) <= 0.9 * budget + 1e-6
    for entry in entries:
        assert 1 <= entry.epochs <= epochs and entry.size in SIZES
        assert entry.minutes == costs(entry.network, entry.size).minutes(entry.epochs)


def test_a_large_budget_cuts_nothing():
    for entry in plan.fit(wishes(), 1e6, costs):
        assert (entry.epochs, entry.size) == (100, SIZES[-1])


def test_enough_epochs_come_before_larger_images():
    (entry,) = plan.fit([Wish("squeezenet", 100, SIZES)], 60 / 0.9, costs)
    assert (entry.size, entry.epochs) == ((200, 200), 13)  # 60 minutes, 4 an epoch, 8 after
    (entry,) = plan.fit([Wish("squeezenet", 100, SIZES)], 40 / 0.9, costs)
    assert (entry.size, entry.epochs) == ((100, 100), 38)


def test_what_one_network_leaves_goes_to_the_next():
    few = [Wish("squeezenet", 1, SIZES[:1]), Wish("deepsqueeze", 100, SIZES[:1])]
    entries = plan.fit(few, 100 / 0.9, costs)
    assert [entry.epochs for entry in entries] == [1, 46]  # 97 minutes left, 2 an epoch, 4 after


def test_the_dearest_network_comes_last():
    # alexnet cannot use its share (one epoch is 20 minutes, 40 after); it gets what others leave
    few = [Wish("alexnet", 100, SIZES[:1]), Wish("squeezenet", 1, SIZES[:1])]
    entries = plan.fit(few, 103 / 0.9, costs)
    assert [(e.network, e.epochs) for e in entries] == [("alexnet", 3), ("squeezenet", 1)]


def test_few_epochs_are_enough_where_no_more_are_wished():
    (entry,) = plan.fit([Wish("squeezenet", 3, SIZES)], 90 / 0.9, costs)
    assert (entry.size, entry.epochs) == ((400, 400), 3)  # 16 an epoch, 32 after: 80 minutes


def test_cuts_are_told_and_their_absence_too():
    text = plan.table([Entry("alexnet", (225, 300), 1, 33.0)], 60)
    assert "cut: alexnet: epochs 100 -> 1, images 450x600 -> 225x300" in text
    assert "33.0 of 60" in text
    whole = plan.table([Entry("squeezenet", (450, 600), 100)], None)
    assert "nothing is cut" in whole and "not measured" in whole


def test_the_ladder_of_sizes_begins_where_the_network_fits():
    assert plan.sizes("squeezenet")[0] == (112, 150)
    deep = plan.sizes("deepsqueeze")
    assert deep[0] == (281, 375) and deep[-1] == (450, 600)
    assert plan.fits("deepsqueeze", (225, 300)) and plan.fits("deepsqueeze", (255, 340)) is None
