"""Measure a unified face model on held-out people: answers, descriptions, drawn faces, and time.

    python benchmarks/unified.py DATA MODEL -o OUT [--faces 200] [--drawn 64]

DATA is a folder that `reliableswap describe-data` wrote, MODEL a UnifiedFacePipeline or two folders of trainings with
a comma between: TOKENISER,TRANSFORMER. Answers are compared with the commonest answer of the training people and with
a linear probe on the identity vectors of the same training people. Descriptions are measured by attribute, with
intervals over people. Drawn faces are measured by the networks that measure photos, none of which saw a drawn face or
a token in training. The tokeniser's own pictures of held-out people are measured the same way, since no drawing can be
better than its tokeniser. Men are drawn from captions that differ in what they say about a beard, with the same random
numbers. OUT gets figures.json, table.md and a sheet.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from unified_drawings import (
    BATCH,
    measure_beards,
    measure_drawing,
    pictures_of,
    share,
    tokens_of,
    write_sheet,
)

from reliableswap.data.describe.attributes import ATTRIBUTES
from reliableswap.data.describe.language import PLAIN, fixed_questions, stated
from reliableswap.data.describe.rows import DescribedFaces, read_rows
from reliableswap.models.unified.generate import answer, caption_words, draw, question_words
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer
from reliableswap.models.unified.words import join_words, number_words
from reliableswap.pipelines.unified import DESCRIBE, UnifiedFacePipeline

PARTS = ("answers", "descriptions", "drawing", "beards", "milliseconds")
_RIDGE = 1e-2


def load(place: str) -> tuple[FaceTokeniser, UnifiedTransformer]:
    """The two networks of a pipeline, or of TOKENISER,TRANSFORMER."""
    if "," in place:
        first, second = place.split(",")
        return FaceTokeniser.from_pretrained(first).eval(), UnifiedTransformer.from_pretrained(second).eval()
    pipe = UnifiedFacePipeline.from_pretrained(place)
    return pipe.tokeniser.eval(), pipe.transformer.eval()


def probe_answers(features: np.ndarray, values: Sequence[str], wanted: np.ndarray) -> list[str]:
    """Fit a softmax classifier to features (N,D) with a value each, and predict the values of other features (M,D)."""
    names = sorted(set(values))
    mean, scale = features.mean(0), features.std(0) + 1e-6
    x = torch.from_numpy((features - mean) / scale).float()
    y = torch.tensor([names.index(value) for value in values])
    layer = torch.nn.Linear(x.shape[1], len(names))
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(x), y) + _RIDGE * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        chosen = layer(torch.from_numpy((wanted - mean) / scale).float()).argmax(1)
    return [names[i] for i in chosen]


def answers(
    network: UnifiedTransformer,
    tokens: torch.Tensor,
    v_id: np.ndarray,
    question: str,
    rows: Sequence[int],
    longest: int,
) -> list[list[int]]:
    """The words of the answers to one question about some faces."""
    found: list[list[int]] = []
    words = question_words(question, network.vocabulary)
    for start in range(0, len(rows), BATCH):
        part = list(rows[start : start + BATCH])
        known = torch.ones(len(part), dtype=torch.bool)
        vectors = torch.from_numpy(v_id[part])
        found += answer(network, tokens[part], [words] * len(part), vectors, known, longest)
    return found


def balanced(values: Sequence[str], right: Sequence[bool]) -> dict[str, float]:
    """The mean over the values of their share of right answers, in percent, and that of a constant answer."""
    names = sorted(set(values))
    shares = [
        np.mean([own for value, own in zip(values, right, strict=True) if value == name]) for name in names
    ]
    return {"value": 100 * float(np.mean(shares)), "chance": 100 / len(names)}


def measure_answers(
    network: UnifiedTransformer,
    tokens: torch.Tensor,
    faces: DescribedFaces,
    train: DescribedFaces,
    count: int,
) -> dict[str, dict[str, dict[str, float]]]:
    """By attribute: the model, the commonest answer, and the probe, on the same held-out faces."""
    found = {}
    for name, (question, said) in fixed_questions().items():
        rows = [i for i in range(count) if name in faces.attributes[i]]
        seen = [(i, one[name]) for i, one in enumerate(train.attributes) if name in one]
        if len(rows) < 10 or len({value for _, value in seen}) < 2:
            continue
        truth = [faces.attributes[i][name] for i in rows]
        words = answers(network, tokens, faces.v_id, question, rows, 5)
        right = [
            one == number_words(said[value], network.vocabulary)
            for one, value in zip(words, truth, strict=True)
        ]
        common = Counter(value for _, value in seen).most_common(1)[0][0]
        probed = probe_answers(
            train.v_id[[i for i, _ in seen]], [value for _, value in seen], faces.v_id[rows]
        )
        found[name] = {
            "model": share(right),
            "balanced": balanced(truth, right),
            "commonest": share([value == common for value in truth]),
            "probe": share([one == value for one, value in zip(probed, truth, strict=True)]),
        }
    return found


def measure_descriptions(
    network: UnifiedTransformer, tokens: torch.Tensor, faces: DescribedFaces, count: int
) -> tuple[dict[str, dict[str, dict[str, float]]], list[str]]:
    """`description_shares` of what the network says of held-out faces, and its texts."""
    words = answers(network, tokens, faces.v_id, DESCRIBE, range(count), 80)
    texts = [join_words(one, network.vocabulary) for one in words]
    return description_shares(texts, faces.attributes[:count], faces.people[:count]), texts


def description_shares(
    texts: Sequence[str], attributes: Sequence[Mapping[str, str]], people: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Figures by attribute, and for `all` of them, over faces whose attribute is known.

    precision: the share of stated values that are right. recall: the share of faces whose right value is stated.
    notable: recall over faces with a value that a caption always mentions. Figures over no faces are left out.
    """
    found = {}
    told = [stated(text) for text in texts]
    for group, names in {"all": tuple(ATTRIBUTES), **{name: (name,) for name in ATTRIBUTES}}.items():
        seen = [
            (person, said.get(name), truth[name], name)
            for person, said, truth in zip(people, told, attributes, strict=True)
            for name in names
            if name in truth
        ]
        parts = {
            "precision": [one for one in seen if one[1] is not None],
            "recall": seen,
            "notable": [one for one in seen if one[2] != PLAIN.get(one[3])],
        }
        own = {
            part: share([said == value for _, said, value, _ in rows], [person for person, *_ in rows])
            for part, rows in parts.items()
            if rows
        }
        if own:
            found[group] = own
    return found


