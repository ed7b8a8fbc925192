"""Evaluation: measuring, reports, the command, videos."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import html
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results
from support.evaluation_people import encoder, examiner

from reliableswap.cli import evaluate as command
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation import measure
from reliableswap.evaluation.methods import FolderMethod, Made, SourcePhoto, UnchangedTarget
from reliableswap.evaluation.metrics import frechet, pixels, summary
from reliableswap.evaluation.protocols import pairs as protocols
from reliableswap.evaluation.protocols.shots import Pair, Shot, frame_count, read_frame, spread_frames
from reliableswap.evaluation.report import plots
from reliableswap.evaluation.report.figures import BY_KEY
from reliableswap.evaluation.report.page import page
from reliableswap.evaluation.report.texts import Facts, as_csv, as_json, markdown, model_index
from reliableswap.evaluation.results import Evaluation
from reliableswap.faces.face import Detection


@pytest.fixture(scope="module")
def evaluation(portraits: Path) -> Evaluation:
    pairs = protocols.make_pairs("identity-folders", portraits, 10, 0)
    return measure.evaluate([UnchangedTarget(), SourcePhoto()], pairs, examiner(lower=True))


# Measuring


def test_controls_get_the_answers_known_beforehand(evaluation: Evaluation) -> None:
    unchanged, source = evaluation.methods
    value = {m.name: {k: e.value for k, e in m.estimates.items()} for m in evaluation.methods}
    assert evaluation.left_out == {}
    kept, copied = value[unchanged.name], value[source.name]
    assert (kept["copied"], kept["top1"], kept["failed"]) == (1, 0, 0)
    assert (copied["copied"], copied["top1"], copied["top5"]) == (0, 1, 1)
    assert copied["lower_top1"] == 1
    assert (kept["cos_target"], copied["cos_source"]) == pytest.approx((1, 1))
    assert (kept["psnr"], kept["ssim"]) == pytest.approx((pixels.PSNR_LIMIT, 1))
    for key in ("pose", "expression", "gaze", "eyelid", "mouth"):
        assert kept[key] == pytest.approx(0, abs=1e-4), key
        assert copied[key] > 0, key
    assert copied["shape_source"] == pytest.approx(0, abs=1e-4)
    assert copied["cos_reference"] == pytest.approx(
        evaluation.calibration["cosine of two photos of one person"]
    )
    assert kept["cos_source"] == pytest.approx(evaluation.calibration["cosine of source and target"])


class Colours:
    """A face's three mean colours."""

    name = "colours"

    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray:
        x0, y0, x1, y1 = np.clip(face.box, 0, None).astype(int)
        return np.asarray(image[y0:y1, x0:x1].mean((0, 1)), np.float64)


