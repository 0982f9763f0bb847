"""The images that a finished run was trained and tested on, found again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from minicnn import preparation
from minicnn.config import Config
from minicnn.errors import UserError
from minicnn.preparation import Prepared
from minicnn.trained import Trained


def check_there(network: Trained, config: Config) -> None:
    """UserError where the folder that a run was trained on is gone."""
    if config.data is not None and not Path(config.data).exists():
        raise UserError(
            f"{network.path} was trained on {config.data}, which is not there: say with --data DIR "
            "where these images are"
        )


def again(network: Trained, folder: str | None) -> tuple[Config, Prepared]:
    """The settings of a network's run, and its data as they were.

    folder  where the data stand now, a command's --data; None: where they stood

    UserError where the network does not say what it was trained on, where that is not there, and
    where it is not what it was: then images of today's test side may have been trained on.
    """
    config = network.config
    if config is None:
        raise UserError(
            f"{network.path} does not say what it was trained on: wanted a run of minicnn.train"
        )
    if folder is not None:
        config = dataclasses.replace(config, data=str(Path(folder).expanduser().resolve()))
    else:
        check_there(network, config)
    data = preparation.prepare(config)
    if data.dataset.fingerprint() != network.data_fingerprint:
        raise UserError(
            f"the images at {data.dataset.source} are not those that {network.path} was trained "
            "on, or changed since: bring the old state back, or give --data DIR"
        )
    return config, data
