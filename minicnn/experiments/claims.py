"""What the thesis reports ("skin cancer on the Edge TPU with SqueezeNet"), as constants.

Its chapter 5 and figures 25 and 26; the parameters stand in its chapter 4 as well. None where it
names no figure.
"""

from __future__ import annotations

from dataclasses import dataclass

SIZE = (450, 600)  # height and width of its images, in pixels
EPOCHS = 100
PRUNED_PARAMETERS = 2859  # of SqueezeNet, at 90 % zeros, which leave about 75,000


@dataclass(frozen=True)
class Claim:
    """One network's row.

    top1, top2, top3, train_top1   shares of right answers after the last epoch
    loss          on test images, cross-entropy
    file          size of the Keras file, weights and momentum, as the thesis prints it
    file_bytes    the same in bytes, as exactly as it is printed
    int8_bytes    of the quantized file
    """

    parameters: int
    top1: float
    file: str
    file_bytes: float
    top2: float | None = None
    top3: float | None = None
    train_top1: float | None = None
    loss: float | None = None
    int8_bytes: float | None = None
    note: str = ""


CLAIMS = {
    "alexnet": Claim(
        parameters=136_047_815,
        top1=0.5421,
        top2=0.7371,
        top3=0.8538,
        train_top1=0.9555,
        loss=4.2067,
        file="1.0 GB",
        file_bytes=1.0e9,
    ),
    "squeezenet": Claim(
        parameters=726_087,
        top1=0.5056,
        top2=0.7371,
        top3=0.8711,
        file="5.8 MiB",
        file_bytes=5.8 * 2**20,
        int8_bytes=734.9 * 2**10,
    ),
    "deepsqueeze": Claim(
        parameters=1_022_727,
        top1=0.3421,
        top2=0.5695,
        top3=0.7868,
        loss=1.6917,
        file="8.3 MiB",
        file_bytes=8.3 * 2**20,
        note="every image is called nv",
    ),
    "son_of_deepsqueeze": Claim(
        parameters=3_400_455,
        top1=0.46,
        file="26.4 MiB",
        file_bytes=26.4 * 2**20,
        note="about",
    ),
}
