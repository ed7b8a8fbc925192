"""`reliableswap verify`: say which marks files carry, and what each mark states. It works offline.

FILE: a picture, a clip (MP4, MOV), or a folder of networks with CHECKSUMS.json.
Exit status: 0 if every file says that AI made it (a folder: if its checksums hold), 1 if one does not, 2 if one could
not be read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from reliableswap.errors import ReliableSwapError

from .common import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = __doc__
    parser.add_argument("files", nargs="+", metavar="FILE", help="what to check")
    parser.add_argument(
        "--trust",
        metavar="PEM",
        help="certificates that vouch for signers (default: the file that RELIABLESWAP_TRUST names, if any)",
    )
    parser.add_argument("--json", action="store_true", help="print the answers as a JSON list")


def run(arguments: argparse.Namespace) -> int:
    status, answers = 0, []
    for file in arguments.files:
        try:
            answer, fine = _check(file, arguments.trust)
        except ReliableSwapError as error:
            say(f"error: {error}")
            answers.append({"file": file, "error": str(error)})
            status = 2
            continue
        answers.append({"file": file, **answer})
        status = max(status, 0 if fine else 1)
        if not arguments.json:
            print(f"{file}: {answer['verdict']}")
            for sentence in answer["sentences"]:
                print(f"  {sentence}")
    if arguments.json:
        print(json.dumps(answers, indent=1))
    return status


def _check(file: str, trust: str | None) -> tuple[dict[str, Any], bool]:
    """Check a file or folder; return the answer, and whether it counts towards exit status 0."""
    if Path(file).is_dir():
        from reliableswap.provenance.checksums import check_folder

        checked = check_folder(Path(file), trust)
        return checked.to_dict(), checked.holds
    from reliableswap.provenance.verify import verify

    found = verify(file, anchors=trust)
    return found.to_dict(), found.ai_made
