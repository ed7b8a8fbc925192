"""The surrogates' ablation runs commands that exist, and compares rows with the first one pair by pair."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import pytest
from support.pairs import write_pairs

from reliableswap.cli import triplets
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.config import parse_settings
from reliableswap.training.tasks.generator.settings import GeneratorSettings

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import rows
import surrogates


def run(monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    monkeypatch.setattr(sys, "argv", ["surrogates.py", "photos", "faces", "-o", "out", *more])
    surrogates.main()


def test_every_command_parses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "--dry-run", "--seeds", "0", "--size", "64", "--channels", "48", "--set", "l1_weight=7")
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    parser = argparse.ArgumentParser()
    triplets.add_arguments(parser)
    made, trained = set(), set()
    for line in lines:
        if "triplets" in line[:4]:
            found = parser.parse_args(line[line.index("triplets") + 1 :])
            assert triplets.settings_of(found).surrogates.singles
            assert triplets.settings_of(found).size == 64
            made.add(str(found.output))
        else:
            settings = parse_settings(GeneratorSettings, line[line.index("generator") + 1 :], "", "")
            assert settings.triplets in made
            assert (settings.channels, settings.l1_weight) == (48, 7)
            changed = settings.supervision, settings.adapter, settings.proxy_beta, settings.alternate
            trained.add((settings.triplets, *changed))
    assert len(made) == 4
    assert len(trained) == len(lines) - 4 == 10


def test_each_row_runs_once_before_any_runs_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--dry-run", "--rows", "generator targets", "proxy beta 2", "--seeds", "3", "4")
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    names = [Path(line[line.index("--output_dir") + 1]).name for line in lines if "--output_dir" in line]
    assert names == ["generator-targets-3", "proxy-beta-2-3", "generator-targets-4", "proxy-beta-2-4"]


def test_existing_triplets_are_used_and_failures_are_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "triplets" / "blend"
    folder.mkdir(parents=True)
    (folder / "README.md").touch()
    monkeypatch.setattr(
        surrogates, "training_command", lambda _: [sys.executable, "-c", "assert False, 'no'"]
    )
    more = ("-o", str(tmp_path), "--rows", "proxy beta 2", "--seeds", "0", "--at-once", "2", "--train-only")
    with pytest.raises(ReliableSwapError, match="1 of 1 trainings are not done"):
        run(monkeypatch, *more)


def test_without_a_trained_row_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match=r"no row in .* has been trained"):
        run(monkeypatch, "-o", str(tmp_path), "--trained-only")


def test_rows_are_compared_with_the_first_by_the_seeds_that_both_have(tmp_path: Path) -> None:
    first, other = surrogates.ROWS[:2]
    runs = [surrogates.Run(row, seed) for row, seed in ((other, 0), (other, 1), (first, 0))]
    values = {rows.method_of(one): 0.1 * (one.row is other) + one.seed for one in runs}
    write_pairs(tmp_path / "pairs.csv", values)
    (claim,) = surrogates.claims(runs, tmp_path / "pairs.csv")
    assert claim == "- without source surrogates, seed 0: cos to source +0.100 [+0.100, +0.100]"