def milliseconds(
    tokeniser: FaceTokeniser, network: UnifiedTransformer, faces: DescribedFaces, steps: int
) -> dict[str, float]:
    """Wall time of each call on a crop, the median of five; finding the face is not counted."""
    crop, vector = [faces.crop(0)], faces.v_id
    tokens = tokens_of(tokeniser, crop)
    words = [caption_words(faces.captions[0][0], network.vocabulary)]
    calls = {
        "tokens": lambda: tokens_of(tokeniser, crop),
        "describe": lambda: answers(network, tokens, vector, DESCRIBE, [0], 80),
        "ask": lambda: answers(network, tokens, vector, "does the person wear glasses ?", [0], 5),
        "draw": lambda: pictures_of(
            tokeniser,
            draw(network, words, steps=steps, guidance=2.0, generator=torch.Generator().manual_seed(0)),
        ),
    }
    found = {}
    for name, call in calls.items():
        times = []
        for _ in range(5):
            began = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - began))
        found[name] = float(np.median(times))
    return found


def table(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown."""

    def cell(one: dict[str, float] | None) -> str:
        return f"{one['value']:.0f} [{one['low']:.0f}, {one['high']:.0f}]" if one else "-"

    lines = [
        "| attribute | faces | model, % right | commonest answer | linear probe | mean over values (one answer) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, own in figures.get("answers", {}).items():
        row = " | ".join(cell(own[key]) for key in ("model", "commonest", "probe"))
        evenly = f"{own['balanced']['value']:.0f} ({own['balanced']['chance']:.0f})"
        lines.append(f"| {name} | {own['model']['count']} | {row} | {evenly} |")
    drawing = figures.get("drawing", {})
    lines += ["", "| descriptions | faces | stated | precision, % | recall, % | recall, notable, % |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for name, own in figures.get("descriptions", {}).items():
        row = " | ".join(cell(own.get(key)) for key in ("precision", "recall", "notable"))
        said = own["precision"]["count"] if "precision" in own else 0
        lines.append(f"| {name} | {own['recall']['count']} | {said} | {row} |")
    lines += ["", "| figure | value |", "|---|---:|"]
    lines += [f"| {key} | {value:.2f} |" for key, value in drawing.items() if isinstance(value, float)]
    lines += [f"| {key}, ms | {value:.0f} |" for key, value in figures.get("milliseconds", {}).items()]
    lines += ["", "| drawn faces show | of drawn | of the tokeniser's own |", "|---|---:|---:|"]
    theirs = drawing.get("agreement of tokens", {})
    for name, own in drawing.get("agreement", {}).items():
        lines.append(f"| {name} | {cell(own)} | {cell(theirs.get(name))} |")
    lines += ["", "| men | pictures | with a beard, % |", "|---|---:|---:|"]
    for name, own in figures.get("beards", {}).items():
        lines.append(f"| {name} | {own['count'] if own else 0} | {cell(own)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        help="what to measure; keep the other figures in OUT",
    )
    parser.add_argument("--split", default="validation", help="held-out split (default: validation)")
    parser.add_argument("--faces", type=int, default=10**6, help="most held-out faces to use (default: all)")
    parser.add_argument("--drawn", type=int, default=10**6, help="most captions to draw (default: all)")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    tokeniser, network = load(options.model)
    train, faces = read_rows(options.data, "train"), read_rows(options.data, options.split)
    count = min(options.faces, len(faces))
    tokens = tokens_of(tokeniser, [faces.crop(i) for i in range(len(faces))])
    stored = options.output / "figures.json"
    figures: dict[str, Any] = json.loads(stored.read_text()) if stored.is_file() else {}
    if "answers" in options.parts:
        figures["answers"] = measure_answers(network, tokens, faces, train, count)
    if "descriptions" in options.parts:
        figures["descriptions"], texts = measure_descriptions(network, tokens, faces, count)
        said = [f"{faces.photos[i]}\t{text}\t{dict(faces.attributes[i])}" for i, text in enumerate(texts)]
        (options.output / "descriptions.tsv").write_text("\n".join(said) + "\n")
    if "drawing" in options.parts:
        drawn = min(options.drawn, count)
        figures["drawing"], made = measure_drawing(tokeniser, network, faces, tokens, drawn, options)
        write_sheet(made, options.output / "drawn.png")
    if "beards" in options.parts:
        figures["beards"] = measure_beards(
            tokeniser, network, faces, tokens, min(options.drawn, count), options
        )
    if "milliseconds" in options.parts:
        figures["milliseconds"] = milliseconds(tokeniser, network, faces, options.steps)
    stored.write_text(json.dumps(figures, indent=1, ensure_ascii=False))
    (options.output / "table.md").write_text(table(figures))
    print((options.output / "table.md").read_text())


if __name__ == "__main__":
    main()
