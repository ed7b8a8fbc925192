"""`reliableswap batch`: a list's rows, its report, and running it again."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.executors import Backwards

from reliableswap.cli import batch
from reliableswap.cli.batch_list import NUMBER_COLUMNS, REQUIRED_COLUMNS, TEXT_COLUMNS
from reliableswap.cli.main import main
from reliableswap.cli.swap import STRENGTHS
from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.jobs.units import Maker


class StubPipeline:
    """A stub pipeline that writes the names it was given, and fails on targets called bad or bug."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.prepared: list[list[str]] = []
        self.advice: list[str] = []  # on the source, of each of a picture's two faces

    def prepare(self, photos: list[Path]) -> str:
        self.prepared.append([photo.name for photo in photos])
        return "+".join(photo.name for photo in photos)

    def trained(self, name: str) -> str:
        return f"trained {name}"

    def __call__(self, source: str, target: Path, **options: Any) -> Any:
        self._ask(target, options)

        def save(output: Path, **_: Any) -> None:
            output.write_text(f"{source} on {target.name}")

        faces = [SimpleNamespace(advice=self.advice), SimpleNamespace(advice=self.advice)]
        return SimpleNamespace(save=save, report=SimpleNamespace(faces=faces))

    def video(self, source: str, target: Path, output: Path, **options: Any) -> Iterator[str]:
        self._ask(target, options)
        output.write_text(f"{source} on {target.name}")
        yield "done"

    def _ask(self, target: Path, options: dict[str, Any]) -> None:
        self.asked.append((target.name, options))
        if target.stem == "bad":
            raise NoFaceError(f"no face found in {target.name}")
        if target.stem == "bug":
            raise RuntimeError("shapes differ")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> StubPipeline:
    made = StubPipeline()
    monkeypatch.setattr(batch, "load_pipeline", lambda _: made)
    return made


def write(folder: Path, *rows: str, header: str = "source,target,output,likeness,people,start") -> Path:
    path = folder / "list.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    for name in ("a.jpg", "b.jpg", "one.jpg", "bad.jpg", "bug.jpg", "clip.mp4"):
        (folder / name).write_bytes(b"content")
    return path


def report(folder: Path) -> list[dict[str, str]]:
    with (folder / batch.REPORT).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_pictures_and_clips_are_made_and_failures_are_reported(tmp_path: Path, pipe: StubPipeline) -> None:
    rows = ("a.jpg,one.jpg,1.png,0.5,,", "a.jpg;b.jpg,clip.mp4,sub/2.mp4,,all,1.5", "a.jpg,bad.jpg,3.png,,,",
            "a.jpg,bug.jpg,4.png,,,", "a.jpg,one.jpg,5.png,,2,")  # fmt: skip
    assert main(["batch", str(write(tmp_path, *rows)), "-o", str(tmp_path / "out"), "--consent", "Yes."]) == 1
    found = report(tmp_path / "out")
    assert [row["status"] for row in found] == ["made", "made", "failed", "failed", "failed"]
    assert found[2]["reason"] == "no face found in bad.jpg"
    assert "shapes differ" in found[3]["reason"]
    assert "these columns of a clip do not apply: people" in found[4]["reason"]
    assert (tmp_path / "out/sub/2.mp4").read_text() == "a.jpg+b.jpg on clip.mp4"
    (_, picture), (_, clip) = pipe.asked[:2]
    assert (picture["settings"].likeness, picture["faces"], picture["consent"]) == (0.5, "largest", "Yes.")
    assert (clip["people"], clip["video"].start) == ("all", 1.5)
    assert pipe.prepared == [["a.jpg"], ["a.jpg", "b.jpg"]]  # each source once


