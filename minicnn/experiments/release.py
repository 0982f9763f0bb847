"""A run's network as the weights that come with the project: ``experiments release RUN``.

Writes models/weights/MODEL.npz (float32, averaged if the run averages, no optimizer state),
MODEL_int8.tflite and MODEL_test_lesions.txt: the lesions that the run was tested on, and that
nobody who tests the released weights on the same data may take for seen.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import models
from exporters.tflite import NAME
from minicnn import checkpoint, preparation, trained
from minicnn.checkpoint import Checkpoint
from minicnn.errors import Parser, UserError, command
from minicnn.files import write_text
from minicnn.runfolder import RunFolder

LARGEST = 4 << 20  # bytes of all released files together
KEPT = (
    *("minicnn", "model", "classes", "input_shape", "normalization", "step"),
    *("data_fingerprint", "training_shares", "learned_shares"),
)


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(
        prog="python -m minicnn.experiments release",
        description="Put a run's network into models/weights, to come with the project.",
    )
    p.add_argument("run", metavar="RUN", help="a run folder with its int8 file")
    p.add_argument("--data-name", default="HAM10000", metavar="NAME", help="of its data set")
    p.add_argument("--out", default=str(models.WEIGHTS), metavar="DIR", help="(models/weights)")
    args = p.parse_args(argv)
    for path in release(Path(args.run), args.data_name, Path(args.out)):
        print(f"{path}  {path.stat().st_size:,} bytes")
    return 0


def release(run: Path, data_name: str, out: Path) -> list[Path]:
    """The files written; UserError where the run is not complete or the files would be too large.

    The folder of the data is replaced by ``data_name``: it is nobody else's business.
    """
    network, int8 = trained.load(run), run / NAME
    if network.config is None or not int8.exists():
        raise UserError(f"{run} has no {NAME}: python -m exporters.tflite {run} makes it")
    prepared = preparation.prepare(network.config)
    if prepared.dataset.fingerprint() != network.data_fingerprint:
        raise UserError(f"the data of {run} changed since: its test lesions cannot be listed")
    config = dataclasses.replace(network.config, data=data_name, threads=None)
    meta = checkpoint.load(network.path).meta
    params = {name: param.value for name, param in network.net.named_params().items()}
    state = Checkpoint(params, meta={k: meta[k] for k in KEPT} | {"config": config.to_json()})
    total = sum(value.nbytes for value in params.values()) + int8.stat().st_size
    if total > LARGEST:
        raise UserError(f"the files would have {total:,} bytes: at most {LARGEST:,} are released")
    RunFolder(out).create()
    files = [out / f"{network.model}{end}" for end in (".npz", "_int8.tflite", "_test_lesions.txt")]
    checkpoint.save(files[0], state)
    shutil.copyfile(int8, files[1])
    lesions = sorted(set(prepared.dataset.lesions[prepared.test]))
    write_text(files[2], "\n".join(lesions) + "\n")
    return files


if __name__ == "__main__":
    raise SystemExit(main())
