"""HAM10000's layout, a folder per class, and which of them a folder is taken for."""

import numpy as np
import pytest
from PIL import Image
from small import PHOTOGRAPHS

from minicnn import data
from minicnn.data import folder, ham10000
from minicnn.data.split import leaked_lesions, split
from minicnn.errors import UserError

HEADER = "lesion_id,image_id,dx,dx_type"
ROWS = ["L1,I1,nv,histo", "L1,I2,nv,histo", "L2,I3,mel,histo", "L3,I4,bcc,histo"]
SEVEN = ham10000.CLASSES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))


def put(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path)


def ham(tmp_path, rows=ROWS, header=HEADER, name="HAM10000_metadata.csv", encoding="utf-8"):
    root = tmp_path / "ham"
    put(root / "HAM10000_images_part_1" / "I1.jpg")
    put(root / "HAM10000_images_part_1" / "I2.jpg")
    put(root / "HAM10000_images_part_2" / "I3.jpg")
    put(root / "HAM10000_images_part_2" / "I4.jpg")
    (root / name).write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return root


def classes(tmp_path, **images):
    root = tmp_path / "set"
    for name, files in images.items():
        (root / name).mkdir(parents=True)
        for file in files:
            put(root / name / file)
    return root


def error_of(function, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["HAM10000_metadata.csv", "HAM10000_metadata"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_ham10000(tmp_path, name, encoding):
    root = ham(tmp_path, name=name, encoding=encoding)
    assert ham10000.is_layout(root)
    index = ham10000.read(root)
    assert index.classes == ("bcc", "mel", "nv")
    assert index.labels.tolist() == [2, 2, 1, 0]
    assert index.labels.dtype == np.int64
    assert index.lesions.tolist() == ["L1", "L1", "L2", "L3"]
    assert index.names.tolist() == ["I1", "I2", "I3", "I4"]
    assert index.paths[3] == root / "HAM10000_images_part_2" / "I4.jpg"


def test_ham10000_windows_lines_blank_lines_and_other_column_order(tmp_path):
    root = ham(tmp_path, ["nv, I1 ,L1\r", "", "mel,I3,L2\r"], "dx, image_id ,lesion_id\r")
    index = ham10000.read(root)
    assert index.names.tolist() == ["I1", "I3"]
    assert index.classes == ("mel", "nv")


def test_ham10000_images_anywhere(tmp_path):
    root = ham(tmp_path, [*ROWS, "L5,I5,df,x", "L6,I6,vasc,x", "L7,I7,bkl,x"])
    put(root / "I5.png")
    put(root / "more" / "deeper" / "I6.JPG")
    put(root / "I7.jpeg")
    put(root / "AAA_masks" / "I1.png")
    put(root / ".hidden" / "I5.png")
    (root / "._I5.jpg").touch()
    index = ham10000.read(root)
    assert index.paths[0] == root / "HAM10000_images_part_1" / "I1.jpg"
    assert index.paths[4:] == [root / "I5.png", root / "more/deeper/I6.JPG", root / "I7.jpeg"]


def test_ham10000_labels_follow_a_trained_run(tmp_path):
    index = ham10000.read(ham(tmp_path), SEVEN)
    assert index.classes == SEVEN
    assert index.labels.tolist() == [5, 5, 4, 1]
    message = error_of(ham10000.read, ham(tmp_path), ("mel", "nv"))
    assert "line 5" in message
    assert "'bcc'" in message
    assert "mel, nv" in message


@pytest.mark.parametrize(
    ("rows", "header", "wanted"),
    [
        (ROWS, "lesion_id,image_id,diagnosis,t", ["no column dx", "lesion_id, image_id, dx"]),
        (ROWS, "lesion,image,dx,t", ["no column lesion_id, image_id:"]),
        ([*ROWS, "L5,I5,wart,x"], HEADER, ["line 6", "'wart'", "I5", "akiec, bcc, bkl"]),
        ([*ROWS, "L5,I5"], HEADER, ["line 6", "unknown dx ''"]),
        ([*ROWS, "L5,,nv,x"], HEADER, ["line 6", "image_id is empty"]),
        ([*ROWS, ",I5,nv,x"], HEADER, ["line 6", "lesion_id is empty"]),
        ([*ROWS, "L9,I2,nv,x"], HEADER, ["line 6", "I2", "line 3"]),
        ([], HEADER, ["is empty"]),
        ([], "", ["is empty"]),
        (ROWS[:2], HEADER, ["'nv' only"]),
    ],
)
def test_ham10000_mistakes_in_the_csv(tmp_path, rows, header, wanted):
    message = error_of(ham10000.read, ham(tmp_path, rows, header))
    assert "HAM10000_metadata.csv" in message
    for text in wanted:
        assert text in message


def test_ham10000_not_text(tmp_path):
    root = ham(tmp_path)
    (root / "HAM10000_metadata.csv").write_bytes(b"lesion_id,image_id,dx\n\xff\xfe\xff,1,nv\n")
    assert "UTF-8" in error_of(ham10000.read, root)


def test_ham10000_missing_image_goes_the_way_of_a_bad_one(tmp_path):
    root = ham(tmp_path, [*ROWS, "L8,I8,nv,x"])
    (root / "HAM10000_images_part_1" / "I1.jpg").write_text("no image")
    message = error_of(data.load, root, (6, 8))
    assert "2 of 5 images" in message
    assert "I8 (no such file)" in message
    assert "--skip-bad" in message
    dataset = data.load(root, (6, 8), skip_bad=True)
    assert dataset.names.tolist() == ["I2", "I3", "I4"]
    assert [name for name, _ in dataset.skipped] == ["I1", "I8"]
    put(root / "HAM10000_images_part_2" / "I8.jpg")
    assert len(data.load(root, (6, 8), skip_bad=True)) == 4


def test_folder(tmp_path):
    root = classes(tmp_path, nv=["2.jpg", "10.PNG"], mel=["x.tiff"])
    put(root / "mel" / "deeper" / "y.webp")
    put(root / "mel" / ".hidden.png")
    put(root / "nv" / ".thumbs" / "z.png")
    put(root / ".cache" / "w.png")
    (root / "nv" / "notes.txt").touch()
    index = folder.read(root)
    assert index.classes == ("mel", "nv")
    assert index.names.tolist() == ["mel/deeper/y.webp", "mel/x.tiff", "nv/10.PNG", "nv/2.jpg"]
    assert index.labels.tolist() == [0, 0, 1, 1]
    assert index.labels.dtype == np.int64
    assert len(set(index.lesions)) == 4
    assert index.paths == [root / name for name in index.names]


def test_folder_labels_follow_a_trained_run(tmp_path):
    root = classes(tmp_path, nv=["1.jpg"])
    assert folder.read(root, ("df", "mel", "nv")).labels.tolist() == [2]
    message = error_of(folder.read, root, ("df", "mel"))
    assert "'nv'" in message
    assert "df, mel" in message


def test_folder_mistakes(tmp_path):
    (tmp_path / "bare").mkdir()
    assert "no sub-folders" in error_of(folder.read, tmp_path / "bare")
    root = classes(tmp_path, only=["1.jpg"])
    assert "'only'" in error_of(folder.read, root)
    (root / "void").mkdir()
    (root / "void" / "readme.txt").touch()
    message = error_of(folder.read, root)
    assert str(root / "void") in message
    assert "no images" in message


def test_load_chooses_the_layout(tmp_path):
    assert data.load(ham(tmp_path), (6, 8)).classes == ("bcc", "mel", "nv")
    dataset = data.load(str(classes(tmp_path, a=["1.png"], b=["2.png"])), (3, 4))
    assert dataset.classes == ("a", "b")
    assert dataset.images.shape == (2, 3, 4, 3)
    assert dataset.images[0, 0, 0].tolist() == [255, 0, 0]


def test_load_says_what_it_looked_for(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "bare").mkdir()
    for name, start in (("none", "no such folder"), ("file", "is a file"), ("bare", "neither")):
        message = error_of(data.load, tmp_path / name, (8, 8))
        assert start in message
        assert str(tmp_path / name) in message
        assert "HAM10000_metadata.csv" in message
        assert "sub-folder" in message
    assert "0x8" in error_of(data.load, None, (0, 8))


def test_load_does_not_take_the_image_folders_for_classes(tmp_path):
    root = ham(tmp_path)
    (root / "HAM10000_metadata.csv").unlink()
    assert "HAM10000_metadata.csv" in error_of(data.load, root, (6, 8))


def test_load_generates_without_a_folder(tmp_path, monkeypatch):
    asked = {}

    def generate(size, seed):
        asked.update(size=size, seed=seed)
        return data.Dataset(*[np.zeros(0)] * 4, SEVEN, "generated")

    monkeypatch.setattr("minicnn.data.synthetic.generate", generate)
    assert data.load(None, (8, 9), seed=3, classes=SEVEN).classes == SEVEN
    assert asked == {"size": (8, 9), "seed": 3}
    assert "a, b" in error_of(data.load, None, (8, 9), classes=("a", "b"))


@pytest.mark.skipif(not ham10000.is_layout(PHOTOGRAPHS), reason=f"HAM10000 is not at {PHOTOGRAPHS}")
def test_the_real_data_set():
    dataset = data.load(PHOTOGRAPHS, (8, 10))  # decoding is all the time this takes
    assert len(dataset) == 8012
    assert dataset.classes == SEVEN
    counts = dataset.counts()
    assert counts.tolist() == [262, 411, 879, 92, 890, 5364, 114]
    assert 100 < dataset.images.mean() < 200
    assert dataset.images[..., 0].mean() > dataset.images[..., 2].mean()  # skin is redder than blue
    leaks = {}
    for by in ("lesion", "image"):
        train, test = split(dataset.labels, dataset.lesions, dataset.classes, by)
        np.testing.assert_array_equal(dataset.counts(test), np.round(counts * 0.2))
        leaks[by] = leaked_lesions(dataset.lesions, train, test)
    assert leaks["lesion"] == 0
    assert leaks["image"] > 300
