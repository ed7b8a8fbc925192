"""`reliableswap evaluate`: pipelines and folders of results, side by side over one protocol."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliableswap import __version__
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols import ffpp
from reliableswap.evaluation.protocols import pairs as protocols
from reliableswap.evaluation.protocols.pairs import PROTOCOLS, make_pairs, other_photos, write_pairs
from reliableswap.evaluation.protocols.shots import Pair, Shot, find_pictures

if TYPE_CHECKING:
    from reliableswap.evaluation.judges.identity import FixerJudge, Judge
    from reliableswap.evaluation.measure import Examiner
    from reliableswap.evaluation.methods import Method, PipelineMethod
    from reliableswap.evaluation.report.texts import Facts
    from reliableswap.evaluation.results import Evaluation
    from reliableswap.faces.analysers.base import FaceAnalyser

FILES = ("report.md", "index.html", "report.json", "pairs.csv", "model-index.yaml")


class _Compared(argparse.Action):
    """--pipeline A --engine blend --engine neural --pipeline B: each engine belongs to the pipeline before it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        compared: list[tuple[str, list[str]]] = list(namespace.compared or [])
        if self.dest == "pipeline":
            compared.append((str(values), []))
        else:
            if not compared:
                compared.append(("bundled", []))
            compared[-1] = (compared[-1][0], [*compared[-1][1], str(values)])
        namespace.compared = compared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `reliableswap evaluate` takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{protocols.__doc__}\n{ffpp.__doc__}"
    parser.set_defaults(compared=None)
    parser.add_argument(
        "--pipeline",
        action=_Compared,
        metavar="DIR|bundled",
        help="a pipeline folder, Hub id, or bundled; may be repeated",
    )
    parser.add_argument(
        "--engine",
        action=_Compared,
        choices=("auto", "blend", "neural"),
        help="the engine of the --pipeline before it; may be repeated",
    )
    parser.add_argument(
        "--outputs",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="results of another tool, named as --list-pairs lists them; may be repeated",
    )
    parser.add_argument(
        "--controls", action="store_true", help="add the unchanged target and the source photo as methods"
    )
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True)
    parser.add_argument("--faces", type=Path, required=True, metavar="FOLDER", help="the protocol's photos")
    parser.add_argument("--pairs", type=int, default=1000, metavar="N", help="pairs (ffpp: videos) at most")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs and of the intervals")
    parser.add_argument(
        "--held-out",
        type=int,
        metavar="PERCENT",
        help="identity-folders: only the people that training keeps out",
    )
    parser.add_argument("--judge", metavar="DIR|ONNX|dlib", help="the encoder that judges identity")
    for name in ("mean", "std"):
        parser.add_argument(
            f"--judge-{name}",
            type=float,
            nargs="+",
            default=[0.5],
            metavar="X",
            help=f"{name} of an ONNX judge's input, one number or three, for pixels in 0..1 (default 0.5)",
        )
    parser.add_argument(
        "--mesh",
        default="bundled",
        metavar="bundled|ONNX",
        help="who reads pose and expression: the bundled mesh, or MediaPipe's FaceMesh as an ONNX file",
    )
    parser.add_argument("--lower-judge", metavar="DIR", help="a FixerNet that judges jaw and mouth")
    parser.add_argument(
        "--allow-same-judge",
        action="store_true",
        help="even if it is a pipeline's own network; the report says so",
    )
    parser.add_argument(
        "--features",
        default="efficientnet-lite2",
        metavar="NAME|ONNX|none",
        help="of the Fréchet distance: efficientnet-lite2, which no loss of ours looks at, -lite1, -lite0, which the "
        "losses do look at, or an ONNX file; one called inception*.onnx makes it FID",
    )
    parser.add_argument(
        "--real",
        type=Path,
        metavar="FOLDER",
        help="of the Fréchet distance: real photos that no pair makes anything of (default: the other photos of "
        "--faces, as many as there are pairs; lists of pairs and videos have none)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="REPORT", help="folder for the report")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="store the pipelines' results here")
    parser.add_argument(
        "--list-pairs", type=Path, metavar="TSV", help="only write the pairs, for other tools to work from"
    )
    for name in ("shape", "expression", "glasses"):
        parser.add_argument(
            f"--{name}", type=float, metavar="0..1", help="of the pipelines' swaps (default: theirs)"
        )
    parser.add_argument(
        "--device", help="where the pipelines run: cpu, openvino, cuda, cuda:1, mps (default: cpu)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, write the report, print the table."""
    started = time.perf_counter()
    pairs = make_pairs(
        arguments.protocol, arguments.faces, arguments.pairs, arguments.seed, arguments.held_out
    )
    if arguments.list_pairs is not None:
        write_pairs(pairs, arguments.list_pairs)
        _say(f"wrote {len(pairs)} pairs to {arguments.list_pairs}")
        return 0
    _check(arguments)

    from reliableswap.evaluation.judges.identity import check_judges, open_judge, open_lower_judge
    from reliableswap.evaluation.measure import evaluate

    judge = open_judge(arguments.judge, _channels(arguments, "mean"), _channels(arguments, "std"))
    lower = open_lower_judge(arguments.lower_judge) if arguments.lower_judge else None
    pipelines = open_pipelines(arguments)
    networks = {method.name: method.networks for method in pipelines}
    shared = check_judges(judge, lower, networks, arguments.allow_same_judge)
    methods = gather(arguments, pipelines, pairs)
    examiner = _examiner(arguments, judge, lower)
    evaluation = evaluate(methods, pairs, examiner, arguments.seed, _say, _others(arguments, pairs))
    facts = _facts(arguments, examiner, shared, time.perf_counter() - started)
    write_report(evaluation, facts, arguments.output)
    _say(f"wrote {', '.join(FILES)} in {arguments.output}")

    from reliableswap.evaluation.report.texts import markdown

    print(markdown(evaluation, facts).split("## Figures")[0].strip())
    return 0


def write_report(evaluation: Evaluation, facts: Facts, folder: Path) -> None:
    """Every form of the report, in one folder."""
    from reliableswap.evaluation.report import texts as report
    from reliableswap.evaluation.report.page import page

    folder.mkdir(parents=True, exist_ok=True)
    texts = (
        report.markdown(evaluation, facts),
        page(evaluation, facts),
        report.as_json(evaluation, facts),
        report.as_csv(evaluation),
        report.model_index(evaluation, facts),
    )
    for name, text in zip(FILES, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")


def _check(arguments: argparse.Namespace) -> None:
    """What can be said before anything is loaded."""
    if arguments.output is None:
        raise ReliableSwapError("where should the report go? give -o FOLDER")
    if arguments.output.is_file():
        raise ReliableSwapError(f"{arguments.output} is a file; the report is a folder")
    if not arguments.overwrite and any((arguments.output / name).exists() for name in FILES):
        raise ReliableSwapError(f"{arguments.output} holds a report; give another folder or --overwrite")
    if not (arguments.compared or arguments.outputs or arguments.controls):
        raise ReliableSwapError(
            "nothing to evaluate; give --pipeline bundled, --outputs NAME=FOLDER or --controls"
        )
    if arguments.real is not None and arguments.features == "none":
        raise ReliableSwapError("--real is for the Fréchet distance; leave out --features none, or --real")
    if arguments.judge is None:
        raise ReliableSwapError(
            "no judge of identity; give --judge dlib, an ONNX file or an encoder's folder"
        )


def open_pipelines(arguments: argparse.Namespace) -> list[PipelineMethod]:
    """One method an engine of each pipeline; a pipeline is loaded once."""
    from reliableswap.evaluation.methods import PipelineMethod
    from reliableswap.pipelines.image import ReliableSwapPipeline

    methods: list[PipelineMethod] = []
    asked = {name: getattr(arguments, name) for name in ("shape", "expression", "glasses")}
    options = {name: value for name, value in asked.items() if value is not None}
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise ReliableSwapError(f"--{name} is {value}; choose a value from 0 to 1")
    for place, engines in arguments.compared or []:
        bundled = place == "bundled"
        pipe = ReliableSwapPipeline.bundled() if bundled else ReliableSwapPipeline.from_pretrained(place)
        if arguments.device:
            pipe.on(arguments.device)
        pipe.set_progress_bar_config(disable=True)
        for engine in engines or ["auto"]:
            label = f"{'bundled' if bundled else Path(place).name}/{pipe.choose_engine(engine)}"
            methods.append(PipelineMethod(pipe, engine, label, arguments.keep, **options))
    return methods


def gather(
    arguments: argparse.Namespace, pipelines: Sequence[PipelineMethod], pairs: list[Pair]
) -> list[Method]:
    """Pipelines, folders of results, controls; every name once."""
    from reliableswap.evaluation.methods import FolderMethod, SourcePhoto, UnchangedTarget

    methods: list[Method] = list(pipelines)
    for given in arguments.outputs:
        name, equals, folder = given.partition("=")
        if not (name and equals and folder):
            raise ReliableSwapError(
                f"--outputs {given} is not NAME=FOLDER; write for example --outputs mine=results"
            )
        method = FolderMethod(name, Path(folder))
        method.check(pairs)
        methods.append(method)
    if arguments.controls:
        methods += [UnchangedTarget(), SourcePhoto()]
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise ReliableSwapError(f"two methods are called {name}; rename a folder or an --outputs")
    return methods


def _examiner(arguments: argparse.Namespace, judge: Judge, lower: FixerJudge | None) -> Examiner:
    """All faces are found by the bundled analyser on the CPU, whoever made them."""
    from reliableswap.evaluation.measure import Examiner
    from reliableswap.evaluation.metrics.frechet import features_of
    from reliableswap.faces.analysers.bundled import BundledAnalyser

    features = None if arguments.features == "none" else features_of(arguments.features)
    analyser: FaceAnalyser = BundledAnalyser()
    if arguments.mesh != "bundled":
        from reliableswap.faces.analysers.facemesh import FaceMesh, WithFaceMesh

        analyser = WithFaceMesh(analyser, FaceMesh(Path(arguments.mesh)))
    return Examiner(analyser, judge, lower, features)


def _others(arguments: argparse.Namespace, pairs: Sequence[Pair]) -> list[Shot]:
    """The photos that --real names, or the protocol's own."""
    from reliableswap.evaluation.metrics.frechet import LEAST

    if arguments.features == "none":
        return []
    if arguments.real is None:
        return other_photos(arguments.protocol, arguments.faces, pairs, arguments.seed, arguments.held_out)
    taken = {shot.path.resolve() for pair in pairs for shot in (pair.source, pair.target)}
    found = [Shot(path, str(path)) for path in find_pictures(arguments.real) if path.resolve() not in taken]
    if len(found) < LEAST:
        raise ReliableSwapError(
            f"--real {arguments.real} holds {len(found)} photos that no pair uses; give at least {LEAST}"
        )
    return found


def _channels(arguments: argparse.Namespace, name: str) -> list[float]:
    values: list[float] = getattr(arguments, f"judge_{name}")
    if len(values) not in (1, 3):
        raise ReliableSwapError(f"--judge-{name} has {len(values)} numbers; give one, or one a colour")
    return values


def _facts(arguments: argparse.Namespace, examiner: Examiner, shared: list[str], seconds: float) -> Facts:
    from reliableswap.evaluation.report.texts import Facts

    return Facts(
        protocol=arguments.protocol,
        faces=arguments.faces.resolve().name,
        seed=arguments.seed,
        judge=examiner.judge.name,
        lower_judge=examiner.lower.name if examiner.lower else None,
        features=examiner.features.name if examiner.features else None,
        analyser=examiner.analyser.name,
        version=__version__,
        command=_command(),
        shared=shared,
        seconds=round(seconds, 1),
    )


def _command() -> str:
    """The command as it was given; of paths only the names, because reports are published."""

    def short(word: str) -> str:
        name, equals, path = word.partition("=")
        if equals and "/" in path:
            return f"{name}={Path(path).name}"
        return Path(word).name if Path(word).is_absolute() else word

    return shlex.join(["reliableswap", *map(short, sys.argv[1:])])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