def test_running_again_makes_only_what_is_missing_or_changed(tmp_path: Path, pipe: StubPipeline) -> None:
    rows = ["a.jpg,one.jpg,1.png,0.5,,", "a.jpg,clip.mp4,2.mp4,,,", "a.jpg,bad.jpg,3.png,,,"]
    command = ["batch", str(write(tmp_path, *rows)), "-o", str(tmp_path / "out")]
    main(command)
    pipe.asked.clear()
    main(command)
    assert [target for target, _ in pipe.asked] == ["bad.jpg"]
    assert [row["status"] for row in report(tmp_path / "out")] == ["kept", "kept", "failed"]
    pipe.asked.clear()
    (tmp_path / "out/2.mp4").unlink()
    path = write(tmp_path, rows[0].replace("0.5", "0.6"), *rows[1:2])
    assert path.name == "list.csv"
    assert main(command) == 0
    assert [target for target, _ in pipe.asked] == ["one.jpg", "clip.mp4"]


def test_advice_is_reported_once_and_stays_with_a_kept_row(tmp_path: Path, pipe: StubPipeline) -> None:
    pipe.advice = ["It is blurred.", "It is small."]
    command = ["batch", str(write(tmp_path, "a.jpg,one.jpg,1.png,,,", "a.jpg,clip.mp4,2.mp4,,,"))]
    command += ["-o", str(tmp_path / "out")]
    for status in ("made", "kept"):
        assert main(command) == 0
        picture, clip = report(tmp_path / "out")
        assert (picture["status"], picture["advice"]) == (status, "It is blurred. It is small.")
        assert clip["advice"] == ""


def test_reports_of_versions_without_advice_can_be_read(tmp_path: Path, pipe: StubPipeline) -> None:
    command = ["batch", str(write(tmp_path, "a.jpg,one.jpg,1.png,,,")), "-o", str(tmp_path / "out")]
    main(command)
    rows = [{k: v for k, v in row.items() if k != "advice"} for row in report(tmp_path / "out")]
    with (tmp_path / "out" / batch.REPORT).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    main(command)
    assert [row["status"] for row in report(tmp_path / "out")] == ["kept"]


def test_an_executor_makes_the_same_rows(
    tmp_path: Path, pipe: StubPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        "a.jpg,one.jpg,1.png,0.5,,",
        "a.jpg,bad.jpg,2.png,,,",
        "b.jpg,clip.mp4,sub/3.mp4,,,",
        "a.jpg,one.jpg,4.png,,,",
    ]
    listed = str(write(tmp_path, *rows))
    main(["batch", listed, "-o", str(tmp_path / "here")])
    executor = Backwards()
    monkeypatch.setattr(batch, "executor_of", lambda _: executor)
    command = ["batch", listed, "-o", str(tmp_path / "there"), "--executor", "ray"]
    assert main(command) == 1
    assert [row.number for row in executor.units] == [4, 3, 2, 1]
    here, there = ([{**row, "seconds": ""} for row in report(tmp_path / name)] for name in ("here", "there"))
    assert here == there
    assert (tmp_path / "there/sub/3.mp4").read_text() == "b.jpg on clip.mp4"
    executor.units.clear()
    assert main(command) == 1
    assert [row.number for row in executor.units] == [2]
    assert [row["status"] for row in report(tmp_path / "there")] == ["kept", "failed", "kept", "kept"]


