"""`reliableswap evaluate`, from its options to its files."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest
from diffusers.utils.logging import is_progress_bar_enabled
from support import onnx_files
from support.evaluation_people import encoder

from reliableswap.bundled import bundled
from reliableswap.cli import evaluate as command
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.metrics import frechet
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.report.write import FILES
from reliableswap.evaluation.run import open_pipelines
from reliableswap.evaluation.settings import EvaluationSettings, PipelineChoice


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge") / "judge"
    encoder(0).save_pretrained(folder)
    return folder


def parsed(*words: str | Path | float) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def run(*words: str | Path | float) -> int:
    return command.run(parsed(*words))


def methods_in(report: Path) -> dict[str, dict]:
    found: dict[str, dict] = json.loads((report / "report.json").read_text())["methods"]
    return found


@pytest.mark.slow
def test_the_command_compares_an_engine_with_a_folder(
    portraits: Path, judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--protocol", "identity-folders", "--faces", portraits, "--pairs", 4)
    assert run(*common, "--list-pairs", tmp_path / "pairs.tsv") == 0
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for pair in make_pairs("pairs", tmp_path / "pairs.tsv"):
        (theirs / f"{pair.name}.png").write_bytes(pair.target.path.read_bytes())
    words = (*common, "--pipeline", "bundled", "--engine", "blend", "--outputs", f"theirs={theirs}")
    words = (*words, "--judge", judge, "--features", "none", "--keep", tmp_path / "kept")
    assert run(*words, "-o", tmp_path / "report") == 0
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == sorted(FILES)
    assert "| ID retrieval" in capsys.readouterr().out
    assert len(list((tmp_path / "kept/bundled-blend").glob("*.png"))) == 4
    found = methods_in(tmp_path / "report")
    assert set(found) == {"bundled/blend", "theirs"}
    assert found["theirs"]["figures"]["copied"]["value"] == 1
    ours = {key: estimate["value"] for key, estimate in found["bundled/blend"]["figures"].items()}
    assert ours["failed"] == 0
    assert ours["psnr"] > 30
    assert 0 < ours["pose"] < 8
    assert ours["cos_target"] < 0.99
    assert ours["milliseconds"] > 1


def test_an_earlier_report_is_kept(portraits: Path, judge: Path, tmp_path: Path) -> None:
    (tmp_path / "report.md").touch()
    words = ("--protocol", "ffhq", "--faces", portraits, "--controls", "--judge", judge, "-o", tmp_path)
    with pytest.raises(ReliableSwapError, match="holds a report"):
        run(*words)


@pytest.mark.slow
def test_the_swap_options_reach_the_pipelines(portraits: Path, judge: Path, tmp_path: Path) -> None:
    common = ("--protocol", "identity-folders", "--faces", portraits, "--pairs", 1, "--features", "none")
    common = (*common, "--judge", judge, "--pipeline", "bundled", "--engine", "blend")
    for expression in ("0", "1"):
        folder = tmp_path / expression
        run(*common, "--expression", expression, "-o", folder, "--keep", folder / "kept")
    (one,), (other,) = (list((tmp_path / name / "kept").rglob("*.png")) for name in ("0", "1"))
    assert one.read_bytes() != other.read_bytes()


@pytest.mark.parametrize(("option", "value"), [("--glasses", -1.0), ("--shape", 2.0)])
def test_swap_options_lie_between_0_and_1(option: str, value: float) -> None:
    with pytest.raises(ReliableSwapError, match=rf"{option} is {value}; choose a value from 0 to 1"):
        command.settings_of(parsed("--protocol", "ffhq", "--faces", "x", option, value))


@pytest.fixture(scope="module")
def photos(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen people with two photos each: copies of the five people's photos."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(15):
        shutil.copytree(portraits / f"P{1 + number % 5:03d}", folder / f"person{number}")
    return folder


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_files.mean_colour(tmp_path_factory.mktemp("features") / "colours.onnx", 299)


@pytest.mark.slow
def test_real_photos_replace_the_protocols_own(
    photos: Path, judge: Path, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frechet, "MIN_PICTURES", 8)
    common = ("--protocol", "identity-folders", "--faces", photos, "--pairs", 8, "--controls")
    common = (*common, "--judge", judge, "--features", features, "-o", tmp_path, "--overwrite")
    distances = []
    for real in ((), ("--real", photos)):
        run(*common, *real)
        distances.append(methods_in(tmp_path)["unchanged target"]["frechet_others"])
    assert all(distance > 0 for distance in distances)
    assert len(set(distances)) == 2


def test_too_few_real_photos_are_refused(
    portraits: Path, judge: Path, features: Path, tmp_path: Path
) -> None:
    words = ("--protocol", "identity-folders", "--faces", portraits, "--pairs", 3, "--controls")
    words = (*words, "--judge", judge, "--features", features, "-o", tmp_path)
    with pytest.raises(ReliableSwapError, match=r"photos that no pair uses; give at least 16"):
        run(*words, "--real", portraits)
    with pytest.raises(ReliableSwapError, match="there is no folder"):
        run(*words, "--real", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "give -o FOLDER"),
        (("-o", "x"), "nothing to evaluate"),
        (("-o", "x", "--controls"), "no judge of identity"),
        (("-o", "x", "--outputs", "here"), "is not NAME=FOLDER"),
        (("-o", "x", "--judge-mean", "0", "1"), "--judge-mean has 2 numbers; give one, or one per colour"),
        (
            ("-o", "x", "--controls", "--judge", "dlib", "--real", "y", "--features", "none"),
            "leave out --features none",
        ),
    ],
)
def test_missing_options_are_reported_before_anything_is_loaded(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(ReliableSwapError, match=says):
        run("--protocol", "ffhq", "--faces", "nowhere", *words)


def test_two_methods_of_one_name_are_refused(portraits: Path, judge: Path, tmp_path: Path) -> None:
    for name in (pair.name for pair in make_pairs("ffhq", portraits, 2)):
        shutil.copy(portraits / "P001/studio_portrait.png", tmp_path / f"{name}.png")
    words = ("--protocol", "ffhq", "--faces", portraits, "--pairs", 2, "--judge", judge, "--features", "none")
    words = (
        *words,
        "--outputs",
        f"mine={tmp_path}",
        "--outputs",
        f"mine={tmp_path}",
        "-o",
        tmp_path / "report",
    )
    with pytest.raises(ReliableSwapError, match="two methods are called mine"):
        run(*words)


@pytest.mark.slow
def test_more_held_out_people_than_the_generator_left_out_are_refused(
    portraits: Path, judge: Path, tmp_path: Path
) -> None:
    words = ("--protocol", "identity-folders", "--faces", portraits, "--judge", judge, "--features", "none")
    words = (*words, "--pipeline", "bundled", "--engine", "neural", "--held-out", 20, "-o", tmp_path / "x")
    says = r"--held-out 20 asks for more people than .* generator of bundled/neural left out of its training \(10 %\)"
    with pytest.raises(ReliableSwapError, match=says):
        run(*words)


def test_engines_belong_to_the_pipeline_before_them() -> None:
    words = (
        "--protocol ffhq --faces x --engine blend --pipeline a --engine blend --engine neural --pipeline b"
    )
    assert command.settings_of(parsed(*words.split())).pipelines == (
        PipelineChoice("bundled", ("blend",)),
        PipelineChoice("a", ("blend", "neural")),
        PipelineChoice("b"),
    )


def test_without_options_the_settings_are_their_defaults() -> None:
    plain = command.settings_of(parsed("--protocol", "ffhq", "--faces", "x"))
    assert plain == EvaluationSettings(protocol="ffhq", faces=Path("x"))


def test_natural_allows_real_photos_without_other_features() -> None:
    words = ("--protocol", "ffhq", "--faces", "x", "--judge", "dlib", "--features", "none", "--real", "y")
    settings = command.settings_of(parsed(*words, "--controls", "--natural"))
    assert settings.natural
    settings.check_complete()


def test_loading_a_pipeline_shows_no_progress_bars(
    portraits: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = bundled()
    words = ("--protocol", "ffhq", "--faces", portraits, "--pipeline", folder, "--engine", "blend")
    assert is_progress_bar_enabled()
    assert len(open_pipelines(command.settings_of(parsed(*words)))) == 1
    assert "Loading" not in capfd.readouterr().err
    assert is_progress_bar_enabled()


@pytest.mark.parametrize(("text", "value"), [("all", "all"), ("2.5", 2.5)])
def test_held_out_takes_a_percentage_or_all(text: str, value: object) -> None:
    words = ("--protocol", "identity-folders", "--faces", "x", "--held-out", text)
    assert command.settings_of(parsed(*words)).held_out == value
