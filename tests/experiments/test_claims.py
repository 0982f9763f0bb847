"""The thesis's figures: complete, and in agreement with each other and with the networks."""

import pytest

import models
from minicnn.experiments.claims import CLAIMS, SIZE


def test_every_network_has_its_row():
    assert set(CLAIMS) == set(models.NAMES)


@pytest.mark.parametrize("name", [name for name in CLAIMS if name != "alexnet"])
def test_parameters_are_those_of_the_networks(name):
    # AlexNet's, a second's work to build, are held by tests/models
    assert models.build(name, (*SIZE, 3)).count_params() == CLAIMS[name].parameters


@pytest.mark.parametrize("name", CLAIMS)
def test_the_files_hold_weights_and_momentum(name):
    """8 bytes a parameter, as the Keras files have, to within a tenth."""
    assert CLAIMS[name].file_bytes == pytest.approx(8 * CLAIMS[name].parameters, rel=0.1)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("alexnet", (0.5421, 0.7371, 0.8538, 4.2067)),
        ("squeezenet", (0.5056, 0.7371, 0.8711, None)),
        ("deepsqueeze", (0.3421, 0.5695, 0.7868, 1.6917)),
        ("son_of_deepsqueeze", (0.46, None, None, None)),
    ],
)
def test_accuracies_are_those_of_the_thesis(name, told):
    claim = CLAIMS[name]
    assert (claim.top1, claim.top2, claim.top3, claim.loss) == told


def test_the_ratios_that_the_thesis_prints():
    alexnet, squeezenet = CLAIMS["alexnet"], CLAIMS["squeezenet"]
    assert round(alexnet.parameters / squeezenet.parameters) == 187
    assert round(squeezenet.file_bytes / squeezenet.int8_bytes) == 8
    for claim in CLAIMS.values():
        tops = [top for top in (claim.top1, claim.top2, claim.top3) if top is not None]
        assert tops == sorted(tops)
