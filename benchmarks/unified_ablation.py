"""Measure what the unified face model's experts and losses are worth at equal budget: same tokens, faces, steps, seeds.

    python benchmarks/unified_ablation.py DATA TOKENISER -o runs/ablation --steps 2000 --seeds 0 1

Trains the transformers of all rows side by side: in each step every row sees the same faces, words and masks. A GPU is
used if there is one. For each seed OUT/seed-N keeps rows.jsonl (answers and losses on held-out faces) and drawn.npz
(tokens drawn from their captions). A seed with both is not trained again. OUT/table.md holds the means over the seeds.
Rows without token experts have a plain MLP as wide as what a token passes through in the other rows, so they compute as
much with fewer weights.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from unified import answers
from unified_drawings import features_of, kernel_distance, pictures_of, tokens_of

from reliableswap.data.describe.language import fixed_questions
from reliableswap.data.describe.rows import read_rows
from reliableswap.evaluation.metrics.frechet import frechet_distance
from reliableswap.models import FaceTokeniser, UnifiedTransformer
from reliableswap.models.unified.generate import caption_words, draw
from reliableswap.models.unified.words import number_words
from reliableswap.training.tasks.unified.settings import UnifiedSettings
from reliableswap.training.tasks.unified.unified import UnifiedTask, build_transformer

_EMA = 0.998
_WARM_UP = 100  # steps
_LEAST = 10  # faces with a known value, for an attribute to count


@dataclass(frozen=True)
class Row:
    """name: what is trained. changes: to the settings that all rows share."""

    name: str
    changes: dict[str, object]


ROWS = (
    Row("both", {}),
    Row("no experts", {"token_experts": 0, "sequence_experts": False}),
    Row("experts of tokens", {"sequence_experts": False}),
    Row("experts of sequences", {"token_experts": 0}),
    Row("mask loss alone", {"loss": "mask"}),
    Row("score loss alone", {"loss": "score"}),
    Row("alpha 0.1", {"alpha": 0.1}),
    Row("alpha 0.001", {"alpha": 0.001}),
)


@dataclass
class Running:
    """A row in training. average: the moving average of the network, which is measured."""

    task: UnifiedTask
    network: UnifiedTransformer
    average: UnifiedTransformer
    optimizer: torch.optim.Optimizer

    def step(self, faces: torch.Tensor, rate: float, updates: int) -> None:
        """Train on one batch, given as positions of faces (B,2)."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.task.prepare(faces)
        with torch.autocast(faces.device.type, torch.bfloat16, enabled=faces.is_cuda):
            losses = self.task.losses(self.network, batch)
        torch.stack([one.float() for one in losses.values()]).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.task.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        share = 1 - min(_EMA, (1 + updates) / (10 + updates))
        with torch.no_grad():
            for own, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                own.lerp_(new, share)


