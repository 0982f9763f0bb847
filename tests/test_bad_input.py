"""Every user's mistake ends in exit status 2 and one line that says what would be right."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from small import train, write_data

from minicnn import checkpoint
from minicnn.evaluate import main as evaluate
from minicnn.predict import main as predict
from minicnn.train import main


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("ham") / "data")


@pytest.fixture(scope="module")
def stepped(original, tmp_path_factory):
    """A run of one step."""
    run = tmp_path_factory.mktemp("runs") / "done"
    assert train(original, run, "--steps", "1") == 0
    return run


@pytest.fixture
def data(original, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(original, tmp_path / "data")


@pytest.fixture
def refused(capsys, tmp_path):
    """A function (*words, command=main, argv=...) that checks the one line on stderr."""

    def check(code, *words):
        assert code == 2
        error = capsys.readouterr().err
        lines = [line for line in error.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and error.rstrip().endswith(lines[0]), error
        assert "Traceback" not in error
        for word in words:
            assert word in lines[0], lines[0]
        assert not (tmp_path / "run").exists()  # nothing half made

    return check


def rewrite_csv(data, change):
    path = data / "HAM10000_metadata.csv"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def picture(data, number=0):
    return sorted((data / "HAM10000_images_part_1").iterdir())[number]


def test_no_such_folder(tmp_path, refused):
    refused(train(tmp_path / "nowhere", tmp_path / "run"), "no such folder", "nowhere")


def test_csv_without_a_needed_column(data, tmp_path, refused):
    rewrite_csv(data, lambda lines: [lines[0].replace("lesion_id", "lesion"), *lines[1:]])
    refused(train(data, tmp_path / "run"), "lesion_id", "HAM10000_metadata.csv")


def test_row_whose_image_is_missing(data, tmp_path, refused):
    gone = picture(data)
    gone.unlink()
    refused(train(data, tmp_path / "run"), gone.stem, "no such file", "--skip-bad")


def test_unknown_class(data, tmp_path, refused):
    rewrite_csv(data, lambda lines: [lines[0], lines[1].replace(",nv,", ",xyz,"), *lines[2:]])
    first = (data / "HAM10000_metadata.csv").read_text().splitlines()[1]
    if "xyz" not in first:
        rewrite_csv(data, lambda lines: [*lines, "L1,SYN_1,xyz,histo,50,male,back"])
    refused(train(data, tmp_path / "run"), "xyz", "nv")


def test_a_class_with_one_lesion(data, tmp_path, refused):
    def keep_one(lines):
        rare = [line for line in lines if ",df," in line]
        return [line for line in lines if ",df," not in line] + rare[:1]

    rewrite_csv(data, keep_one)
    refused(train(data, tmp_path / "run"), "df", "lesion")


@pytest.mark.parametrize(
    "content, reason", [(b"", "empty"), (b"text", "not an image"), (None, "truncated")]
)
def test_images_that_cannot_be_read(data, tmp_path, refused, content, reason):
    broken = picture(data, 3)
    broken.write_bytes(broken.read_bytes()[:900] if content is None else content)
    refused(train(data, tmp_path / "run"), "1 of 120", broken.stem, reason, "--skip-bad")


def test_the_first_ten_bad_images_are_named_and_all_counted(data, tmp_path, refused, capsys):
    for number in range(12):
        picture(data, number).write_bytes(b"")
    names = [picture(data, number).stem for number in range(12)]
    code = train(data, tmp_path / "run")
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2 and "12 of 120" in error
    assert sum(name in error for name in names) == 10


def test_skip_bad_leaves_them_out_and_records_them(data, tmp_path):
    broken = picture(data, 3)
    broken.write_bytes(b"")
    assert train(data, tmp_path / "run", "--skip-bad", "--steps", "1") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    ((name, reason),) = config["skipped"]
    assert name == broken.stem and "empty" in reason
    assert sum(config["train_images"]) + sum(config["test_images"]) == 119


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "I;16", "1", "LA"])
def test_images_that_can_be_converted_are(data, tmp_path, mode):
    path = picture(data, 5)
    converted = Image.new(mode, (32, 32)) if mode == "I;16" else Image.open(path).convert(mode)
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    converted.save(path, format=kind)
    assert train(data, tmp_path / "run", "--steps", "1") == 0


def test_batch_larger_than_the_set(data, tmp_path, refused):
    refused(train(data, tmp_path / "run", "--batch", "500"), "--batch 500", "training images")


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--size", "32"], ["size '32'", "height x width"]),
        (["--size", "20x300"], ["pool5", "31"]),
        (["--epochs", "0"], ["--epochs 0"]),
        (["--lr", "-1"], ["--lr"]),
        (["--lr", "nan"], ["--lr"]),
        (["--seed", "-1"], ["--seed"]),
        (["--threads", "4000"], ["--threads 4000", "at most"]),
        (["--undersample", "1.5"], ["1.5"]),
        (["--thin", "1.5"], ["1.5"]),
        (["--set", "lr"], ["--set lr", "NAME=VALUE"]),
        (["--set", "speed=9"], ["speed", "augment.rotation"]),
        (["--set", "augment=3"], ["augment=3", "NAME=VALUE"]),
        (["--set", "augment.zoom=much"], ["augment.zoom=much", "number"]),
        (["--set", "standardize=1"], ["standardize=1", "true or false"]),
        (["--set", "schedule=none"], ["schedule 'none'", "cosine"]),
    ],
)
def test_impossible_settings(original, tmp_path, refused, flags, words):
    refused(train(original, tmp_path / "run", *flags), *words)


def test_unknown_and_missing_network(refused):
    refused(main(["resnet"]), "resnet", "squeezenet")
    refused(main([]), "squeezenet")


def test_words_of_the_command_line_that_make_no_sense(refused):
    refused(main(["squeezenet", "--sise", "3"]), "--sise")
    refused(main(["squeezenet", "--epochs", "many"]), "--epochs", "many")
    refused(main(["squeezenet", "--optimizer", "lbfgs"]), "lbfgs", "sgd")
    refused(evaluate([]), "RUN")
    refused(predict(["run"]), "IMAGE")


def test_a_deep_network_on_small_images(original, tmp_path, refused):
    code = main(["deepsqueeze", "--data", str(original), "--size", "64x64"])
    refused(code, "deepsqueeze", "255")


def test_an_output_folder_that_is_not_empty(original, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    assert train(original, tmp_path / "full") == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_an_output_folder_that_cannot_be_made(original, tmp_path, refused):
    (tmp_path / "file").write_text("")
    refused(train(original, tmp_path / "file" / "deeper"), "file")


def test_an_output_folder_that_may_not_be_made(original, tmp_path, refused):
    # where root, too, is refused
    refused(main(["squeezenet", "--data", str(original), "--size", "32x32", "--out", "/proc/run"]))


def test_a_picture_for_a_folder_that_is_not_there(stepped, tmp_path, capsys):
    assert evaluate([str(stepped), "--out", str(tmp_path / "none" / "a.png")]) == 2
    assert "no such folder" in capsys.readouterr().err
    for flag in ("--out", "--predictions", "--report"):
        assert evaluate([str(stepped), flag, str(tmp_path)]) == 2
        assert "is a folder: name a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 7),
        ("input_shape", "abc"),
        ("input_shape", [32]),
        ("normalization", {}),
        ("normalization", None),
        ("normalization", {"mean": 5, "std": 1.0}),
    ],
)
def test_a_checkpoint_with_damaged_settings(stepped, tmp_path, capsys, name, value):
    state = checkpoint.load(stepped / "last.npz")
    state.meta[name] = value
    checkpoint.save(tmp_path / "odd.npz", state)
    assert evaluate([str(tmp_path / "odd.npz")]) == 2
    assert "odd.npz has damaged settings" in capsys.readouterr().err


def test_data_that_is_gone(data, tmp_path, capsys):
    assert train(data, tmp_path / "done", "--steps", "1") == 0
    data.rename(tmp_path / "moved")
    assert evaluate([str(tmp_path / "done")]) == 2
    assert "which is not there: say with --data DIR" in capsys.readouterr().err
    assert evaluate([str(tmp_path / "done"), "--data", str(tmp_path / "moved")]) == 0


def test_a_full_disk(original, tmp_path, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", str(tmp_path / "run"))

    monkeypatch.setattr(np, "savez", full)
    assert train(original, tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error and "Traceback" not in error


def test_only_epochs_steps_and_threads_change_on_resume(stepped, capsys):
    run = str(stepped)
    for flags in (["--lr", "0.1"], ["--size", "64x64"], ["--class-weights", "none"]):
        assert main(["--resume", run, *flags]) == 2
        assert f"{flags[0]} cannot change" in capsys.readouterr().err
    assert main(["alexnet", "--resume", run]) == 2
    assert "trains squeezenet" in capsys.readouterr().err


def test_data_that_changed_under_a_run(data, tmp_path, capsys):
    assert train(data, tmp_path / "done", "--steps", "1") == 0
    rewrite_csv(data, lambda lines: lines[:-1])
    assert main(["--resume", str(tmp_path / "done"), "--steps", "2"]) == 2
    assert "not what the run began with" in capsys.readouterr().err
    assert evaluate([str(tmp_path / "done")]) == 2
    assert "changed since the training" in capsys.readouterr().err
    assert evaluate([str(tmp_path / "done"), "--split", "all"]) == 0


@pytest.mark.parametrize("command", [evaluate, lambda argv: predict([*argv, "x.jpg"])])
@pytest.mark.parametrize("kind", ["nothing", "empty folder", "damaged", "foreign", "pickled"])
def test_runs_that_are_none(tmp_path, refused, command, kind):
    path = tmp_path / "last.npz"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "damaged":
        checkpoint.save(path, checkpoint.Checkpoint({"w": np.zeros(100)}))
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "foreign":
        np.savez(path, w=np.zeros(3))
    elif kind == "pickled":
        np.savez(path, meta=np.array({"a": 1}, dtype=object))
    refused(command([str(path)]), "last.npz")


def test_resuming_a_checkpoint_that_no_run_wrote(tmp_path, capsys):
    checkpoint.save(tmp_path / "last.npz", checkpoint.Checkpoint({"w": np.zeros(3)}))
    assert main(["--resume", str(tmp_path)]) == 2
    assert "does not say its best: wanted a run folder" in capsys.readouterr().err


def test_evaluating_unknown_classes(original, tmp_path, capsys):
    assert train(original, tmp_path / "done", "--steps", "1") == 0
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "nv").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "pets" / "cat" / "a.png")
    Image.new("RGB", (32, 32)).save(tmp_path / "pets" / "nv" / "a.png")
    assert evaluate([str(tmp_path / "done"), "--data", str(tmp_path / "pets")]) == 2
    assert "cat" in capsys.readouterr().err
