"""What holds for the package as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "reliableswap").rglob("*.py"))


def test_importing_the_package_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import time, sys; start = time.perf_counter(); import reliableswap; "
        "print(time.perf_counter() - start, sorted({'torch', 'diffusers', 'cv2', 'gradio'} & set(sys.modules)))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert min(float(run.stdout.split()[0]) for run in runs) < 0.3
    assert all("[]" in run.stdout for run in runs)


def test_the_blend_room_does_without_torch() -> None:
    code = (
        "import sys, reliableswap.blend as blend; [getattr(blend, name) for name in blend.__all__]; "
        "print(sorted({'torch', 'diffusers', 'gradio'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_load_on_first_use() -> None:
    import reliableswap

    for name in reliableswap.__all__:
        assert getattr(reliableswap, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = reliableswap.nothing


# A room may import from these rooms (and itself); DESIGN: arrows point one way.
ALLOWED = {
    "models": set(),
    "faces": {"models"},
    "blend": {"faces", "models"},
    "media": {"provenance"},
    "provenance": {"media"},  # a mark lives inside a file format, so the two rooms know each other
    "triplets": {"models", "faces", "blend", "media", "provenance"},
    "evaluation": {"models", "faces", "triplets", "blend", "media"},
    "training": {"models", "faces", "triplets", "blend", "evaluation", "media"},
}


@pytest.mark.parametrize("room", ALLOWED)
def test_arrows_point_one_way(room: str) -> None:
    rooms = {path.name for path in (ROOT / "reliableswap").iterdir() if path.is_dir()}
    for path in (ROOT / "reliableswap" / room).rglob("*.py"):
        text = path.read_text()
        reached = set(re.findall(r"from \.\.(\w+)", text)) | set(
            re.findall(r"from reliableswap\.(\w+)", text)
        )
        wrong = (reached & rooms) - ALLOWED[room] - {room}
        assert not wrong, f"{path.relative_to(ROOT)} reaches into {wrong}"


def test_no_room_reads_the_private_names_of_another() -> None:
    for path in SOURCES:
        for line in path.read_text().splitlines():
            found = re.match(r"\s*from (\.\.\w[\w.]*|reliableswap\.\w[\w.]*) import (.+)", line)
            if found:
                assert not re.search(r"(^|, )_", found.group(2)), f"{path.relative_to(ROOT)}: {line}"


def test_pickles_are_read_in_one_place_only() -> None:
    readers = {path.name for path in SOURCES if "torch.load(" in path.read_text()}
    assert readers <= {"convert.py"}
    for path in SOURCES:
        for call in re.findall(r"torch\.load\([^)]*\)", path.read_text()):
            assert "weights_only=True" in call


def test_nothing_names_a_path_of_one_machine() -> None:
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py"), ROOT / "README.md"]:
        if path.name != "test_package.py":
            assert not re.search(r"/(home|root|work)/\w", path.read_text()), path
