"""The index: exact search, its files, what is embedded again, bad input."""

import json

import numpy as np
import pytest

from mmjax.errors import MissingFileError, UserError
from mmjax.search import Embedder, Index
from mmjax.search import build as building
from mmjax.search.build import build
from mmjax.search.embedder import of_index
from mmjax.search.index import FILE, DamagedIndexError
from tests.search.conftest import paint

pytestmark = pytest.mark.usefixtures("standard_promotion")


def made(vectors, mark="m"):
    names = [str(number) for number in range(len(vectors))]
    texts = [None] * len(vectors)
    return Index(vectors, names, texts, names, modality="image", source="s", run="r", mark=mark)


@pytest.fixture
def pictures(tmp_path):
    for number, word in enumerate(["red", "green", "blue"]):
        paint(tmp_path / "pictures" / word / f"{number}.png", word, number)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures"


@pytest.mark.parametrize(("count", "k"), [(1, 1), (7, 10), (1500, 10), (1500, 1500)])
def test_search_is_exact_and_of_equal_scores_the_first_item_comes_first(count, k, monkeypatch):
    monkeypatch.setattr("mmjax.search.index.SCORES", 4 * count)  # several parts
    rng = np.random.default_rng(0)
    vectors = rng.integers(-2, 3, (count, 3)).astype(np.float32)  # sums are exact, ties are many
    queries = rng.integers(-2, 3, (10, 3)).astype(np.float32)
    scores, numbers = made(vectors).search(queries, k)
    products = queries @ vectors.T
    expected = np.argsort(-products, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(products, expected, axis=1))


def test_an_index_is_read_back_and_damage_is_named(tmp_path):
    index = made(np.eye(4, dtype=np.float32))
    index.save(tmp_path / "index")
    index.save(tmp_path / "index")
    again = Index.open(tmp_path / "index")
    np.testing.assert_array_equal(again.vectors, index.vectors)
    assert again.names == index.names and again.mark == "m"
    (file,) = (tmp_path / "index").glob("*.safetensors")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    with pytest.raises(UserError, match=r"safetensors: expected the vectors .* got a damaged file"):
        Index.open(tmp_path / "index")
    file.unlink()
    with pytest.raises(DamagedIndexError, match=r"safetensors: .* got no file; mmjax index makes"):
        Index.open(tmp_path / "index")
    with pytest.raises(MissingFileError, match="mmjax index makes one"):
        Index.open(tmp_path / "other")
    path = tmp_path / "index" / FILE
    content = json.loads(path.read_text()) | {"checksum": None, "format": 9}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"index.json: expected format 1, got 9"):
        Index.open(tmp_path / "index")
    path.write_text(json.dumps(content | {"format": 1, "vectors": "../../secret", "names": [1]}))
    with pytest.raises(DamagedIndexError, match=r"index/secret: "):
        Index.open(tmp_path / "index")


def test_words_find_pictures_pictures_words_and_pictures_pictures(embedder, colours, tmp_path):
    built = build(embedder, colours[1], tmp_path / "pictures")
    assert (len(built.index), built.embedded, built.faults) == (64, 64, [])
    for word in ("red", "blue square"):
        hits = built.index.hits(embedder("words", [word])[0], 5)
        assert all(f"pictures/{word.split()[0]}/" in hit.name for hit in hits), word
        assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
        assert hits[0].text.startswith(word.split()[0])
    picture = embedder.read("image", "pictures/red/0.png", colours[1].parent)
    (hit, *_) = built.index.hits(embedder("image", [picture])[0])
    assert hit.name == "pictures/red/0.png" and hit.score == pytest.approx(1, abs=1e-5)
    texts = build(embedder, colours[1], tmp_path / "texts", modality="words").index
    (hit, *_) = texts.hits(embedder("image", [picture])[0])
    assert hit.text.startswith("red") and hit.name.isdecimal()


