"""Runs of the factory whose surrogates an earlier generator made, or that work from single photos."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.triplet_people import SETTINGS, Known, all_rows, shard_bytes

from reliableswap.bundled import bundled
from reliableswap.cli import triplets as command
from reliableswap.data.cells import decode_mesh, decode_picture
from reliableswap.data.mix import Mix
from reliableswap.data.shards import read_about
from reliableswap.data.splits import Split
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.faces.align import TEMPLATES
from reliableswap.faces.face import five_points
from reliableswap.triplets.factory import make_triplets
from reliableswap.triplets.settings import FilterSettings, SourceVariation, SurrogateSettings
from reliableswap.triplets.surrogates.generator_choice import GeneratorChoice

FEW = dataclasses.replace(SETTINGS, pairs=8, split=Split(1, 0, 0))


@pytest.fixture(scope="module")
def by_generator(
    people: tuple[Path, partial[Known]], made: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Triplets of which the bundled generator made a half."""
    folder = tmp_path_factory.mktemp("by_generator")
    choice = GeneratorChoice(bundled("generator"))
    make_triplets(
        people[0], folder, FEW, analyser=people[1], cache=made / "cache", generator=choice, progress=False
    )
    return folder


@pytest.mark.slow
def test_a_generator_makes_the_surrogates_of_a_share_of_the_pairs(by_generator: Path) -> None:
    rows = all_rows(by_generator)
    makers = [row["surrogate_ab"] for row in rows]
    (label,) = set(makers) - {"blend"}
    assert label.startswith("LightGenerator ")
    assert 0 < makers.count(label) < len(rows)
    for row in rows:
        assert row["surrogate_ab"] == row["surrogate_ba"]
        a, ab = (decode_picture(row[name]["bytes"]).astype(int) for name in ("c_a", "c_ab"))
        face = np.abs(a - ab)[30:70, 30:66].mean()
        assert face > 2  # swapped
        assert np.abs(a - ab)[:6].mean() < 4  # in the photo of a
        assert np.abs(decode_mesh(row["mesh_a"]) - decode_mesh(row["mesh_ab"])).max() > 0.2
    abouts = [read_about(path) for path in (by_generator / "data").iterdir()]
    assert sum(about["made_by"].get(label, 0) for about in abouts) == makers.count(label)
    assert {about["generator"] for about in abouts} == {label}
    assert f"{label} {makers.count(label)}" in (by_generator / "README.md").read_text()


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(
    by_generator: Path, people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    """Neither of records nor of pairs, by the blend or by a generator."""
    choice = GeneratorChoice(bundled())  # the pipeline holds the same generator
    make_triplets(people[0], tmp_path, FEW, analyser=people[1], generator=choice, workers=2, progress=False)
    assert shard_bytes(tmp_path) == shard_bytes(by_generator)


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_generator_only(
    by_generator: Path, people: tuple[Path, partial[Known]], made: Path
) -> None:
    args = {"analyser": people[1], "cache": made / "cache", "progress": False}
    with pytest.raises(ReliableSwapError, match="started with different generator"):
        make_triplets(people[0], by_generator, FEW, **args)
    with pytest.raises(WeightsError, match="holds a MeshNet, not a generator"):
        GeneratorChoice(bundled("landmarks")).load()
    with pytest.raises(ReliableSwapError, match="target_surrogate_share is 2"):
        SurrogateSettings(target_surrogate_share=2)


@pytest.mark.slow
def test_single_photos_give_sources_and_truths(
    people: tuple[Path, partial[Known]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = f"-o {tmp_path}/out --size 64 --pairs 4 --split 1/0/0 --quiet --max-covered 1 --min-sharpness 0"
    options += " --singles --max-to-target 1 --min-to-source -1"
    assert command.run(parser.parse_args([str(people[0]), *options.split()])) == 0
    said = capsys.readouterr().err
    rows = all_rows(tmp_path / "out")
    made = [(row, side) for row in rows for side in "ab" if row[f"source_{side}"]]
    assert f"source surrogates: {len(made)} kept with a mean cosine of 0." in said
    assert len(made) > len(rows)
    limit = FilterSettings().min_source_kept
    for row, side in made:
        assert row[f"source_to_{side}"] >= limit
        source, photo = (
            decode_picture(row[name]["bytes"]).astype(int) for name in (f"source_{side}", f"c_{side}")
        )
        assert np.abs(source - photo).mean() > 3  # another picture
        points = five_points(decode_mesh(row[f"mesh_source_{side}"]))
        assert np.abs(points - TEMPLATES["arcface_128"].at(64)).max() < 5  # aligned
        assert 0 < json.loads(row[f"settings_source_{side}"])["turn"] <= SourceVariation().max_turn
    assert all(row["other_a"] is None and row["other_b"] is None for row in rows)

    dataset = TripletDataset(tmp_path / "out", mix=Mix(0, 0, 0, 0, 0, surrogate_source=1))
    kinds = Counter(dataset.sample(i, np.random.default_rng(i)).kind for i in range(12))
    assert kinds["surrogate_source"] > kinds["cycle"]  # a row without one gives a cycle triplet


@pytest.mark.slow
def test_the_command_takes_a_generator(
    people: tuple[Path, partial[Known]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = f"-o {tmp_path}/out --size 64 --pairs 2 --split 1/0/0 --quiet --encoder none --max-covered 1"
    options += f" --min-sharpness 0 --target-surrogate {bundled('generator')} --target-surrogate-share 1"
    options += " --girth 0.1 --girth-share 1"
    assert command.run(parser.parse_args([str(people[0]), *options.split()])) == 0
    assert "made by: LightGenerator" in capsys.readouterr().err
    assert all(abs(json.loads(row["settings_ab"])["girth"]) > 0 for row in all_rows(tmp_path / "out"))
