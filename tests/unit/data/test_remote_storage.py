"""Files in object storage, tested with fsspec's memory:// store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.registry import _registry
from PIL import Image

from reliableswap.data.photos import list_photos, read_photo
from reliableswap.data.storage import (
    FolderListing,
    as_path,
    is_remote,
    local_copy,
    local_folder,
    readable,
    remote_files,
    remove,
    remove_stale_drafts,
    write_array,
    write_atomic,
    write_text,
)
from reliableswap.errors import PictureError, ReliableSwapError


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RELIABLESWAP_CACHE", str(tmp_path / "cache"))
    _empty_memory()
    yield as_path("memory://bucket/run")
    _empty_memory()


def _empty_memory() -> None:
    """Empty the process-wide store, which other tests may have used."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_local_paths_stay_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path, str(tmp_path), f"file://{tmp_path}", Path(f"file://{tmp_path}")):
        assert as_path(place) == tmp_path
        assert not is_remote(as_path(place))
    monkeypatch.chdir(tmp_path)
    assert as_path("runs/one") == Path("runs/one")
    (tmp_path / "s3:" / "x").mkdir(parents=True)
    assert as_path(Path("s3:/x")) == Path("s3:/x")  # a folder of this name exists
    assert local_copy(tmp_path / "a") == tmp_path / "a"


def test_a_url_survives_conversion_to_a_path(bucket: Path) -> None:
    for place in ("memory://bucket/run", Path("memory://bucket/run"), bucket):
        assert str(as_path(place)) == "memory://bucket/run"
        assert is_remote(as_path(place))


def test_an_unknown_scheme_is_an_error() -> None:
    with pytest.raises(ReliableSwapError, match="can't be opened"):
        as_path("nowhere://bucket/run")


def test_a_remote_file_is_written_atomically(bucket: Path) -> None:
    def fails(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(bucket / "a.txt", fails)
    assert names(bucket) == []
    write_text(bucket / "a.txt", "whole")
    with pytest.raises(OSError, match="disk full"):
        write_atomic(bucket / "a.txt", fails)
    assert names(bucket) == ["a.txt"]
    assert (bucket / "a.txt").read_text() == "whole"


def test_an_upload_that_fails_leaves_the_file_before(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(bucket / "a.txt", "before")

    def torn(self: object, local: str, remote: str, **_: object) -> None:
        self.pipe_file(remote, b"ha")  # type: ignore[attr-defined]
        raise OSError("connection lost")

    monkeypatch.setattr(type(bucket.fs), "put_file", torn)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="connection lost"):
        write_text(bucket / "a.txt", "after")
    assert names(bucket) == ["a.txt"]
    assert (bucket / "a.txt").read_text() == "before"


def test_a_copy_is_made_once_for_each_version(bucket: Path) -> None:
    write_array(bucket / "rows.npy", np.arange(4))
    first = local_copy(bucket / "rows.npy")
    assert first.name == "rows.npy"
    assert np.load(first, mmap_mode="r").tolist() == [0, 1, 2, 3]
    assert local_copy(bucket / "rows.npy") == first
    write_array(bucket / "rows.npy", np.arange(5))
    assert np.load(local_copy(bucket / "rows.npy")).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(FileNotFoundError):
        local_copy(bucket / "none.npy")


def test_parts_of_a_remote_file_are_read_from_a_stream(bucket: Path, tmp_path: Path) -> None:
    write_text(bucket / "a.txt", "text")
    stream = readable(bucket / "a.txt")
    assert isinstance(stream, io.IOBase)
    assert stream.read() == b"text"
    assert readable(tmp_path) == tmp_path
    remove_stale_drafts(bucket, 1e12)
    assert names(bucket) == ["a.txt"]


def picture(level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_photos_are_listed_and_read(bucket: Path) -> None:
    for name in ("ann/1.png", "ann/2.png", "crowd/x.png", "bob.png", ".hidden/3.png", "ann/notes.txt"):
        (bucket / name).write_bytes(picture(len(name)))
    photos = list_photos(bucket, ["crowd"])
    assert [(p.name, p.identity) for p in photos] == [
        ("ann/1.png", "ann"), ("ann/2.png", "ann"), ("bob.png", "bob"), ("crowd/x.png", "x"),
    ]  # fmt: skip
    assert photos[0].bytes == len(picture(9))
    assert (read_photo(photos[0]) == 9).all()
    (bucket / "ann/1.png").write_bytes(picture(50))
    assert list_photos(bucket)[0].stamp != photos[0].stamp
    (bucket / "ann/1.png").write_bytes(b"no picture")
    with pytest.raises(PictureError):
        read_photo(photos[0])
    (bucket / "list.csv").write_text("path,identity\nann/2.png,Ann\n")
    (listed,) = list_photos(bucket / "list.csv")
    assert (listed.identity, int(read_photo(listed)[0, 0, 0])) == ("Ann", 9)
    with pytest.raises(ReliableSwapError, match=r"no pictures in|neither a folder"):
        list_photos(as_path("memory://bucket/none"))


@pytest.fixture(params=["gs", "hf"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An in-memory store instead of the client for gs:// or hf://, which tests can't reach."""
    from fsspec.implementations.memory import MemoryFileSystem

    class Cloud(MemoryFileSystem):
        protocol = request.param
        store: ClassVar[dict] = {}
        pseudo_dirs: ClassVar[list] = [""]

        def mv(self, *_: object, **__: object) -> None:
            raise AssertionError("an upload is whole by itself, and a move would copy it")

    monkeypatch.setenv("RELIABLESWAP_CACHE", str(tmp_path / "cache"))
    before = dict(_registry)
    fsspec.register_implementation(request.param, Cloud, clobber=True)
    yield as_path(f"{request.param}://datasets/owner/name")
    _registry.clear()
    _registry.update(before)


def test_other_stores_work_alike(cloud: Path) -> None:
    write_text(cloud / "data/a.txt", "whole")
    write_array(cloud / "rows.npy", np.arange(4))
    assert (cloud / "data/a.txt").read_text() == "whole"
    assert np.load(local_copy(cloud / "rows.npy")).tolist() == [0, 1, 2, 3]
    assert sorted(name for name, _, _ in remote_files(cloud)) == ["data/a.txt", "rows.npy"]
    copy = local_folder(cloud)
    assert (copy / "data/a.txt").read_text() == "whole"
    assert local_folder(cloud) == copy
    write_text(cloud / "data/a.txt", "another")
    assert (local_folder(cloud) / "data/a.txt").read_text() == "another"
    write_atomic(cloud / "ann/1.png", lambda draft: draft.write_bytes(picture(7)))
    (photo,) = list_photos(cloud)
    assert (photo.identity, int(read_photo(photo)[0, 0, 0])) == ("ann", 7)
    names = FolderListing(cloud / "data", age=0)
    assert "a.txt" in names
    assert "b.txt" not in names
    for _ in range(2):
        remove(cloud / "rows.npy")
        assert not (cloud / "rows.npy").exists()


def test_a_name_that_points_outside_its_folder_is_refused(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = {"/bucket/run/../x.txt": {"size": 1}}
    monkeypatch.setattr(type(bucket.fs), "find", lambda *_, **__: listing)  # type: ignore[attr-defined]
    with pytest.raises(ReliableSwapError, match=r"holds a file called \.\./x\.txt"):
        list(remote_files(bucket))
