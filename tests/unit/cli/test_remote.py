"""URLs on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from reliableswap.cli import main
from reliableswap.cli.remote import run_with_local_copies
from reliableswap.data.storage import as_path
from reliableswap.errors import ReliableSwapError


@pytest.fixture(autouse=True)
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RELIABLESWAP_CACHE", str(tmp_path / "copies"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    place = as_path("memory://bucket")
    for name in ("a.jpg", "people/ann/1.jpg", "people/bob/2.jpg"):
        (place / name).write_bytes(name.encode())
    yield place
    files.store.clear()


def parsed_arguments(**values: object) -> argparse.Namespace:
    return argparse.Namespace(**{"command": "swap", "overwrite": False, "consent": "s3 is fine", **values})


def test_files_are_fetched_and_results_uploaded(bucket: Path, tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"here")

    def run(arguments: argparse.Namespace) -> int:
        first, second = map(Path, arguments.pictures)
        assert second == tmp_path / "b.jpg"
        assert (first.name, first.read_bytes()) == ("a.jpg", b"a.jpg")
        assert Path(arguments.output).name == "out.png"
        Path(arguments.output).write_bytes(b"made")
        return 0

    given = parsed_arguments(
        pictures=["memory://bucket/a.jpg", str(tmp_path / "b.jpg")], output="memory://bucket/new/out.png"
    )
    assert run_with_local_copies(run, given) == 0
    assert (bucket / "new/out.png").read_bytes() == b"made"
    with pytest.raises(ReliableSwapError, match=r"memory://bucket/new/out\.png exists"):
        run_with_local_copies(run, given)
    given.overwrite = True
    assert run_with_local_copies(run, given) == 0


def test_folders_are_fetched_and_uploaded(bucket: Path) -> None:
    def run(arguments: argparse.Namespace) -> int:
        found = sorted(
            path.relative_to(arguments.faces).as_posix() for path in arguments.faces.rglob("*.jpg")
        )
        assert found == ["ann/1.jpg", "bob/2.jpg"]
        (arguments.output / "sheets").mkdir(parents=True)
        for name in ("README.md", "sheets/one.jpg"):
            (arguments.output / name).write_text(name)
        return 0

    given = parsed_arguments(
        command="evaluate", faces=Path("memory://bucket/people"), output=Path("memory://bucket/report")
    )
    assert run_with_local_copies(run, given) == 0
    assert (bucket / "report/sheets/one.jpg").read_text() == "sheets/one.jpg"


def test_nothing_is_uploaded_of_a_command_that_failed(bucket: Path) -> None:
    def run(arguments: argparse.Namespace) -> int:
        Path(arguments.output).write_bytes(b"half")
        return 1

    assert run_with_local_copies(run, parsed_arguments(output="memory://bucket/out.png")) == 1
    assert not (bucket / "out.png").exists()


def test_unreadable_input_is_a_one_line_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["verify", "memory://bucket/none.jpg"]) == 2
    assert capsys.readouterr().err == "error: there is nothing at memory://bucket/none.jpg; check the name\n"
    assert main.main(["batch", "memory://bucket/list.csv", "-o", "out"]) == 2
    assert "batch works on local files only, not on memory://bucket/list.csv" in capsys.readouterr().err
    assert main.main(["swap", "a.jpg", "b.jpg", "-o", "c.jpg", "--map", "2=memory://bucket/a.jpg"]) == 2
    assert "2=memory://bucket/a.jpg holds a URL, which this option can't read" in capsys.readouterr().err


def test_a_cluster_works_on_shared_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["video", "memory://bucket/a.jpg", "b.mp4", "-o", "c.mp4", "--executor", "ray"]) == 2
    assert "shared folders, not on memory://bucket/a.jpg" in capsys.readouterr().err


def test_commands_for_object_storage_get_their_urls() -> None:
    for given in (
        parsed_arguments(command="triplets", photos=Path("memory://bucket")),
        parsed_arguments(pictures=["a.jpg", "http://x/y"]),
    ):
        assert run_with_local_copies(lambda arguments, given=given: int(arguments is not given), given) == 0