def test_frechet_distances_are_to_other_photos_to_the_pairs_to_targets_and_to_sources(
    portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = protocols.make_pairs("identity-folders", portraits, 20, 0)
    few = measure.evaluate([SourcePhoto()], pairs, examiner(features=Colours())).methods[0]
    assert few.frechet is None  # twenty pairs, and only ten photos
    assert few.frechet_sources is None
    assert few.frechet_photos is few.frechet_others is None
    monkeypatch.setattr(summary, "LEAST", 8)
    monkeypatch.setattr(frechet, "LEAST", 8)
    faceless = tmp_path / "wall.png"
    cv2.imwrite(str(faceless), np.full((64, 64, 3), 90, np.uint8))
    portrait_shots = [Shot(p, p.parent.name) for p in sorted(portraits.glob("*/studio_portrait.png"))]
    others = [*portrait_shots, *portrait_shots, Shot(faceless, "nobody")]
    asked = examiner(features=Colours())
    done = measure.evaluate([UnchangedTarget(), SourcePhoto()], pairs, asked, others=others)
    assert done.others == 10
    unchanged, source = done.methods
    assert unchanged.frechet == pytest.approx(0, abs=1e-6)
    assert source.frechet_sources == pytest.approx(0, abs=1e-6)
    assert unchanged.frechet_sources == pytest.approx(source.frechet)
    assert source.frechet is not None
    assert source.frechet > 0
    # All photos, each once, however often the pairs name it: here these are all ten.
    colours = [subject.features for subject in done.subjects.values()]
    assert len(colours) == len({pair.target for pair in pairs} | {pair.source for pair in pairs})
    made = [row.subject.features for row in unchanged.rows]
    assert unchanged.frechet_photos == pytest.approx(frechet.frechet_distance(made, colours))
    assert unchanged.frechet_photos > 0
    known = [asked.features_in(shot.read(), "a photo") for shot in portrait_shots] * 2
    assert unchanged.frechet_others == pytest.approx(frechet.frechet_distance(made, known))
    assert unchanged.frechet_others != pytest.approx(unchanged.frechet_photos)
    whole = f"{unchanged.frechet_photos:.3f} | {source.frechet_photos:.3f}"
    beside = f"{unchanged.frechet_others:.3f} | {source.frechet_others:.3f}"
    assert done.frechet_differences == []  # these are controls
    monkeypatch.setattr(frechet, "_HALVES", 5)
    methods = [dataclasses.replace(method, control=False) for method in done.methods]
    found = summary.frechet_differences(methods, done.subjects, known, 0)
    both = dataclasses.replace(done, methods=methods, frechet_differences=found)
    aside, difference = found
    assert (aside.to, difference.to) == ("frechet_others", "frechet_photos")
    assert aside.estimate.value == pytest.approx(unchanged.frechet_others - source.frechet_others)
    assert (difference.one, difference.other) == (unchanged.name, source.name)
    assert difference.estimate.value == pytest.approx(unchanged.frechet_photos - source.frechet_photos)
    facts = Facts(**{**FACTS.__dict__, "features": "colours"})
    for to, one in (("other photos", aside), ("the pairs' photos", difference)):
        said = f"Fréchet distance (colours) to {to}, {unchanged.name} less {source.name}: {one.estimate.value:+.1f} ["
        assert said in markdown(both, facts)
        assert said in html.unescape(page(both, facts))
    assert json.loads(as_json(both, facts))["frechet_differences"][0]["one"] == unchanged.name
    shown = f"{source.frechet:.3f}"
    assert f"| Fréchet distance (colours) to other photos ↓ | {beside} |" in markdown(done, facts)
    assert f"| Fréchet distance (colours) to the pairs' photos ↓ | {whole} |" in markdown(done, facts)
    assert f"| Fréchet distance (colours) to the targets ↓ | 0.000 | {shown} |" in markdown(done, facts)
    assert f"| Fréchet distance (colours) to the sources ↓ | {shown} | 0.000 |" in markdown(done, facts)
    assert json.loads(as_json(done, facts))["methods"][unchanged.name]["frechet_sources"] == pytest.approx(
        source.frechet
    )
    assert page(done, facts).count("Fréchet distance (colours) to the sources") == 2  # table and meanings


class Half:
    """Makes every second result; the others are a grey picture or nothing."""

    name, control = "half <b>", False

    def __init__(self) -> None:
        self.count = 0

    def make(self, pair: Pair, target: Shot) -> Made:
        self.count += 1
        if self.count % 4 == 0:
            raise ReliableSwapError("it would not")
        image = target.read()
        return Made(
            np.full_like(image, 128) if self.count % 4 == 2 else image[::2, ::2].copy(), 5.0 * self.count
        )


@pytest.fixture(scope="module")
def with_failures(portraits: Path) -> Evaluation:
    pairs = protocols.make_pairs("identity-folders", portraits, 8, 1)
    return measure.evaluate([Half(), UnchangedTarget()], pairs, examiner())


def test_failures_are_counted_and_found_nowhere(with_failures: Evaluation) -> None:
    half = with_failures.methods[0]
    assert half.estimates["failed"].value == 0.5
    assert [row.failure for row in half.rows[:4]] == ["", "no face in the result", "", "it would not"]
    assert half.estimates["top1"].count == 8  # a failure is a miss
    assert half.estimates["copied"].count == 4  # but it copies nobody
    assert half.estimates["milliseconds"].count == 4
    # A result of half the size is measured at the target's.
    assert half.estimates["ssim"].value > 0.8


def test_photos_without_a_face_are_left_out_and_said(portraits: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((64, 64, 3), 90, np.uint8))
    good = protocols.make_pairs("identity-folders", portraits, 1, 0)[0]
    bad = Pair("bad", Shot(blank, "nobody"), good.target)
    found = measure.evaluate([UnchangedTarget()], [bad, good], examiner())
    assert [pair.name for pair in found.pairs] == [good.name]
    assert "blank.png" in found.left_out["bad"]
    with pytest.raises(ReliableSwapError, match="none of the 1 pairs can be measured"):
        measure.evaluate([UnchangedTarget()], [bad], examiner())


def test_a_folder_of_results(portraits: Path, tmp_path: Path) -> None:
    pairs = protocols.make_pairs("identity-folders", portraits, 3, 0)
    with pytest.raises(ReliableSwapError, match="no folder"):
        FolderMethod("mine", tmp_path / "none")
    method = FolderMethod("mine", tmp_path)
    with pytest.raises(ReliableSwapError, match="holds none of the 3 results"):
        method.check(pairs)
    (tmp_path / f"{pairs[1].name}.png").write_bytes(pairs[1].source.path.read_bytes())
    method.check(pairs)
    assert np.array_equal(method.make(pairs[1], pairs[1].target).pixels, pairs[1].source.read())


# Reports


FACTS = Facts("identity-folders", "people", 0, "untrained", analyser="bundled", version="0", command="x")


class _Page(HTMLParser):
    """What a browser would ask the network for, and whether tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asked += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "link", "line", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("line", "path"):
            return
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(with_failures: Evaluation) -> None:
    shared = Facts(**{**FACTS.__dict__, "shared": ["the judge is <script>"]})
    text = page(with_failures, shared)
    parsed = _Page()
    parsed.feed(text)
    assert parsed.open == []
    assert parsed.asked
    assert all(one.startswith("data:image/jpeg;base64,") for one in parsed.asked)
    assert "script" not in parsed.tags
    assert "half &lt;b&gt;" in text
    assert parsed.tags.count("svg") >= 2
    assert "http" not in text.replace("http-equiv", "")
    assert '<p class="warning">Same judge: the judge is &lt;script&gt;' in text
    assert "prefers-color-scheme: dark" in text


def test_the_texts_agree_with_what_was_measured(with_failures: Evaluation) -> None:
    half = with_failures.methods[0]
    told = markdown(with_failures, Facts(**{**FACTS.__dict__, "shared": ["the judge is own"]}))
    assert "**Same judge: the judge is own." in told
    assert "| failures (%) ↓ | 50.0 [" in told
    assert "half <b>: 2 × it would not" in told
    document = json.loads(as_json(with_failures, FACTS))
    assert document["methods"]["half <b>"]["figures"]["failed"]["value"] == 0.5
    rows = list(csv.DictReader(io.StringIO(as_csv(with_failures))))
    assert len(rows) == 16
    assert [row["failure"] for row in rows[:2]] == ["", "no face in the result"]
    mean = np.mean([float(row["pose"]) for row in rows[:8] if row["pose"]])
    assert mean == pytest.approx(half.estimates["pose"].value)


def test_the_cards_block_is_what_the_hub_reads(with_failures: Evaluation) -> None:
    block = yaml.safe_load(model_index(with_failures, FACTS))
    name, results = model_index_to_eval_results(block["model-index"])
    assert name == "reliableswap"
    told = {result.metric_type: result.metric_value for result in results}
    assert told["failed"] == 50.0
    assert {result.task_name for result in results} == {"Face swapping, half <b>"}  # no controls


def test_plots_hold_their_dots() -> None:
    from reliableswap.evaluation.metrics.statistics import Estimate

    same = Estimate(0.5, 0.5, 0.5, 1)
    dots = [plots.Dot(f"method {i}", same, Estimate(i, i - 0.5, i + 0.5, 9), False, "#000") for i in range(4)]
    svg = plots.scatter(dots, BY_KEY["cos_source"], BY_KEY["pose"])
    places = [float(part.split('"')[0]) for part in svg.split(' cy="')[1:]]
    assert places == sorted(places, reverse=True)
    assert all(16 <= y <= 254 for y in places)
    heights = sorted(float(part.split(' y="')[1].split('"')[0]) for part in svg.split('class="name"')[1:])
    assert min(np.diff(heights)) >= 13
    assert plots.scatter([], BY_KEY["cos_source"], BY_KEY["pose"]) == ""


# The command


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_the_command_compares_our_engine_with_a_folder(
    portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder(0).save_pretrained(tmp_path / "judge")
    common = ("--protocol", "identity-folders", "--faces", portraits, "--pairs", 4)
    assert run(*common, "--list-pairs", tmp_path / "pairs.tsv") == 0
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for pair in protocols.make_pairs("pairs", tmp_path / "pairs.tsv"):
        (theirs / f"{pair.name}.png").write_bytes(pair.target.path.read_bytes())
    words = (*common, "--pipeline", "bundled", "--engine", "blend", "--outputs", f"theirs={theirs}")
    words = (*words, "--judge", tmp_path / "judge", "--features", "none", "--keep", tmp_path / "kept")
    assert run(*words, "-o", tmp_path / "report") == 0
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == sorted(command.FILES)
    found = json.loads((tmp_path / "report/report.json").read_text())["methods"]
    assert set(found) == {"bundled/blend", "theirs"}
    assert found["theirs"]["figures"]["copied"]["value"] == 1
    ours = found["bundled/blend"]["figures"]
    assert ours["failed"]["value"] == 0
    assert ours["psnr"]["value"] > 30
    assert 0 < ours["pose"]["value"] < 8
    assert ours["cos_target"]["value"] < 0.99
    assert ours["milliseconds"]["value"] > 1
    assert len(list((tmp_path / "kept/bundled-blend").glob("*.png"))) == 4
    assert "| ID retrieval" in capsys.readouterr().out
    with pytest.raises(ReliableSwapError, match="holds a report"):
        run(*words, "-o", tmp_path / "report")


def test_the_pipelines_swap_as_they_are_asked_to(portraits: Path, tmp_path: Path) -> None:
    encoder(0).save_pretrained(tmp_path / "judge")
    common = ("--protocol", "identity-folders", "--faces", portraits, "--pairs", 2, "--features", "none")
    common = (*common, "--judge", tmp_path / "judge", "--pipeline", "bundled", "--engine", "blend")
    for expression in ("0", "1"):
        folder = tmp_path / expression
        run(*common, "--expression", expression, "-o", folder, "--keep", folder / "kept")
    kept = [sorted((tmp_path / name / "kept").rglob("*.png")) for name in ("0", "1")]
    assert len(kept[0]) == len(kept[1]) == 2
    assert all(one.read_bytes() != other.read_bytes() for one, other in zip(*kept, strict=True))
    with pytest.raises(ReliableSwapError, match=r"--glasses is -1\.0; choose a value from 0 to 1"):
        run(*common, "--glasses", "-1", "-o", tmp_path / "none")
    with pytest.raises(ReliableSwapError, match=r"--shape is 2\.0; choose a value from 0 to 1"):
        run(*common, "--shape", "2", "-o", tmp_path / "none")


def test_the_command_takes_real_photos_that_no_pair_holds(
    portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frechet, "features_of", lambda name: Colours())
    monkeypatch.setattr(summary, "LEAST", 2)
    monkeypatch.setattr(frechet, "LEAST", 2)
    encoder(0).save_pretrained(tmp_path / "judge")
    common = ("--protocol", "identity-folders", "--faces", portraits, "--pairs", 3, "--controls")
    common = (*common, "--judge", tmp_path / "judge", "-o", tmp_path / "report", "--overwrite")
    for name in ("P004", "P005"):
        shutil.copytree(portraits / name, tmp_path / "real" / name)
    distances = []
    for real in ((), ("--real", tmp_path / "real"), ("--real", portraits)):
        run(*common, *real)
        found = json.loads((tmp_path / "report/report.json").read_text())["methods"]["unchanged target"]
        distances.append(found["frechet_others"])
    assert all(distance > 0 for distance in distances)
    assert len(set(distances)) == 3
    with pytest.raises(ReliableSwapError, match="leave out --features none"):
        run(*common, "--real", portraits, "--features", "none")
    with pytest.raises(ReliableSwapError, match="there is no folder"):
        run(*common, "--real", tmp_path / "nowhere")
    monkeypatch.setattr(frechet, "LEAST", 16)
    with pytest.raises(ReliableSwapError, match="holds 4 photos that no pair uses; give at least 16"):
        run(*common, "--real", tmp_path / "real")


def test_the_command_says_what_is_missing(portraits: Path, tmp_path: Path) -> None:
    common = ("--protocol", "ffhq", "--faces", portraits, "--pairs", 2)
    with pytest.raises(ReliableSwapError, match="give -o FOLDER"):
        run(*common)
    with pytest.raises(ReliableSwapError, match="nothing to evaluate"):
        run(*common, "-o", tmp_path / "x")
    with pytest.raises(ReliableSwapError, match="no judge of identity"):
        run(*common, "-o", tmp_path / "x", "--controls")
    encoder(0).save_pretrained(tmp_path / "judge")
    with pytest.raises(ReliableSwapError, match="is not NAME=FOLDER"):
        run(
            *common,
            "-o",
            tmp_path / "x",
            "--judge",
            tmp_path / "judge",
            "--outputs",
            "here",
            "--features",
            "none",
        )


def test_engines_belong_to_the_pipeline_before_them() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = (
        "--protocol ffhq --faces x --engine blend --pipeline a --engine blend --engine neural --pipeline b"
    )
    assert parser.parse_args(words.split()).compared == [
        ("bundled", ["blend"]),
        ("a", ["blend", "neural"]),
        ("b", []),
    ]


# Videos


@pytest.fixture(scope="module")
def ffpp(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of fourteen frames in FaceForensics++'s layout: heads that drift."""
    av = pytest.importorskip("av")
    root = tmp_path_factory.mktemp("ffpp")
    folder = root / "original_sequences/youtube/c23/videos"
    folder.mkdir(parents=True)
    (root / "splits").mkdir()
    (root / "splits/test.json").write_text('[["000", "003"]]')
    for name, number in (("000", 1), ("003", 4)):
        image = cv2.imread(str(portraits / f"P{number:03d}/studio_portrait.png"))
        side = min(image.shape[:2]) // 16 * 16
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = side
            stream.bit_rate = 4_000_000
            for step in range(14):
                frame = np.ascontiguousarray(np.roll(image, step, axis=1)[:side, :side, ::-1])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return root


def test_frames_are_read_by_number_in_any_order(ffpp: Path) -> None:
    path = ffpp / "original_sequences/youtube/c23/videos/000.mp4"
    assert frame_count(path) == 14
    in_order = [read_frame(path, i) for i in range(14)]
    read_frame.cache_clear()
    for index in (9, 2, 13, 0):
        assert np.array_equal(read_frame(path, index), in_order[index])
    with pytest.raises(ReliableSwapError, match="no frame 14; it ends after 14"):
        read_frame(path, 14)
    assert spread_frames(14, 10)[0] == 1
    assert spread_frames(14, 10)[-1] == 12
    with pytest.raises(ReliableSwapError, match="too short"):
        spread_frames(11, 10)


def test_videos_get_steadiness_and_flicker(ffpp: Path) -> None:
    pairs = protocols.make_pairs("ffpp", ffpp, 1)
    assert len(pairs) == 10
    assert {pair.clip for pair in pairs} == {"000_003"}
    found = measure.evaluate([UnchangedTarget(), SourcePhoto()], pairs, examiner())
    unchanged, still = ({k: e.value for k, e in m.estimates.items()} for m in found.methods)
    assert unchanged["flicker"] == 0
    assert unchanged["identity_variance"] > 0
    assert still["identity_variance"] == pytest.approx(0, abs=1e-9)  # one frame, ten times
    assert still["flicker"] < 0
    assert still["top1"] == 1


def test_another_tools_videos_and_frames_are_found(ffpp: Path, tmp_path: Path) -> None:
    pairs = protocols.make_pairs("ffpp", ffpp, 1)
    copy = (ffpp / "original_sequences/youtube/c23/videos/000.mp4").read_bytes()
    (tmp_path / "000_003.mp4").write_bytes(copy)
    videos = FolderMethod("videos", tmp_path)
    videos.check(pairs)
    assert np.array_equal(videos.make(pairs[4], pairs[4].target).pixels, pairs[4].target.read())
    (tmp_path / "000_003").mkdir()
    still = np.full((16, 16, 3), 7, np.uint8)
    cv2.imwrite(str(tmp_path / "000_003" / f"{pairs[4].target.frame:05d}.png"), still)
    assert np.array_equal(videos.make(pairs[4], pairs[4].target).pixels, still)
    broken = tmp_path / "broken"
    broken.mkdir()
    for content in (b"no video", copy[: len(copy) // 2]):
        (broken / "000_003.mp4").write_bytes(content)
        found = measure.evaluate([FolderMethod("broken", broken)], pairs[:1], examiner())
        assert found.methods[0].estimates["failed"].value == 1
        assert "000_003.mp4" in found.methods[0].rows[0].failure
