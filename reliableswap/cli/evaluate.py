"""`reliableswap evaluate`: compare pipelines and other tools' results by one protocol."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols import clips, ffpp, pairs
from reliableswap.evaluation.settings import EvaluationSettings, PipelineChoice

from .common import add_executor_arguments, executor_of

if TYPE_CHECKING:
    from reliableswap.evaluation.report.info import RunInfo
    from reliableswap.evaluation.results import Evaluation

logger = logging.getLogger(__name__)


class _AddPipeline(argparse.Action):
    """--pipeline A --engine blend --engine neural --pipeline B: an engine belongs to the pipeline before it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        chosen: list[PipelineChoice] = list(namespace.pipelines)
        if self.dest == "pipeline":
            chosen.append(PipelineChoice(str(values)))
        else:
            last = chosen.pop() if chosen else PipelineChoice("bundled")
            chosen.append(PipelineChoice(last.place, (*last.engines, str(values))))
        namespace.pipelines = chosen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `reliableswap evaluate`; the defaults are those of EvaluationSettings."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{pairs.__doc__}\n{ffpp.__doc__}\n{clips.__doc__}"
    _add_methods(parser.add_argument_group("what to compare"))
    _add_protocol(parser.add_argument_group("on which pairs"))
    _add_judges(parser.add_argument_group("by which judges"))
    _add_output(parser.add_argument_group("where to write"))
    add_executor_arguments(parser.add_argument_group("where to measure"), "chunk of pairs and each clip")
    parser.set_defaults(pipelines=[])  # filled by --pipeline and --engine


def _add_methods(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--pipeline",
        action=_AddPipeline,
        metavar="DIR|bundled",
        help="a pipeline's folder or Hub id, or bundled; may be repeated",
    )
    group.add_argument(
        "--engine",
        action=_AddPipeline,
        choices=("auto", "blend", "neural"),
        help="an engine of the --pipeline before it; may be repeated (default: auto)",
    )
    group.add_argument(
        "--outputs",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="another tool's results, with the file names that --list-pairs gives; may be repeated",
    )
    group.add_argument(
        "--controls", action="store_true", help="add the unchanged target and the source photo as methods"
    )
    for name in ("shape", "expression", "glasses"):
        group.add_argument(
            f"--{name}",
            type=float,
            metavar="0..1",
            help=f"the pipelines' {name} (default: what each pipeline uses)",
        )
    group.add_argument(
        "--device", help="device of the pipelines: cpu, openvino, cuda, cuda:1, mps (default: cpu)"
    )


def _add_protocol(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--protocol", choices=pairs.PROTOCOLS, required=True, help="how photos become pairs (below)"
    )
    group.add_argument("--faces", type=Path, required=True, metavar="FOLDER", help="the protocol's photos")
    group.add_argument(
        "--pairs",
        type=int,
        default=EvaluationSettings.pairs,
        metavar="N",
        help="maximum number of pairs to measure; of clips for ffpp and video (default: %(default)s)",
    )
    group.add_argument(
        "--frames",
        type=int,
        default=EvaluationSettings.frames,
        metavar="N",
        help="video only: frames to measure per clip; 0 for all (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=EvaluationSettings.seed,
        help="seed of the pairs and of the intervals (default: %(default)s)",
    )
    group.add_argument(
        "--held-out",
        type=_percentage,
        metavar="PERCENT|all",
        help="identity-folders only: measure only people that training leaves out at this percentage, or all people "
        "(default: the smallest percentage that a compared generator stores; all if no generator takes part)",
    )


