"""Measure a unified face model on held-out people: answers, descriptions, drawn faces, and time.

    python benchmarks/unified.py DATA MODEL -o OUT [--faces 200] [--drawn 64]

DATA is a folder that `reliableswap describe-data` wrote, MODEL a UnifiedFacePipeline or two folders of trainings with
a comma between: TOKENISER,TRANSFORMER. Answers are compared with the commonest answer of the training people and with
a linear probe on the identity vectors of the same training people. Descriptions are measured by attribute, with
intervals over people. Drawn faces are looked at by the networks that measure photos: none of them saw a drawn face or
a token in training. The tokeniser's own pictures of held-out people are measured the same way, for no drawing can be
better than its tokeniser. Men are drawn of captions that differ in what they say of a beard, from the same random
numbers. OUT gets figures.json, table.md and a sheet.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reliableswap.convert.perceptual import pretrained_perceptual_features
from reliableswap.data.describe.attributes import ATTRIBUTES, of_measures
from reliableswap.data.describe.language import PLAIN, caption, fixed_questions, stated
from reliableswap.data.describe.measures import measured
from reliableswap.data.describe.rows import DescribedFaces, read_rows
from reliableswap.evaluation.metrics.frechet import MIN_PICTURES, frechet_distance
from reliableswap.evaluation.metrics.intervals import bootstrap
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.beards import bearded
from reliableswap.faces.parts import bundled_visibility, find_parts
from reliableswap.faces.visibility import find_lower_shares
from reliableswap.media import Picture, write_picture
from reliableswap.models.unified.generate import answer, caption_words, draw, question_words
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer
from reliableswap.models.unified.words import number_words, written
from reliableswap.pipelines.unified import DESCRIBE, UnifiedFacePipeline

PARTS = ("answers", "descriptions", "drawing", "beards", "milliseconds")
# Captions of a man, by name: four of a long text that says other things of him, and two short ones.
BEARDS: dict[str, Callable[[str], str]] = {
    "long, nothing": lambda text: text,
    "long, without a beard": lambda text: f"{text} , without a beard",
    "long, with a beard": lambda text: f"{text} , with a beard",
    "long, bearded": lambda text: re.sub(r"\b(man|gentleman)\b", r"bearded \1", text, count=1),
    "a man": lambda text: "a man",
    "a bearded man": lambda text: "a bearded man",
}
_BATCH = 32
_SHEET = 64  # drawn faces on the sheet
_RIDGE = 1e-2


def load(place: str) -> tuple[FaceTokeniser, UnifiedTransformer]:
    """The two networks of a pipeline, or of TOKENISER,TRANSFORMER."""
    if "," in place:
        first, second = place.split(",")
        return FaceTokeniser.from_pretrained(first).eval(), UnifiedTransformer.from_pretrained(second).eval()
    pipe = UnifiedFacePipeline.from_pretrained(place)
    return pipe.tokeniser.eval(), pipe.transformer.eval()


def pixels_to_network(crops: Sequence[np.ndarray]) -> torch.Tensor:
    """(N,128,128,3) uint8 -> (N,3,128,128) in [-1,1]."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(pictures: torch.Tensor) -> np.ndarray:
    """(N,3,128,128) in [-1,1] -> (N,128,128,3) uint8."""
    made = ((pictures.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return made.permute(0, 2, 3, 1).numpy()


@torch.inference_mode()
def tokens_of(tokeniser: FaceTokeniser, crops: Sequence[np.ndarray]) -> torch.Tensor:
    """(N,64) the tokens of crops."""
    parts = [pixels_to_network(crops[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
    return torch.cat([tokeniser.encode(part) for part in parts])


@torch.inference_mode()
def pictures_of(tokeniser: FaceTokeniser, tokens: torch.Tensor) -> np.ndarray:
    """(N,128,128,3) the pictures of tokens."""
    return np.concatenate([to_pixels(tokeniser.decode(part)) for part in tokens.split(_BATCH)])


def probe_answers(features: np.ndarray, values: Sequence[str], wanted: np.ndarray) -> list[str]:
    """Fit a softmax on features (N,D) with a value each, and give the values of other features (M,D)."""
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
    """The words that are answered to one question about some faces."""
    found: list[list[int]] = []
    words = question_words(question, network.vocabulary)
    for start in range(0, len(rows), _BATCH):
        part = list(rows[start : start + _BATCH])
        known = torch.ones(len(part), dtype=torch.bool)
        vectors = torch.from_numpy(v_id[part])
        found += answer(network, tokens[part], [words] * len(part), vectors, known, longest)
    return found


def share(right: Sequence[bool], people: Sequence[str] | None = None) -> dict[str, float]:
    """The share of right ones in percent, with its interval, over people where they are given."""
    found = bootstrap([float(one) for one in right], groups=people, share=True)
    assert found is not None
    return {
        "value": 100 * found.value,
        "low": 100 * found.low,
        "high": 100 * found.high,
        "count": found.count,
    }


def balanced(values: Sequence[str], right: Sequence[bool]) -> dict[str, float]:
    """The mean over the values of their share of right answers, in percent, and that of one answer for all."""
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
    texts = [written(one, network.vocabulary) for one in words]
    return description_shares(texts, faces.attributes[:count], faces.people[:count]), texts


def description_shares(
    texts: Sequence[str], attributes: Sequence[Mapping[str, str]], people: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """By attribute, and for `all` of them, of faces whose attribute is known.

    precision: the share of what is stated that is right. recall: the share of faces of which the right value is stated.
    notable: the same of faces with a value that a caption always mentions. What no face has is left out.
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


def agreement(
    pictures: Sequence[np.ndarray], wanted: Sequence[dict[str, str]]
) -> dict[str, dict[str, float]]:
    """By attribute: the share of pictures whose measures say what was wanted, where they say anything; and `face`."""
    analyser = BundledAnalyser()
    faces, right = [], {name: [] for name in ATTRIBUTES}  # type: tuple[list[bool], dict[str, list[bool]]]
    for picture, truth in zip(pictures, wanted, strict=True):
        found = analyser(np.ascontiguousarray(picture))
        faces.append(bool(found))
        if not found:
            continue
        seen = of_measures(measured(picture, found[0]))
        for name, value in truth.items():
            if name in seen:
                right[name].append(seen[name] == value)
    shares = {name: share(own) for name, own in right.items() if len(own) >= 10}
    return {"face": share(faces), **shares}


def beards_seen(pictures: Sequence[np.ndarray], people: Sequence[str]) -> dict[str, float] | None:
    """The share of pictures with a beard, by what the VisibilityNet sees of the lower face; None if none has a face."""
    analyser, network = BundledAnalyser(), bundled_visibility()
    seen, whose = [], []
    for picture, person in zip(pictures, people, strict=True):
        pixels = np.ascontiguousarray(picture)
        found = analyser(pixels)
        if found:
            mesh = found[0].mesh
            shares = find_lower_shares(pixels, mesh, find_parts(pixels, mesh, network))
            seen.append(bearded(shares) > 0.5)
            whose.append(person)
    return share(seen, whose) if seen else None


def measure_beards(
    tokeniser: FaceTokeniser,
    network: UnifiedTransformer,
    faces: DescribedFaces,
    tokens: torch.Tensor,
    count: int,
    options: argparse.Namespace,
) -> dict[str, dict[str, float] | None]:
    """How many drawn men have a beard, by what is said of one; and how many real men who have one or none.

    Long captions state what else is known of held-out men, and differ in what is said of the beard alone.
    """
    men = [i for i in range(len(faces)) if faces.attributes[i].get("gender") == "man"]
    rng = np.random.default_rng(options.seed)
    plain = [
        caption({name: value for name, value in faces.attributes[i].items() if name != "beard"}, rng)
        for i in men[:count]
    ]
    found: dict[str, dict[str, float] | None] = {}
    for name, asked in BEARDS.items():
        drawn = pictures_of(tokeniser, drawings(network, [asked(text) for text in plain], options))
        found[name] = beards_seen(list(drawn), [faces.people[i] for i in men[:count]])
    for value in ("beard", "none"):
        real = [i for i in men if faces.attributes[i].get("beard") == value]
        whose = [faces.people[i] for i in real]
        found[f"photos, {value}"] = beards_seen([faces.crop(i) for i in real], whose)
        found[f"their tokens, {value}"] = beards_seen(
            list(pictures_of(tokeniser, tokens[real])) if real else [], whose
        )
    return found


@torch.inference_mode()
def features_of(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(N,D) EfficientNet-Lite1 features of whole crops: no loss uses them."""
    network = pretrained_perceptual_features(1)
    parts = [pixels_to_network(pictures[i : i + _BATCH]) for i in range(0, len(pictures), _BATCH)]
    return np.concatenate([network(part)[-1].mean((2, 3)).double().numpy() for part in parts])


def kernel_distance(ones: np.ndarray, others: np.ndarray) -> float:
    """The unbiased squared MMD of two feature sets with the cubic kernel (KID)."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    n, m = len(ones), len(others)
    xx, yy, xy = kernel(ones, ones), kernel(others, others), kernel(ones, others)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def drawings(
    network: UnifiedTransformer, captions: Sequence[str], options: argparse.Namespace
) -> torch.Tensor:
    """(N,64) the tokens that are drawn of captions."""
    generator = torch.Generator().manual_seed(options.seed)
    made = []
    for start in range(0, len(captions), _BATCH):
        words = [caption_words(text, network.vocabulary) for text in captions[start : start + _BATCH]]
        made.append(
            draw(
                network, words, steps=options.steps, guidance=options.guidance, generator=generator,
                temperature=options.temperature,
            )
        )  # fmt: skip
    return torch.cat(made)


def measure_drawing(
    tokeniser: FaceTokeniser,
    network: UnifiedTransformer,
    faces: DescribedFaces,
    tokens: torch.Tensor,
    count: int,
    options: argparse.Namespace,
) -> tuple[dict[str, object], np.ndarray]:
    """Draw the captions of held-out people; compare with what they state, with real crops and with their tokens."""
    captions = [faces.captions[i][0] for i in range(count)]
    drawn = pictures_of(tokeniser, drawings(network, captions, options))
    again = pictures_of(tokeniser, tokens[:count])
    wanted = [stated(text) for text in captions]
    found: dict[str, object] = {
        "agreement": agreement(drawn, wanted),
        "agreement of tokens": agreement(again, wanted),
    }
    if count >= MIN_PICTURES:
        real = [faces.crop(i) for i in range(len(faces))]
        sets = {"real": features_of(real), "tokens": features_of(again), "drawn": features_of(drawn)}
        for one, other in (("drawn", "real"), ("drawn", "tokens"), ("tokens", "real")):
            found[f"Fréchet {one} to {other}"] = frechet_distance(sets[one], sets[other])
            found[f"KID {one} to {other}"] = kernel_distance(sets[one], sets[other])
    return found, drawn


def milliseconds(
    tokeniser: FaceTokeniser, network: UnifiedTransformer, faces: DescribedFaces, steps: int
) -> dict[str, float]:
    """Wall time of each call on a crop, the middle of five; finding the face is not counted."""
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


def write_sheet(drawn: np.ndarray, path: Path) -> None:
    """Write the first drawn faces, eight in a row."""
    shown = drawn[:_SHEET]
    rows = [np.concatenate(list(shown[i : i + 8]), 1) for i in range(0, len(shown) // 8 * 8, 8)]
    if rows:
        write_picture(Picture(np.concatenate(rows), name="sheet"), path, overwrite=True)


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
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; other figures in OUT stay"
    )
    parser.add_argument("--split", default="validation", help="held-out part (default: validation)")
    parser.add_argument("--faces", type=int, default=10**6, help="held-out faces at most (default: all)")
    parser.add_argument("--drawn", type=int, default=10**6, help="captions to draw at most (default: all)")
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