def test_a_picture_with_several_captions_is_one_item(embedder, pictures, tmp_path):
    rows = [("red/0.png", "red"), ("green/1.png", "green"), ("red/0.png", "red square")]
    rows += [("red/0.png", "red"), ("", "blue")]
    table = pictures / "captions.csv"
    table.write_text("\n".join(["image,words", *(",".join(row) for row in rows)]) + "\n")
    index = build(embedder, table, tmp_path / "index").index
    assert list(index.names) == ["red/0.png", "green/1.png"]
    assert list(index.texts) == ["red; red square", "green"]
    texts = build(embedder, table, tmp_path / "texts", modality="words").index
    assert list(texts.texts) == ["red", "green", "red square", "blue"]
    (pictures / "copy.png").write_bytes((pictures / "red" / "0.png").read_bytes())
    assert len(build(embedder, pictures, tmp_path / "copies").index) == 4  # two files


def test_only_what_is_new_or_changed_is_embedded(embedder, pictures, tmp_path):
    first = build(embedder, pictures, tmp_path / "index")
    assert (len(first.index), first.embedded, first.removed) == (3, 3, 0)
    ((place, _, outcome, reason),) = first.faults
    assert (place, outcome) == ("notes.txt", "skipped") and "expected a" in reason
    again = build(embedder, pictures, tmp_path / "index")
    assert (len(again.index), again.embedded) == (3, 0)
    paint(pictures / "red" / "0.png", "white")  # changed
    paint(pictures / "deep" / "er" / "7.png", "white", 7)  # new
    (pictures / "green" / "1.png").rename(pictures / "1.png")  # moved
    (pictures / "blue" / "2.png").unlink()  # removed
    third = build(embedder, pictures, tmp_path / "index")
    assert sorted(third.index.names) == ["1.png", "deep/er/7.png", "red/0.png"]
    assert (third.embedded, third.removed) == (2, 2)
    fresh = build(embedder, pictures, tmp_path / "fresh").index
    assert list(fresh.names) == list(third.index.names)
    np.testing.assert_allclose(fresh.vectors, third.index.vectors, atol=1e-6)


def test_a_damaged_index_is_made_again(embedder, pictures, tmp_path):
    build(embedder, pictures, tmp_path / "index")
    (file,) = (tmp_path / "index").glob("*.safetensors")
    file.write_bytes(b"x")
    assert build(embedder, pictures, tmp_path / "index").embedded == 3
    file.unlink()
    (tmp_path / "index" / FILE).unlink()
    file.write_bytes(b"x")  # as when the first save was killed
    assert build(embedder, pictures, tmp_path / "index").embedded == 3
    assert len(Index.open(tmp_path / "index")) == 3


def test_pictures_that_are_arrays_in_a_table(embedder, tmp_path):
    pictures = np.zeros((3, 32, 32, 3), np.uint8)
    pictures[:, 12:20, 12:20] = [[[[250, 0, 0]]], [[[0, 250, 0]]], [[[0, 0, 250]]]]
    np.savez(tmp_path / "a.npz", image=pictures)
    first = build(embedder, tmp_path / "a.npz", tmp_path / "index")
    assert len(first.index) == 3
    pictures[1, 14, 14] = 99
    np.savez(tmp_path / "a.npz", image=pictures)
    assert build(embedder, tmp_path / "a.npz", tmp_path / "index").embedded == 1


def test_a_path_in_an_object_is_followed(embedder, pictures, tmp_path):
    (pictures / "a.jsonl").write_text('{"image": {"path": "red/0.png"}}\n')
    assert build(embedder, pictures / "a.jsonl", tmp_path / "i").index.names == ["red/0.png"]
    paint(pictures / "red" / "0.png", "blue")
    assert build(embedder, pictures / "a.jsonl", tmp_path / "i").embedded == 1


