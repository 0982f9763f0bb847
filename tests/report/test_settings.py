"""Settings in words, and the command line that brings them back."""

import dataclasses
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from minicnn.config import OPTIMIZERS, Config, Pruning, parser, resolve
from minicnn.data.augment import Augment
from minicnn.data.balance import FORMULAS
from minicnn.data.split import WAYS
from minicnn.recipes import DEFAULT
from minicnn.report import settings
from minicnn.report.settings import in_words, train_command


def parsed(argv):
    return resolve(vars(parser(models.NAMES).parse_args(argv)))


def again(config):
    python, m, module, *argv = shlex.split(train_command(config))
    assert (python, m, module) == ("python", "-m", "minicnn.train")
    return parsed(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["squeezenet"],
        ["alexnet", "--recipe", "thesis", "--data", "/a folder/with 'quotes'", "--seed", "7"],
        ["deepsqueeze", "--size", "450x600", "--epochs", "3", "--steps", "9", "--tune"],
        ["squeezenet", "--recipe", "thesis", "--set", "augment.horizontal_flip=false"],
        ["squeezenet", "--oversample", "--prior-bias", "--skip-bad", "--thin", "0.25"],
        ["squeezenet", "--set", "standardize=false", "--set", "init=glorot"],
    ],
)
def test_the_command_line_gives_the_same_settings(argv):
    config = parsed(argv)
    assert again(config) == config


@given(
    st.floats(1e-6, 1.0),
    st.sampled_from(OPTIMIZERS),
    st.sampled_from(WAYS),
    st.sampled_from(FORMULAS),
    st.floats(0, 180),
    st.integers(1, 500),
)
def test_whatever_the_settings_are(lr, optimizer, split, class_weights, rotation, batch):
    augment = dataclasses.replace(DEFAULT["augment"], rotation=rotation)
    changes = {"lr": lr, "optimizer": optimizer, "split": split, "batch": batch}
    changes |= {"class_weights": class_weights, "augment": augment}
    config = dataclasses.replace(parsed(["squeezenet"]), **changes)
    assert again(config) == config


def test_threads_are_of_the_machine_and_not_named():
    assert "threads" not in train_command(parsed(["squeezenet", "--threads", "3"]))


def test_words_say_what_is_there_and_nothing_of_what_is_not():
    words = dict(in_words(parsed(["squeezenet"])))
    assert words["images"].startswith("64 x 64 pixels")
    assert words["split"].startswith("by lesion")
    assert words["length"] == "25 epochs in batches of 32 images"
    assert words["changed at random"] == (
        "mirrored left-right and up-down, turned by up to 180°, "
        "height and width zoomed by up to 7 %, scaled by up to 30 %, "
        "light and colour by up to 30 %, 30 % only mirrored"
    )
    assert words["left out of an epoch"] == "75 % of the largest class, in turns"
    assert not {"pruned", "left out for good", "repeated", "channels taken out"} & set(words)


def test_words_of_the_thesis_recipe():
    words = dict(in_words(parsed(["squeezenet", "--recipe", "thesis"])))
    assert words["left out for good"] == "75 % of the largest class"
    assert words["pixels"] == "divided by 255"
    assert words["learning rate"] == "0.0001, constant"
    assert words["optimizer"] == "sgd, momentum 0.9"
    assert "flatters" in words["split"]


def test_words_of_a_pruning_run():
    pruning = Pruning(initial=0.5, final=0.9, begin=20, end=500, every=10)
    config = dataclasses.replace(parsed(["squeezenet"]), start="/runs/a/last.npz", pruning=pruning)
    words = dict(in_words(config))
    assert words["pruned"] == "to 90 % zeros" and words["begins with"] == "/runs/a/last.npz"


def test_no_change_at_random_has_no_words():
    assert settings.augmentation(Augment()) == ""


def test_every_choice_has_words():
    """A formula, a split or an initialization that is new needs a line here too."""
    assert set(settings.WEIGHTS) == set(FORMULAS)
    assert set(settings.SPLITS) == set(WAYS)
    assert set(settings.INITS) == set(models.INITS)


def test_every_setting_is_said_or_left_out_on_purpose():
    """Whichever setting changes alone, the words change."""
    base = parsed(["squeezenet"])
    changed = {
        "height": 99, "width": 99, "recipe": "thesis", "epochs": 77, "steps": 3, "batch": 7,
        "lr": 0.7, "optimizer": "sgd", "momentum": 0.5, "schedule": "constant", "warmup": 9,
        "weight_decay": 0.1, "split": "image", "test_share": 0.3, "class_weights": "none",
        "undersample": 0.5, "oversample": True, "prior_bias": True, "init": "glorot",
        "standardize": False, "augment": Augment(), "seed": 5, "thin": 0.5, "average": 0.9,
        "mixup": 0.2, "adjust": 0.5, "tune": True, "start": "x.npz",
        "pruning": Pruning(0.5, 0.9, 0, 9, 1), "channels": 0.3,
    }  # fmt: skip
    elsewhere = {"model", "data", "threads", "skip_bad"}  # on the page, or of no interest there
    assert {field.name for field in dataclasses.fields(Config)} == set(changed) | elsewhere
    for name, value in changed.items():
        assert in_words(dataclasses.replace(base, **{name: value})) != in_words(base), name
