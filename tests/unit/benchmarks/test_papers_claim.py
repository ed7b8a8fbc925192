"""The benchmark of the paper's claim runs commands that exist, and compares rows pair by pair."""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pairs import write_pairs

from reliableswap.cli import train, triplets
from reliableswap.errors import ReliableSwapError

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import curves
import papers_claim
import rows


def commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str
) -> list[list[str]]:
    monkeypatch.setattr(sys, "argv", ["papers_claim.py", "photos", "faces", "-o", "out", "--dry-run", *more])
    papers_claim.main()
    return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_every_command_parses_and_rows_differ_only_in_named_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, judge, *trainings = commands(monkeypatch, capsys, "--set", "identity_margin=0.2", "--size", "96")
    parser = argparse.ArgumentParser()
    triplets.add_arguments(parser)
    found = parser.parse_args(made[made.index("triplets") + 1 :])
    assert triplets.settings_of(found).size == 96
    assert train.parse("fixer", judge[judge.index("fixer") + 1 :])[1].seed == 1
    settings = [train.parse("generator", line[line.index("generator") + 1 :])[1] for line in trainings]
    assert len(settings) == 2 * 5 * 3
    assert {one.base for one in settings} == {"simswap", "faceshifter"}
    names = (
        "base",
        "seed",
        "supervision",
        "output_dir",
        "fixer",
        "lower_face_weight",
        "channels",
        "identity_margin",
    )
    alike = {
        (
            one.base,
            tuple(
                (k, str(v))
                for k, v in sorted(vars(one).items())
                if k not in names and k != "attribute_weight"
            ),
        )
        for one in settings
    }
    assert len({base for base, _ in alike}) == len(alike) == 2
    assert {one.identity_margin for one in settings} == {0.2}
    assert all((one.fixer is not None) == ("FixerNet" in str(one.output_dir)) for one in settings)


def test_processes_share_the_batch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (
        "--triplets",
        "t",
        "--lower-judge",
        "j",
        "--bases",
        "simswap",
        "--rows",
        "vanilla",
        "--seeds",
        "4",
    )
    (only,) = commands(monkeypatch, capsys, *more, "--processes", "2", "--batch", "16")
    assert only[only.index("--nproc_per_node") + 1] == "2"
    found = train.parse("generator", only[only.index("generator") + 1 :])[1]
    assert (found.train_batch_size, found.seed, found.triplets) == (8, 4, "t")
    with pytest.raises(SystemExit):
        commands(monkeypatch, capsys, *more, "--processes", "3", "--batch", "16")


