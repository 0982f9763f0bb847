"""How far a figure would move with other test images: the percentile bootstrap over groups.

Images of one lesion are not independent of each other, so lesions are drawn, with all their
images: as many as there are, with replacement, again and again (Efron, 1979; for groups, Field and
Welsh, 2007). A figure's interval is where the middle 95 % of its values over the draws lie.
"""

from __future__ import annotations

import numpy as np

DRAWS = 2000
CONFIDENCE = 0.95

Interval = tuple[float, float]


class Draws:
    """How often each draw takes each group; the same for equal ``groups`` and ``seed``.

    groups  (N,) the group of each image, of any type that sorts
    group   (N,) the groups' numbers, 0 to G - 1
    times   (draws, G) float64; each row sums to G
    """

    def __init__(self, groups: np.ndarray, seed: int = 0, draws: int = DRAWS) -> None:
        names, self.group = np.unique(groups, return_inverse=True)
        G = len(names)
        rng = np.random.default_rng(seed)
        self.times = rng.multinomial(G, np.full(G, 1 / max(G, 1)), draws).astype(np.float64)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(draws, ...) sums over the images drawn of values (N, ...), one of each image.

        Groups are summed first, so that a draw costs G and not N multiplications.
        """
        by_group = np.zeros((self.times.shape[1], *values.shape[1:]))
        np.add.at(by_group, self.group, values)
        flat = self.times @ by_group.reshape(len(by_group), -1)
        return flat.reshape(len(self.times), *values.shape[1:])

    def weights(self, first: int, last: int) -> np.ndarray:
        """(last - first, N): how often these draws take each image."""
        return self.times[first:last, self.group]


def interval(samples: np.ndarray) -> Interval:
    """Both ends of the middle 95 % of samples (draws,), of which at least one must be a number.

    A draw without a figure (NaN), such as the recall of a class that was not drawn, is left out.
    """
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(samples, [tail, 100 - tail])
    return float(low), float(high)
