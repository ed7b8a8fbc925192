"""Choosing whose parts a face gets: the named part changes, the others stay as in a plain swap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.cli.main import main
from reliableswap.cli.swap import parse_attributes
from reliableswap.errors import ReliableSwapError
from reliableswap.geometry import regions
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.swap.attributes import _AREAS, Attributes
from reliableswap.swap.settings import SwapSettings

SOURCE, TARGET = 5, 4  # a bearded man, a woman with dark brows


def cores(mesh: np.ndarray, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Masks of the pixels that certainly belong to each attribute."""
    narrow = {"brows": regions.brows(mesh, shape), "lips": regions.lips(mesh, shape)}
    inner = 0.03 * regions.face_width(mesh)
    wide = {name: regions.eroded(_AREAS[name](mesh, shape), inner) for name in ("beard", "skin")}
    return {name: area > 0.5 for name, area in (narrow | wide).items()}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["neural", "blend"])
def test_the_named_part_changes_and_the_others_less_than_a_third_as_much(
    pipe: ReliableSwapPipeline, engine: str
) -> None:
    source, target = portrait(SOURCE, 360), portrait(TARGET, 360)
    areas = cores(pipe.find(target)[0].mesh, target.shape[:2])

    def swapped(**attributes: str) -> np.ndarray:
        result = pipe(source, target, engine=engine, attributes=attributes)
        assert result.report.faces[0].attributes == attributes
        return result.pictures[0].pixels.astype(float)

    plain = swapped()
    for part in areas:
        made = swapped(**{part: "target"})
        changed = {name: np.abs(made - plain)[area].mean() for name, area in areas.items()}
        others = max(value for name, value in changed.items() if name != part)
        assert changed[part] > 4, part
        assert others < changed[part] / 3, part
        # The kept part is the target's own, apart from its shape.
        assert np.abs(made - target)[areas[part]].mean() < np.abs(plain - target)[areas[part]].mean()


@pytest.mark.slow
def test_a_target_keeps_its_beard_where_the_source_has_none(pipe: ReliableSwapPipeline) -> None:
    shaven, bearded = portrait(4, 360), portrait(SOURCE, 360)
    area = cores(pipe.find(bearded)[0].mesh, bearded.shape[:2])["beard"]

    def changed(source: np.ndarray, **attributes: str) -> tuple[float, dict[str, str]]:
        result = pipe(source, bearded, attributes=attributes)
        difference = np.abs(result.pictures[0].pixels.astype(float) - bearded)[area].mean()
        return float(difference), result.report.faces[0].attributes

    kept, said = changed(shaven)
    assert said == {"beard": "target, as the source has none"}
    taken, said = changed(shaven, beard="source")
    assert said == {"beard": "source"}
    assert kept < 0.6 * taken  # the shape changes in both
    assert changed(bearded)[1] == {}  # two beards: the source's
    assert pipe(bearded, shaven).report.faces[0].attributes == {}


@pytest.mark.slow
def test_the_sources_beard_continues_below_the_jaw(pipe: ReliableSwapPipeline) -> None:
    shaven, bearded = portrait(10, 480), portrait(SOURCE, 480)
    mesh = pipe.find(shaven)[0].mesh
    width = regions.face_width(mesh)
    chin, mouth = mesh[152, :2], mesh[13, :2]
    down = (chin - mouth) / np.linalg.norm(chin - mouth)

    def brightness(source: np.ndarray, distance: float, **attributes: str) -> float:
        """Of the middle of the throat, `distance` face widths below the chin."""
        made = pipe(source, shaven, attributes=attributes).pictures[0].pixels
        x, y = np.rint(chin + distance * width * down).astype(int)
        return float(made[y - 2 : y + 3, x - 4 : x + 5].mean())

    plain = brightness(portrait(4, 480), 0.08)
    assert brightness(bearded, 0.08) < 0.6 * plain
    assert brightness(bearded, 0.08, beard="target") > 0.9 * plain
    assert brightness(bearded, 0.45) == pytest.approx(brightness(portrait(4, 480), 0.45), rel=0.05)
    mirrored = portrait(SOURCE, 480)[:, ::-1]
    assert brightness(np.ascontiguousarray(mirrored), 0.08) < 0.6 * plain


@pytest.mark.slow
def test_shape_and_glasses_change_the_settings_of_a_swap(pipe: ReliableSwapPipeline) -> None:
    settings = SwapSettings(shape=0.7).with_attributes({"shape": "target", "glasses": "source"})
    assert (settings.shape, settings.glasses) == (0.0, 0.0)
    target, source = portrait(8, 360), portrait(3, 360)
    mesh = pipe.find(source)[0].mesh.astype(np.float64)
    wearing = paint_glasses(source, mesh, np.random.default_rng(5))[0]
    with_glasses = pipe(wearing, target, attributes={"glasses": "source"})
    without = pipe(wearing, target)
    assert with_glasses.report.faces[0].attributes == {"glasses": "source"}
    eyes = regions.dilated(regions.eyes(pipe.find(target)[0].mesh, target.shape[:2], 1.5), 6) > 0
    changed = np.abs(with_glasses.pictures[0].pixels.astype(float) - without.pictures[0].pixels).mean(2)
    assert changed[eyes].mean() > 30
    assert changed[eyes].mean() > 8 * changed[~eyes].mean()
    none = pipe(source, target, attributes={"glasses": "source"})
    assert none.report.faces[0].attributes == {"glasses": "source, who wears none"}


@pytest.mark.slow
def test_the_command_keeps_and_takes_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pipe: ReliableSwapPipeline
) -> None:
    for name, number in (("source", SOURCE), ("target", TARGET)):
        Image.fromarray(portrait(number, 240)).save(tmp_path / f"{name}.png")
    pictures = [str(tmp_path / name) for name in ("source.png", "target.png")]
    assert main(["swap", *pictures, "-o", str(tmp_path / "out.png"), "--keep", "brows,lips"]) == 0
    assert "face 0: brows of the target; lips of the target" in capsys.readouterr().err
    given = {"brows": "target", "lips": "target"}
    wanted = pipe(*pictures, attributes=given).pictures[0].pixels
    assert (
        np.abs(np.asarray(Image.open(tmp_path / "out.png").convert("RGB")).astype(int) - wanted).mean() < 4
    )  # the watermark
    assert parse_attributes("skin", "glasses") == Attributes(skin="target", glasses="source")


def test_wrong_attributes_are_named() -> None:
    with pytest.raises(ReliableSwapError, match="unknown attribute nose; choose from beard, brows"):
        Attributes.of({"nose": "target"})
    with pytest.raises(ReliableSwapError, match="attribute brows is 'both'"):
        SwapSettings().with_attributes({"brows": "both"})
    with pytest.raises(ReliableSwapError, match="lips is in both --keep and --take"):
        parse_attributes("lips", "lips")