def test_differences_are_between_seed_means_over_the_same_pairs(tmp_path: Path) -> None:
    lines = [
        {
            "method": method,
            "pair": str(pair),
            "cos_source": "" if (method, pair) == ("a1", 3) else str(value + pair / 100),
            "source_person": f"s{pair % 7}",
            "target_person": f"t{pair % 5}",
        }
        for method, value in (("a0", 0.3), ("a1", 0.5), ("b0", 0.1), ("b1", 0.1))
        for pair in range(40)
    ]
    with (tmp_path / "pairs.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
    measured = rows.read_pairs(tmp_path / "pairs.csv")
    column = next(one for one in rows.COLUMNS if one.key == "cos_source")
    found = rows.difference(measured, ["a0", "a1"], ["b0", "b1"], column)
    assert found is not None
    assert found.value == pytest.approx(0.3)
    assert found.count == 39
    assert [words for _, words in rows.differences(measured, ["a0", "a1"], ["b0", "b1"])] == [
        "+0.300 [+0.300, +0.300]"
    ]


def test_rows_are_compared_by_the_seeds_that_both_have(tmp_path: Path) -> None:
    vanilla, cycle = papers_claim.ROWS[0], papers_claim.ROWS[2]
    runs = [papers_claim.Run("simswap", row, seed) for row, seed in ((vanilla, 0), (cycle, 0), (cycle, 1))]
    values = {rows.method_of(one): 0.1 * (one.row is cycle) + one.seed for one in runs}
    write_pairs(tmp_path / "pairs.csv", values)
    (claim,) = papers_claim.claims(runs, tmp_path / "pairs.csv")
    assert "+ cycle triplets minus vanilla, seed 0: cos to source +0.100 [+0.100, +0.100]" in claim


def test_without_a_trained_row_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(ReliableSwapError, match=r"no row in .* has been trained"):
        commands(monkeypatch, capsys, "-o", str(tmp_path), "--trained-only")


def test_curves_keep_the_last_of_repeated_validations_and_are_plotted(tmp_path: Path) -> None:
    for number, run in enumerate(("one", "two")):
        (tmp_path / run / "grids").mkdir(parents=True)
        lines = [
            {"step": step, "source_first": share + number / 10, "identity": share, "pose": 3.0}
            for step, share in ((10, 0.1), (20, 0.2), (20, 0.25), (30, 0.4), (40, 0.5))
        ]
        (tmp_path / run / "figures.jsonl").write_text("\n".join(map(json.dumps, lines)))
        picture = np.repeat(np.arange(5, dtype=np.uint8) * 40 + number, 8)[None, :, None]
        grid = np.broadcast_to(picture, (16, 40, 3))
        Image.fromarray(np.ascontiguousarray(grid)).save(tmp_path / run / "grids" / "step-0000040.png")
    read = [curves.read_curve(tmp_path / run) for run in ("one", "two")]
    assert [one["step"] for one in read[0]] == [10, 20, 30, 40]
    assert read[0][1]["source_first"] == 0.25
    assert curves.last_quarter(read[0]) == pytest.approx(10)
    curves.write_csv(dict(zip("ab", read, strict=True)), tmp_path / "curves.csv")
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 9
    curves.plot({"vanilla": read, "cycle": read[:1]}, tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").width > 400
    curves.sheet({"vanilla": tmp_path / "one", "cycle": tmp_path / "two"}, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (36, 32, 3)
    assert sheet[-1, ::8, 0].tolist() == [0, 40, 120, 121]  # source, target and both outputs


def test_each_row_runs_once_before_any_runs_twice_and_the_claims_rows_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = commands(monkeypatch, capsys, "--triplets", "t", "--lower-judge", "j", "--seeds", "0", "1")
    names = [Path(line[line.index("--output_dir") + 1]).name for line in found]
    assert names[:4] == [
        "simswap-vanilla-0",
        "faceshifter-vanilla-0",
        "simswap-cycle-triplets-0",
        "faceshifter-cycle-triplets-0",
    ]
    assert all(name.endswith("-0") for name in names[:10])
    assert len({*names}) == len(names) == 20


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_that_fails_stops_no_other(tmp_path: Path) -> None:
    made = {tmp_path / f"{n}.log": python(f"print({n}); assert {n} != 1, 'no'") for n in range(4)}
    (failed,) = rows.run_at_once(made, 2).items()
    assert failed == (tmp_path / "1.log", "exit status 1: AssertionError: no")
    assert [(tmp_path / f"{n}.log").read_text().split("\n")[0] for n in range(4)] == ["0", "1", "2", "3"]


def test_as_many_commands_run_at_a_time_as_were_asked_for(tmp_path: Path) -> None:
    meet = """
import pathlib, sys, time
here = pathlib.Path(sys.argv[1])
(here / sys.argv[2]).touch()
while len(list(here.glob("at-*"))) < 3:
    time.sleep(0.01)
"""
    made = {tmp_path / f"{n}.log": [*python(meet), str(tmp_path), f"at-{n}"] for n in range(3)}
    assert not rows.run_at_once(made, 3, minutes=1)


def test_at_the_time_limit_commands_and_their_children_are_ended(tmp_path: Path) -> None:
    parent = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; time.sleep(2); open({str(tmp_path / "late")!r}, 'w')"])
"""
    made = {tmp_path / "long.log": python(parent), tmp_path / "next.log": python("")}
    failed = rows.run_at_once(made, 1, minutes=0.5 / 60)
    assert failed == {
        tmp_path / "long.log": "ended by the time limit",
        tmp_path / "next.log": "not started",
    }
    time.sleep(2.5)
    assert not (tmp_path / "late").exists()


def test_missing_trainings_are_listed_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def made(options: dict[str, object], _: int) -> list[str]:
        return python(f"assert {options['seed']} == 0")

    monkeypatch.setattr(papers_claim, "training_command", made)
    more = (
        "--rows",
        "vanilla",
        "--bases",
        "simswap",
        "--seeds",
        "0",
        "1",
        "--triplets",
        "t",
        "--lower-judge",
        "j",
    )
    words = [
        "papers_claim.py",
        "photos",
        "faces",
        "-o",
        str(tmp_path),
        *more,
        "--at-once",
        "2",
        "--train-only",
    ]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(
        ReliableSwapError, match=r"1 of 2 trainings are not done:\n.*vanilla-1.log: exit status 1"
    ):
        papers_claim.main()
    assert "simswap-vanilla-0: done" in capsys.readouterr().out
