"""The two recipes: what fills in the settings that a command line leaves open."""

from __future__ import annotations

from typing import Any

from minicnn.data.augment import Augment

# What works for SqueezeNet from nothing; docs/reproduction.md says how it was found.
DEFAULT: dict[str, Any] = {
    "batch": 32,
    "lr": 0.003,
    "optimizer": "muon",
    "momentum": 0.95,
    "schedule": "cosine",
    "warmup": 100,
    "weight_decay": 0.4,
    "split": "lesion",
    "test_share": 0.2,
    "class_weights": "log",
    "undersample": 0.0,
    "thin": 0.75,
    "oversample": False,
    "prior_bias": False,
    "init": "he",
    "standardize": True,
    "average": 0.998,
    "mixup": 0.3,
    "adjust": 0.25,
    "augment": Augment(
        horizontal_flip=True,
        vertical_flip=True,
        rotation=180.0,
        zoom=0.07,
        scale=0.3,
        colour=0.3,
        still=0.3,
    ),
}

# The thesis's protocol to the letter. Where it is silent: batch 32 (its pruning counts 125 steps an
# epoch), Keras's initialization, and bytes divided by 255.
THESIS: dict[str, Any] = {
    "height": 450,
    "width": 600,
    "epochs": 100,
    "batch": 32,
    "lr": 0.0001,
    "optimizer": "sgd",
    "momentum": 0.9,
    "schedule": "constant",
    "warmup": 0,
    "weight_decay": 0.0,
    "split": "image",
    "test_share": 0.2,
    "class_weights": "log",
    "undersample": 0.75,
    "oversample": False,
    "prior_bias": False,
    "init": "glorot",
    "standardize": False,
    "augment": Augment(horizontal_flip=True, shear=0.2, zoom=0.2),
}

RECIPES = {"default": DEFAULT, "thesis": THESIS}

# (height, width) and epochs when nobody says: small for the generated set, so that the first
# command ends soon; the deeper networks need more pixels than SqueezeNet to survive their pools.
GENERATED, GENERATED_DEEP, GENERATED_EPOCHS = (64, 64), (256, 256), 25
PHOTOS, PHOTOS_DEEP, PHOTOS_EPOCHS = (112, 150), (450, 600), 150


def sizes(model: str, data: str | None) -> dict[str, Any]:
    """Height, width and epochs where neither the command line nor the recipe says."""
    deep = model != "squeezenet"
    if data is None:
        (height, width), epochs = (GENERATED_DEEP if deep else GENERATED), GENERATED_EPOCHS
    else:
        (height, width), epochs = (PHOTOS_DEEP if deep else PHOTOS), PHOTOS_EPOCHS
    return {"height": height, "width": width, "epochs": epochs}