def test_executor_rows_may_replace_their_own_output_but_no_existing_file(
    tmp_path: Path, pipe: StubPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Backwards()
    monkeypatch.setattr(batch, "executor_of", lambda _: executor)
    output = tmp_path / "out"
    output.mkdir()
    (output / "1.png").write_text("somebody's")
    rows = ("a.jpg,one.jpg,1.png,,,", "a.jpg,one.jpg,2.png,,,")
    main(["batch", str(write(tmp_path, *rows)), "-o", str(output), "--executor", "ray"])
    assert {row.number: row.replace for row in executor.units} == {1: False, 2: True}


def test_a_node_that_does_not_see_the_pictures_ends_the_run(
    tmp_path: Path, pipe: StubPipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Elsewhere(Backwards):
        def __call__(self, maker: Maker[Any], units: Sequence[Any]) -> Generator[Any, None, None]:
            (tmp_path / "one.jpg").unlink()
            return super().__call__(maker, units)

    monkeypatch.setattr(batch, "executor_of", lambda _: Elsewhere())
    listed = write(tmp_path, "a.jpg,one.jpg,1.png,,,", "a.jpg,missing.jpg,2.png,,,")
    assert main(["batch", str(listed), "-o", str(tmp_path / "out"), "--executor", "ray"]) == 2
    assert "does not see" in capsys.readouterr().err
    assert [row["output"] for row in report(tmp_path / "out")] == [
        "2.png"
    ]  # also missing for the caller, so not the node's fault


def test_rows_name_trained_people_parts_and_ages(tmp_path: Path, pipe: StubPipeline) -> None:
    header = "person,target,output,keep,take,age"
    rows = ("alice,one.jpg,1.png,brows;lips,glasses,12", "bob,clip.mp4,2.mp4,,,", "bob,one.jpg,3.png,nose,,",
            "bob,one.jpg,4.png,,,old")  # fmt: skip
    trained = tmp_path / "people"
    trained.mkdir()
    weights = trained / "model.safetensors"
    weights.write_bytes(b"weights")
    command = ["batch", str(write(tmp_path, *rows, header=header)), "-o", str(tmp_path / "out"),
               "--trained", str(trained)]  # fmt: skip
    assert main(command) == 1
    found = report(tmp_path / "out")
    assert [row["status"] for row in found] == ["made", "made", "failed", "failed"]
    assert "unknown attribute nose" in found[2]["reason"]
    assert "age is 'old', not a number" in found[3]["reason"]
    assert (tmp_path / "out/1.png").read_text() == "trained alice on one.jpg"
    settings = pipe.asked[0][1]["settings"]
    assert settings.attributes.changed == {"brows": "target", "glasses": "source", "lips": "target"}
    assert (settings.age, settings.glasses) == (12, 0)
    assert (tmp_path / "out/2.mp4").read_text() == "trained bob on clip.mp4"
    pipe.asked.clear()
    main(command)
    assert not pipe.asked
    weights.write_bytes(b"trained further")
    main(command)
    assert [target for target, _ in pipe.asked] == ["one.jpg", "clip.mp4"]


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        ((), "source,target,output", "no rows"),
        (("a,b",), "source,target", r"lacks columns \(output\)"),
        (("a,b,c,d",), "source,target,output,colour", r"unknown columns \(colour\)"),
        (("a,b,../c.png",), "source,target,output", "outside the output folder"),
        (("a,b,c.png", "a,d,c.png"), "source,target,output", "several rows"),
        (("a,,c.png",), "source,target,output", "row 1: give target"),
        ((",b,c.png",), "source,target,output", "row 1: give either a source or a person"),
        (("a,alice,b,c.png",), "source,person,target,output", "row 1: give either a source or a person"),
    ],
)
def test_a_wrong_list_is_refused_before_anything_is_made(
    tmp_path: Path, rows: tuple[str, ...], header: str, said: str
) -> None:
    with pytest.raises(ReliableSwapError, match=said):
        batch.read_list(write(tmp_path, *rows, header=header))


def test_help_and_document_name_every_column_and_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["batch", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    document = (Path(__file__).parents[3] / "docs" / "video.md").read_text("utf-8")
    written = " ".join(document.partition("## Many jobs")[2].partition("\n## ")[0].split())
    for column in (*REQUIRED_COLUMNS, *TEXT_COLUMNS, *NUMBER_COLUMNS):
        assert column in told
        assert f"`{column}`" in written or column in STRENGTHS
    for option in ("--pipeline", "--analyser", "--device"):
        assert option in told.partition("Running it again")[2].partition("positional")[0]
        assert f"`{option}`" in written
