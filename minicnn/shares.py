"""Answers as if the classes were as frequent as somebody says, not as the network learned."""

from __future__ import annotations

import numpy as np

from minicnn import evaluation
from minicnn.errors import UserError
from minicnn.evaluation import Forward
from minicnn.runtime import Network

# What --shares takes, and what the answers are called then.
SHARES = {
    "even": "answers for classes of even shares",
    "training": "answers for the training images' shares of the classes",
}


def answering(
    forward: Forward, shares: str, network: Network, thinned: tuple[int, float]
) -> Forward:
    """A network's ``forward``, for "even" shares or those of its "training" images.

    thinned  a class and the fraction of it that is left out of the images asked about, and so of
             the training images' shares; see ``ImageSet``

    UserError for a network that does not say how frequent its classes were.
    """
    run = network.origin()
    if run is None or run.training_shares is None or run.learned_shares is None:
        raise UserError(
            f"--shares {shares}: {network.path} does not say how frequent its classes were in "
            "training, as a run of this minicnn does"
        )
    expected = np.ones(len(run.classes))
    if shares == "training":
        expected = run.training_shares.copy()
        number, fraction = thinned
        expected[number] *= 1 - fraction
    return evaluation.expecting(forward, run.learned_shares, expected)
