"""The generated set: the same bytes everywhere, the promised shares, and a readable folder."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from minicnn.data import ham10000, synthetic
from minicnn.data.lesions import RECIPES
from minicnn.errors import UserError

SHA256 = "9474ffd73e83ff58ca34a5aae9d6a1402dff607d04521145226083a78805431c"


@pytest.fixture(scope="module")
def small():
    return synthetic.generate(count=64, seed=0)


@pytest.fixture
def plain_pictures(monkeypatch):
    """Grey instead of painted pictures, for tests of what surrounds them."""
    monkeypatch.setattr(synthetic, "picture", lambda name, size, *streams: 128)


def test_bytes_are_the_same_on_any_machine(small):
    content = hashlib.sha256(small.images.tobytes())
    content.update(small.labels.astype("<i8").tobytes())
    content.update("\n".join([*small.lesions, *small.names]).encode())
    assert content.hexdigest() == SHA256


def test_a_seed_gives_one_set(small):
    again = synthetic.generate(count=64, seed=0)
    other = synthetic.generate(count=64, seed=1)
    for field in ("images", "labels", "lesions", "names"):
        assert np.array_equal(getattr(small, field), getattr(again, field))
    assert not np.array_equal(small.labels, other.labels)
    assert (small.images != other.images).mean() > 0.9
    assert (small.source, other.source) == ("generated, seed 0", "generated, seed 1")


def test_shapes_and_types(small):
    assert small.images.shape == (64, 64, 64, 3) and small.images.dtype == np.uint8
    assert small.labels.dtype == np.int64
    assert small.names[0] == "SYN_0000001" and len(set(small.names)) == 64
    assert small.classes == ham10000.CLASSES == tuple(RECIPES)


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_the_default_set(seed, plain_pictures):
    dataset = synthetic.generate(seed=seed)
    shares = dataset.counts() / len(dataset)
    assert len(dataset) == synthetic.DEFAULT_COUNT
    assert np.argmax(shares) == dataset.classes.index("nv") and 0.50 <= shares.max() <= 0.60
    pairs = sorted(set(zip(dataset.lesions.tolist(), dataset.labels.tolist(), strict=True)))
    assert len(pairs) == len(set(dataset.lesions)), "views of a lesion differ in their class"
    assert np.bincount([label for _, label in pairs], minlength=7).min() >= 20
    images_of = np.unique(dataset.lesions, return_inverse=True, return_counts=True)[1:]
    assert 0.3 <= (images_of[1][images_of[0]] > 1).mean() <= 0.4


def test_views_show_one_lesion_in_other_places(monkeypatch):
    monkeypatch.setattr("minicnn.data.clutter.add", lambda scene, view: None)  # light and noise
    dataset = synthetic.generate(count=300, seed=3)
    views = np.flatnonzero(dataset.lesions[1:] == dataset.lesions[:-1])
    assert all((dataset.images[i] != dataset.images[i + 1]).mean() > 0.5 for i in views)
    means = dataset.images.mean((1, 2))
    distance = np.abs(means[1:] - means[:-1]).mean(1)
    assert distance[views].mean() < 0.3 * np.delete(distance, views).mean()


@pytest.mark.parametrize("name", RECIPES)
def test_another_resolution_shows_the_same_scene(name, monkeypatch):
    monkeypatch.setattr(synthetic, "_plan", lambda *_: (np.array([1]), np.array([label])))
    label = list(RECIPES).index(name)
    coarse = synthetic.generate(1, (64, 64)).images[0].astype(float)
    fine = synthetic.generate(1, (128, 128)).images[0].astype(float)
    fine = fine.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(coarse - fine).mean() < 0.3 * coarse.std(axis=(0, 1)).mean()


def test_a_wide_picture_holds_the_square_one_in_its_middle():
    square = synthetic.generate(20, (48, 48)).images.astype(float)
    wide = synthetic.generate(20, (48, 64)).images.astype(float)
    assert np.abs(wide[:, :, 8:-8] - square).mean() < 10  # the sensor's noise differs


def test_a_picture_of_one_pixel():
    assert synthetic.generate(9, (1, 1)).images.shape == (9, 1, 1, 3)


def test_a_written_folder_reads_back(small, tmp_path):
    root = tmp_path / "new" / "set"
    synthetic.write_folder(root, small)
    index = ham10000.read(root)
    assert index.classes == small.classes
    for field in ("labels", "lesions", "names"):
        assert np.array_equal(getattr(index, field), getattr(small, field))
    for path, image in zip(index.paths, small.images, strict=True):
        with Image.open(path) as file:
            assert np.array_equal(np.asarray(file), image)
    header = (root / "HAM10000_metadata.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "lesion_id,image_id,dx,dx_type,age,sex,localization"


def test_an_empty_folder_is_filled_and_a_full_one_is_not(small, tmp_path):
    synthetic.write_folder(tmp_path, small)
    with pytest.raises(UserError, match="not empty"):
        synthetic.write_folder(tmp_path, small)
    with pytest.raises(UserError, match="is a file"):
        synthetic.write_folder(tmp_path / "HAM10000_metadata.csv", small)


def test_a_failure_leaves_nothing_behind(small, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="disk full"):
        synthetic.write_folder(tmp_path / "set", small)
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path, capsys):
    out = str(tmp_path / "set")
    assert synthetic.main([out, "--count", "30", "--size", "16x24", "--seed", "5"]) == 0
    assert "30 images" in capsys.readouterr().out
    expected = synthetic.generate(30, (16, 24), 5)
    with Image.open(ham10000.read(tmp_path / "set").paths[7]) as file:
        assert np.array_equal(np.asarray(file), expected.images[7])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "64"], "height x width"),
        (["--size", "0x9"], "height x width"),
        (["--count", "0"], "count 0"),
        (["--seed", "-1"], "seed -1"),
    ],
)
def test_mistakes_end_in_one_line(options, message, tmp_path, capsys):
    assert synthetic.main([str(tmp_path / "set"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "set").exists()