def _add_judges(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--judge", metavar="DIR|ONNX|dlib", help="the encoder that judges identity")
    for name in ("mean", "std"):
        group.add_argument(
            f"--judge-{name}",
            type=float,
            nargs="+",
            default=getattr(EvaluationSettings, f"judge_{name}"),
            metavar="X",
            help=f"{name} of an ONNX judge's input for pixels in 0..1, one number or three (default: 0.5)",
        )
    group.add_argument("--lower-judge", metavar="DIR", help="a FixerNet that judges jaw and mouth")
    group.add_argument(
        "--allow-same-judge",
        action="store_true",
        help="accept a judge that is a pipeline's own network; the report says so",
    )
    group.add_argument(
        "--mesh",
        default=EvaluationSettings.mesh,
        metavar="bundled|ONNX",
        help="mesh network for pose and expression: bundled, or MediaPipe's FaceMesh as an ONNX file "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--features",
        default=EvaluationSettings.features,
        metavar="NAME|ONNX|none",
        help="features of the Fréchet distance: efficientnet-lite2 or -lite1, which none of our losses uses, "
        "efficientnet-lite0, which our losses use, or an ONNX file; inception*.onnx gives FID (default: %(default)s)",
    )
    group.add_argument(
        "--natural",
        action="store_true",
        help="measure how well linear probes on features that no loss uses tell the results from real photos, with the "
        "unchanged and the recompressed target as controls; takes about a second for each result and photo",
    )
    group.add_argument(
        "--real",
        type=Path,
        metavar="FOLDER",
        help="real photos for the Fréchet distance and --natural (default: as many photos of --faces as there are "
        "pairs, none of which is in a pair; lists of pairs and videos have no default)",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-o", "--output", type=Path, metavar="REPORT", help="folder of the report")
    group.add_argument("--overwrite", action="store_true", help="replace an earlier report")
    group.add_argument("--keep", type=Path, metavar="FOLDER", help="store the pipelines' results here")
    group.add_argument(
        "--list-pairs", type=Path, metavar="TSV", help="only write the list of pairs, for other tools to swap"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, write the report, and print the table."""
    from reliableswap.evaluation import run as evaluation_run
    from reliableswap.evaluation.protocols.pair_list import write_pairs
    from reliableswap.evaluation.report.write import FILES, check_output, write_report

    settings = settings_of(arguments)
    if arguments.list_pairs is not None:
        found = evaluation_run.protocol_pairs(settings)
        write_pairs(found, arguments.list_pairs)
        logger.info("wrote %d pairs to %s", len(found), arguments.list_pairs)
        return 0
    output = check_output(arguments.output, arguments.overwrite)
    evaluation, info = evaluation_run.run(settings, _command(), executor_of(arguments))
    write_report(evaluation, info, output)
    logger.info("wrote %s in %s", ", ".join(FILES), output)
    print(_answer(evaluation, info))
    return 0


def settings_of(arguments: argparse.Namespace) -> EvaluationSettings:
    """Turn the parsed options into settings."""
    swap = {name: getattr(arguments, name) for name in ("shape", "expression", "glasses")}
    return EvaluationSettings(
        protocol=arguments.protocol,
        faces=arguments.faces,
        pipelines=tuple(arguments.pipelines),
        outputs=tuple(_named_folder(text) for text in arguments.outputs),
        controls=arguments.controls,
        pairs=arguments.pairs,
        seed=arguments.seed,
        frames=arguments.frames,
        held_out=arguments.held_out,
        judge=arguments.judge,
        judge_mean=tuple(arguments.judge_mean),
        judge_std=tuple(arguments.judge_std),
        lower_judge=arguments.lower_judge,
        allow_same_judge=arguments.allow_same_judge,
        mesh=arguments.mesh,
        features=arguments.features,
        natural=arguments.natural,
        real=arguments.real,
        keep=arguments.keep,
        swap={name: value for name, value in swap.items() if value is not None},
        device=arguments.device,
    )


def _named_folder(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if not (name and folder):
        raise ReliableSwapError(
            f"--outputs {text} is not NAME=FOLDER; write for example --outputs mine=results"
        )
    return name, Path(folder)


def _percentage(text: str) -> float | Literal["all"]:
    return "all" if text == "all" else float(text)


def _answer(evaluation: Evaluation, info: RunInfo) -> str:
    """The report without the explanations below its table."""
    from reliableswap.evaluation.report.texts import markdown

    return markdown(evaluation, info).split("## Figures")[0].strip()


def _command() -> str:
    """Return the command line with absolute paths cut to file names, because reports are published."""

    def short(word: str) -> str:
        name, equals, path = word.partition("=")
        if equals and "/" in path:
            return f"{name}={Path(path).name}"
        return Path(word).name if Path(word).is_absolute() else word

    return shlex.join(["reliableswap", *map(short, sys.argv[1:])])