def test_a_vector_that_is_not_finite_is_a_fault(embedder, pictures, tmp_path, monkeypatch):
    call = Embedder.__call__

    def broken(self, modality, values):
        vectors = call(self, modality, values)
        vectors[1] = np.nan
        return vectors

    monkeypatch.setattr(Embedder, "__call__", broken)
    built = build(embedder, pictures, tmp_path / "index")
    assert (len(built.index), built.embedded) == (2, 2)
    assert "its vector is not finite" in [fault.reason for fault in built.faults]


def test_an_interrupted_index_goes_on(embedder, pictures, tmp_path, monkeypatch):
    build(embedder, pictures, tmp_path / "index")
    for number in range(4):
        paint(pictures / f"{number}.png", "blue", number + 9)
    read, reads = embedder.read, []

    def interrupted(*arguments):
        reads.append(arguments)
        if len(reads) == 3:
            raise KeyboardInterrupt
        return read(*arguments)

    monkeypatch.setattr(embedder, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(embedder, pictures, tmp_path / "index")
    assert len(Index.open(tmp_path / "index")) == 5  # two new ones, and the three from before
    built = build(embedder, pictures, tmp_path / "index")
    assert (len(built.index), built.embedded) == (7, 2)


def test_an_index_is_saved_meanwhile(embedder, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "SAVE_EVERY", 0.0)
    sizes = []
    save = Index.save
    monkeypatch.setattr(
        Index, "save", lambda self, path: (sizes.append(len(self)), save(self, path))
    )
    build(embedder, pictures, tmp_path / "index")
    assert sizes == [1, 2, 2, 3, 3]  # one file is no picture


def test_an_index_of_another_run_or_source_is_refused(embedder, pictures, colours, tmp_path):
    out = tmp_path / "index"
    index = build(embedder, pictures, out).index
    with pytest.raises(UserError, match=r"is an index of another source, .*pictures; delete it or"):
        build(embedder, colours[1], out)
    with pytest.raises(UserError, match="is an index of another modality, image"):
        build(embedder, pictures, out, modality="words")
    assert isinstance(of_index(index, out), Embedder)
    other = made(index.vectors, "another")
    with pytest.raises(UserError, match="another run or checkpoint than"):
        of_index(other, out, colours[0])
    with pytest.raises(MissingFileError, match=r"its run is not at .*--run"):
        of_index(other, out)
    other.save(tmp_path / "other")
    with pytest.raises(UserError, match="is an index of another run, r; delete"):
        build(embedder, pictures, tmp_path / "other")
    with pytest.raises(UserError, match="expected an index or a new folder"):
        build(embedder, pictures, colours[0])
    with pytest.raises(UserError, match=r"expected a folder outside of .*pictures, which is index"):
        build(embedder, pictures, pictures / "index")


def test_what_cannot_be_indexed_is_named(embedder, pictures, colours, finished, tmp_path):
    out = tmp_path / "index"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: expected something to index as image, got none"):
        build(embedder, tmp_path / "empty", out)
    with pytest.raises(UserError, match="no modality 'sound'; choose from image, words"):
        build(embedder, pictures, out, modality="sound")
    with pytest.raises(UserError, match=r"no column 'photo'; choose from image, words"):
        build(embedder, colours[1], out, modality="image", column="photo")
    (tmp_path / "a.csv").write_text("photo,name\n1.png,red\n")
    with pytest.raises(UserError, match="no column of image, words among photo, name; say"):
        build(embedder, tmp_path / "a.csv", out)
    with pytest.raises(MissingFileError, match="nowhere: expected a folder or a table"):
        build(embedder, tmp_path / "nowhere", out)
    with pytest.raises(UserError, match=r"1.png: .*no file") as caught:
        build(embedder, tmp_path / "a.csv", out, modality="image", column="photo")
    assert "a.csv: expected something to index as image" in str(caught.value)
    with pytest.raises(UserError, match=r"expected a run of .*DualEncoder, got one of Multimodal"):
        Embedder(finished[0])
    with pytest.raises(UserError, match="words 'purple sky': none of its words is known"):
        embedder.read("words", "purple sky")
    assert not out.exists()
