"""A trained network as an int8 TFLite file, checked: ``python -m exporters.tflite RUN``."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import models
from exporters import edgetpu, export_report
from exporters.convert import convert, quality
from exporters.export_report import Export
from exporters.read import read
from minicnn import own_data, trained
from minicnn.compress import calibration_set
from minicnn.compress.calibrate import METHODS
from minicnn.compress.compare import layer_errors
from minicnn.compress.quantize import IO
from minicnn.errors import Parser, UserError, command
from minicnn.files import replacing, write_text
from minicnn.preparation import Prepared
from minicnn.trained import Trained

NAME = "model_int8.tflite"
FLOAT_NAME = "model_float32.tflite"
LOOKED_AT = 16  # images behind the table of layers


@dataclass(frozen=True)
class Options:
    """How to export.

    method     of calibration, one of ``calibrate.METHODS``
    plain      without equalization, and each weight rounded to the nearest step
    images     most images to calibrate on
    calibrate  a folder of images to calibrate on, instead of the run's training side
    io         type of the file's input and output, one of ``quantize.IO``
    float32    also write the float network, as model_float32.tflite beside the other
    """

    method: str = "mse"
    plain: bool = False
    images: int = calibration_set.COUNT
    calibrate: str | None = None
    io: str = "uint8"
    float32: bool = False


@command
def main(argv: Sequence[str] | None = None) -> int:
    values = vars(_parser().parse_args(argv))
    run, folder, out = (values.pop(name) for name in ("run", "data", "out"))
    options = Options(**values)
    if options.images < 1:
        raise UserError(f"--images {options.images}: wanted a whole number of at least 1")
    network = trained.load(run)
    data = _own_data(network, folder, options)
    result = export(network, data, Path(out) if out else _beside(network), options)
    print(export_report.text(result))
    return 0 if result.verdict.mapped else 1


def _parser() -> Parser:
    p = Parser(
        prog="python -m exporters.tflite",
        description="Quantize a trained network to int8, write it as a .tflite file and check it.",
    )
    own = Options()
    p.add_argument(
        *("run",),
        metavar="RUN",
        help="a run folder (its last.npz), an .npz file, or squeezenet: our own weights",
    )
    p.add_argument("--data", metavar="DIR", help="what RUN was trained on, if it moved")
    p.add_argument("--out", metavar="FILE", help=f"default: {NAME} beside the checkpoint")
    p.add_argument("--io", choices=IO, default=own.io, help=f"type of input and output ({own.io})")
    p.add_argument(
        *("--method",),
        choices=tuple(METHODS),
        default=own.method,
        help=f"of calibration ({own.method})",
    )
    p.add_argument(
        *("--images",),
        type=int,
        default=own.images,
        metavar="N",
        help=f"to calibrate on ({own.images})",
    )
    p.add_argument(
        *("--calibrate",),
        metavar="DIR",
        help="calibrate on the images of a folder, not on the run's",
    )
    p.add_argument(
        "--plain", action="store_true", help="no equalization, weights to the nearest step"
    )
    p.add_argument("--float32", action="store_true", help=f"also write {FLOAT_NAME}")
    return p


def _beside(network: Trained) -> Path:
    """Where the file goes when nobody says: into the run, or here for the project's own weights."""
    return Path(NAME) if network.path.parent == models.WEIGHTS else network.path.with_name(NAME)


def _own_data(network: Trained, folder: str | None, options: Options) -> Prepared | None:
    """What the run was trained on, now in ``folder`` if that is named; None where it is not to be
    had and ``--calibrate`` stands in.
    """
    try:
        _, data = own_data.again(network, folder)
    except UserError as reason:
        if folder is not None:
            raise
        if options.calibrate is None:
            other = "--calibrate DIR, images such as it will see"
            raise UserError(f"{reason}; or give {other}") from None
        print(f"note         accuracy is not measured: {reason}")
        return None
    return data


def export(
    network: Trained, data: Prepared | None, out: Path, options: Options | None = None
) -> Export:
    """Write the int8 file and measure what it costs.

    Beside it: labels.txt, edgetpu.txt (the check in full), export.json (the figures).

    data  the run's own, to calibrate on and to test with. None: ``options.calibrate`` is there to
          calibrate on, and accuracy is not measured.

    Raises UserError for what cannot be exported; nothing is written then.
    """
    options = options or Options()
    _check_place(out)
    images, source = _calibration_images(network, data, options)
    converted = convert(network, images, options.method, options.io, not options.plain)
    started = time.perf_counter()
    content = converted.int8_file()
    seconds = time.perf_counter() - started
    float_content = converted.float32_file()
    verdict = edgetpu.check(dataclasses.replace(read(content), name=out.name))
    looked_at = _looked_at(images, data)
    rows = layer_errors(converted.graph, converted.quantized, converted.pixels, looked_at)
    result = Export(
        path=out,
        checkpoint=network.path,
        bytes=len(content),
        float32_bytes=len(float_content),
        seconds=seconds,
        calibration=f"{options.method}{' (plain)' if options.plain else ''} over {source}",
        layers=rows,
        looked_at=len(looked_at),
        quality=None if data is None else quality(converted, data.dataset, data.test),
        verdict=verdict,
    )
    _write(out, content)
    if options.float32:
        _write(out.with_name(FLOAT_NAME), float_content)
    write_text(result.labels, "".join(f"{name}\n" for name in network.classes))
    write_text(result.edgetpu, edgetpu.report_text(verdict) + "\n")
    write_text(result.figures, json.dumps(export_report.as_json(result), indent=2) + "\n")
    return result


def _check_place(out: Path) -> None:
    """UserError where the file could not be written: told before the long work, not after it."""
    if out.suffix != ".tflite":
        raise UserError(f"--out {out}: wanted a name that ends in .tflite")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: no such folder as {out.parent}")


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)


def _looked_at(images: np.ndarray, data: Prepared | None) -> np.ndarray:
    """A few test images, evenly spread; of the calibration images where there are none."""
    if data is None:
        return images[:LOOKED_AT]
    places = np.linspace(0, len(data.test) - 1, min(LOOKED_AT, len(data.test))).astype(int)
    return data.dataset.images[data.test[places]]


def _calibration_images(
    network: Trained, data: Prepared | None, options: Options
) -> tuple[np.ndarray, str]:
    """The images, and what to call them."""
    if options.calibrate is not None:
        images = calibration_set.of_folder(options.calibrate, network.size, options.images)
        return images, f"{len(images)} images of {options.calibrate}"
    if data is None:
        raise UserError("neither a run's data nor a folder of images to calibrate on")
    images = calibration_set.of_training(data, options.images)
    return images, f"{len(images)} training images, the classes taking turns"


if __name__ == "__main__":
    raise SystemExit(main())