def start(row: Row, task: UnifiedTask, device: torch.device) -> Running:
    """Set up a new network for a row, with the samples that all rows share."""
    own = copy.copy(task)
    own.settings = replace(task.settings, **row.changes)  # type: ignore[arg-type]
    torch.manual_seed(own.settings.seed)
    network = build_transformer(own.settings, task.tokeniser).to(device).train()
    wide = [p for p in network.parameters() if p.ndim > 1]
    groups = [
        {"params": wide, "weight_decay": own.settings.weight_decay},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return Running(own, network, copy.deepcopy(network).eval(), torch.optim.AdamW(groups))


def train(task: UnifiedTask, steps: int) -> dict[str, UnifiedTransformer]:
    """Train all rows side by side; return their averaged networks by name."""
    settings = task.settings
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task.start(0, device)
    running = {row.name: start(row, task, device) for row in ROWS}
    for step in range(steps):
        first = step * settings.train_batch_size
        faces = torch.tensor([task.dataset[first + i] for i in range(settings.train_batch_size)]).to(device)
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
        rate = settings.learning_rate * min(1.0, (step + 1) / _WARM_UP) * cosine
        for one in running.values():
            torch.manual_seed(settings.seed * 1_000_003 + step)
            one.step(faces, rate, step)
        if (step + 1) % 20 == 0:
            print(f"seed {settings.seed}, step {step + 1}/{steps}", flush=True)
    return {name: one.average for name, one in running.items()}


@torch.inference_mode()
def measure(
    network: UnifiedTransformer, task: UnifiedTask, drawn: int
) -> tuple[dict[str, object], np.ndarray]:
    """Measure the mean share of right answers and the losses of masked tokens, and draw tokens (N,64) from held-out
    captions."""
    held, faces = task.validation, task.held_out
    figures: dict[str, object] = {"parameters": network.parameter_count, **held.figures(network)}
    right: dict[str, float] = {}
    for name, (question, said) in fixed_questions().items():
        rows = [i for i in range(held.count) if name in faces.attributes[i]]
        if len(rows) < _LEAST:
            continue
        wanted = [number_words(said[faces.attributes[i][name]], network.vocabulary) for i in rows]
        found = answers(network, held.tokens, faces.v_id, question, rows, 5)
        right[name] = float(np.mean([one == other for one, other in zip(found, wanted, strict=True)]))
    figures["answers_mean"] = float(np.mean(list(right.values())))
    generator, made = torch.Generator().manual_seed(0), []
    for part in torch.arange(min(drawn, len(faces))).split(128):
        words = [caption_words(faces.captions[i][0], network.vocabulary) for i in part.tolist()]
        made.append(draw(network, words, steps=16, guidance=2.0, generator=generator))
    return figures, torch.cat(made).numpy().astype(np.int16)


def train_seed(seed: int, place: Path, options: argparse.Namespace) -> None:
    """Train and measure all rows of a seed, unless that was done."""
    if (place / "rows.jsonl").is_file() and (place / "drawn.npz").is_file():
        return
    settings = UnifiedSettings(
        data=options.data, output_dir=place, tokeniser=options.tokeniser, seed=seed, layers=options.layers,
        token_experts=options.experts, expert_width=options.expert_width, views=options.views,
        train_batch_size=options.batch, learning_rate=options.rate, drawing_share=0.6, validation_faces=400,
    )  # fmt: skip
    task = UnifiedTask(settings, FaceTokeniser.from_pretrained(options.tokeniser))
    lines, drawn = [], {}
    for name, network in train(task, options.steps).items():
        figures, drawn[name.replace(" ", "_")] = measure(network, task, options.drawn)
        lines.append(json.dumps({"row": name, "seed": seed, "steps": options.steps, **figures}))
    np.savez_compressed(place / "drawn.npz", **drawn)  # type: ignore[arg-type]
    (place / "rows.jsonl").write_text("\n".join([*lines, ""]))


def compare(seeds: list[Path], options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """The figures of each row in each seed, and how far its drawings are from photos and the tokeniser's pictures."""
    tokeniser = FaceTokeniser.from_pretrained(options.tokeniser).eval()
    faces = read_rows(options.data, "validation")
    crops = [faces.crop(i) for i in range(len(faces))]
    real, own = features_of(crops), features_of(pictures_of(tokeniser, tokens_of(tokeniser, crops)))
    found: dict[str, list[dict[str, float]]] = {}
    for place in seeds:
        drawn = np.load(place / "drawn.npz")
        for line in (place / "rows.jsonl").read_text().splitlines():
            row = json.loads(line)
            tokens = torch.from_numpy(drawn[row["row"].replace(" ", "_")].astype(np.int64))
            made = features_of(pictures_of(tokeniser, tokens))
            found.setdefault(row["row"], []).append(
                {
                    "parameters, M": row["parameters"] / 1e6,
                    "answers right, %": 100 * row["answers_mean"],
                    "loss, 90 % masked": row["mask_90"],
                    "loss, 50 % masked": row["mask_50"],
                    "Fréchet to real": frechet_distance(made, real),
                    "Fréchet to tokens": frechet_distance(made, own),
                    "KID to real": kernel_distance(made, real),
                }
            )
    return found


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Means over the seeds as Markdown, with the least and the greatest value where they differ."""
    names = list(next(iter(found.values()))[0])
    lines = [f"| row | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for row, seeds in found.items():
        cells = []
        for name in names:
            values, digits = [one[name] for one in seeds], 3 if name.startswith("loss") else 1
            least, most = (f"{value:.{digits}f}" for value in (min(values), max(values)))
            spread = "" if least == most else f" ({least} to {most})"
            cells.append(f"{np.mean(values):.{digits}f}{spread}")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("tokeniser", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate (default: 1e-3)")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--experts", type=int, default=2, help="routed experts per group (default: 2)")
    parser.add_argument("--expert-width", type=int, default=144)
    parser.add_argument(
        "--views", type=int, default=16, help="tokenised views per face and mirror image (default: 16)"
    )
    parser.add_argument("--drawn", type=int, default=256, help="number of captions to draw (default: 256)")
    options = parser.parse_args()
    places = [options.output / f"seed-{seed}" for seed in options.seeds]
    for seed, place in zip(options.seeds, places, strict=True):
        place.mkdir(parents=True, exist_ok=True)
        train_seed(seed, place, options)
    text = table(compare(places, options))
    (options.output / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
