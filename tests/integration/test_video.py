"""A clip of generated people, swapped with the bundled networks by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.clips import Made, packets, pictures, stamps
from support.people import person, portrait

import reliableswap
from reliableswap.cli.main import main
from reliableswap.provenance.label import FrameLabel


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of one portrait that drifts and, after a cut, of another."""
    frames = []
    for number in (1, 4):
        image = cv2.resize(portrait(number, 320), (256, 320))[:288]
        for step in range(6):
            move = np.float32([[1, 0, 1.5 * step], [0, 1, step]])
            frames.append(cv2.warpAffine(image, move, (256, 288), borderMode=cv2.BORDER_REPLICATE))
    return Made(frames, sound=True).write(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.mark.slow
def test_people_are_listed_and_swapped(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["faces", str(clip), "-o", str(tmp_path / "sheet.png"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == 12
    assert [one["frames_seen"] for one in found["people"]] == [6, 6]
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 224

    output = tmp_path / "out.mp4"
    command = [
        "video",
        str(clip),
        "-o",
        str(output),
        "--map",
        f"1={person(2)}",
        "--consent",
        "Nobody real.",
        "--json",
    ]
    assert main([*command, "--engine", "blend", "--label"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames_swapped"] == 6
    assert [one["frames_swapped"] for one in report["people"]] == [6, 0]
    assert stamps(output) == stamps(clip)
    assert packets(output, "audio") == packets(clip, "audio")
    first, second = (  # above the label
        [np.abs(a[:250].astype(int) - b[:250]).mean() for a, b in zip(*frames, strict=True)]
        for frames in ((pictures(clip)[:6], pictures(output)[:6]), (pictures(clip)[6:], pictures(output)[6:]))
    )
    swapped, other = (first, second) if np.mean(first) > np.mean(second) else (second, first)
    assert min(swapped) > 1.5 * max(other)
    x0, y0, x1, y1 = FrameLabel(288, 256).box
    # A dark plate with white letters.
    for before, after in zip(pictures(clip), pictures(output), strict=True):
        plain, labelled = (frame[y0:y1, x0:x1].astype(int) for frame in (before, after))
        assert np.median(labelled) < 0.6 * np.median(plain)
        assert labelled.max() > 200
    found_marks = reliableswap.verify(output)
    assert found_marks.made_here
    assert found_marks.manifest is not None

    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_renamed_text_file_is_a_one_line_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.mp4").write_text("Not a clip.\n" * 40)
    assert main(["faces", str(tmp_path / "notes.mp4")]) == 2
    said = capsys.readouterr().err.strip()
    assert "not a clip that can be read" in said
    assert "\n" not in said


def test_a_part_without_frames_is_reported(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faces", str(clip), "--start", "900"]) == 2
    assert "has no frame between start and end; choose another part" in capsys.readouterr().err
