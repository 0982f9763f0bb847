"""Which images an evaluation is of: a run's test side, all of a folder, or a thinned set."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minicnn import data, own_data, preparation
from minicnn.config import Config
from minicnn.data import balance
from minicnn.data.dataset import Dataset
from minicnn.errors import UserError
from minicnn.preparation import Prepared
from minicnn.runtime import Network
from minicnn.trained import Trained


@dataclass(frozen=True)
class ImageSet:
    """Images of a data set, at ``positions`` (N,).

    name   what to call them, for people
    tag    what pictures of them are called, in a file's name; "" for a run's own test side
    run    the run's data where this is its test side, or part of it
    seed   the run's, or 0
    thinned  the class, by number, of which ``undersampled`` left out a fraction, and the fraction
    """

    dataset: Dataset
    positions: np.ndarray
    name: str
    tag: str
    run: Prepared | None = None
    seed: int = 0
    thinned: tuple[int, float] = (0, 0.0)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64."""
        return self.dataset.labels[self.positions]

    @property
    def lesions(self) -> np.ndarray:
        """(N,) str."""
        return self.dataset.lesions[self.positions]

    def trained_on(self) -> np.ndarray:
        """(N,) bool: whether the run was trained on other images of the same lesion."""
        if self.run is None:
            return np.zeros(len(self.positions), bool)
        return np.isin(self.lesions, self.dataset.lesions[self.run.train])

    def undersampled(self, fraction: float) -> ImageSet:
        """The same without ``fraction`` of the largest class, as in the thesis."""
        if not fraction:
            return self
        if self.run is not None and len(self.run.kept) < len(self.dataset):
            raise UserError(
                f"--undersample {fraction:g}: the run was under-sampled, and so are its test images"
            )
        largest = int(np.argmax(self.dataset.counts(self.positions)))
        kept = balance.undersample(self.labels, fraction, self.seed)
        return dataclasses.replace(
            self,
            positions=self.positions[kept],
            name=f"{self.name}, {fraction:.0%} of {self.dataset.classes[largest]} left out",
            tag="-".join(filter(None, (self.tag, f"thinned-{fraction:g}"))),
            thinned=(largest, fraction),
        )


def choose(network: Network, folder: str | None, side: str | None, skip_bad: bool) -> ImageSet:
    """The images that ``--data``, ``--split`` and ``--skip-bad`` mean for a network.

    Without ``--split``: the test side of the run's own data, wherever it stands now; all images of
    any other.
    UserError for what there is not, and where data changed since the training.
    """
    if not network.named:
        raise UserError(
            f"{network.path} does not name its classes: put a labels.txt beside it, a line for "
            f"each of its {len(network.classes)} classes in the order of its outputs"
        )
    run = network.origin()
    config = run.config if run else None
    skip_bad = skip_bad or (config is not None and config.skip_bad)
    if run is not None and config is not None and _same_folder(folder, config):
        if folder is None:
            own_data.check_there(run, config)
        return _own(run, dataclasses.replace(config, skip_bad=skip_bad), side or "test")
    if folder is None:
        raise UserError(f"{network.path} does not say what it was trained on: give --data DIR")
    dataset = data.load(folder, network.size, classes=network.classes, skip_bad=skip_bad)
    if run is not None and config is not None and dataset.fingerprint() == run.data_fingerprint:
        # the run's own data in another place, as for released weights
        moved = dataclasses.replace(config, data=folder, skip_bad=skip_bad)
        return _own(run, moved, side or "test")
    if side == "test":
        raise UserError(f"--split test: {folder} is not what the run was trained on; use all")
    name, tag = f"{dataset.source}, all images", _slug(Path(folder).resolve().name)
    return ImageSet(dataset, np.arange(len(dataset)), name, tag)


def _same_folder(folder: str | None, config: Config) -> bool:
    return folder is None or str(Path(folder).expanduser().resolve()) == config.data


def _own(run: Trained, config: Config, side: str) -> ImageSet:
    prepared = preparation.prepare(config)
    dataset = prepared.dataset
    if side == "all":
        return ImageSet(dataset, np.arange(len(dataset)), f"{dataset.source}, all images", "all")
    if dataset.fingerprint() != run.data_fingerprint:
        raise UserError(
            f"the data at {dataset.source} changed since the training: test images of "
            "today may have been trained on; use --split all, or bring the old state back"
        )
    images = "images held out of the training side" if config.tune else "test images"
    name = f"{dataset.source}, {images}, split by {config.split}"
    if config.undersample:
        largest = dataset.classes[np.argmax(dataset.counts())]
        name += f", {config.undersample:.0%} of {largest} left out"
    return ImageSet(dataset, prepared.test, name, "", prepared, config.seed)


def _slug(name: str) -> str:
    """A folder's name as part of a file's."""
    return re.sub(r"[^\w.]+", "-", name).strip("-") or "other"
