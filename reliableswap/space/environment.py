"""Check the environment variables when the page starts; otherwise each visitor's job would fail, late."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reliableswap.errors import ReliableSwapError
from reliableswap.provenance.credentials import CERT, KEY, credentials
from reliableswap.provenance.verify import TRUST, read_anchors

from .unified import MODEL

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def check_environment() -> None:
    """Raise if the environment names a model, a signer or trusted certificates that can't be used."""
    _check_model(os.environ.get(MODEL, ""))
    for names, check in ((f"{CERT} and {KEY}", _check_signer), (TRUST, _check_anchors)):
        try:
            check()
        except ReliableSwapError as error:
            raise ReliableSwapError(f"{names}: {error}") from error


def _check_model(place: str) -> None:
    if not place or (Path(place) / "model_index.json").is_file():
        return
    if Path(place).is_dir():
        raise ReliableSwapError(
            f"{MODEL}={place}: the folder has no model_index.json; name a folder that UnifiedFacePipeline saved"
        )
    if not _HUB_ID.fullmatch(place):
        raise ReliableSwapError(f"{MODEL}={place}: there is no such folder; name a folder or a Hub id")


def _check_signer() -> None:
    # Without either, a local pair signs, which is made when needed.
    if os.environ.get(CERT) or os.environ.get(KEY):
        credentials()


def _check_anchors() -> None:
    anchors = read_anchors()
    if anchors is not None and "-----BEGIN CERTIFICATE-----" not in anchors:
        raise ReliableSwapError(
            f"{os.environ[TRUST]} holds no PEM certificate; give a file with the certificates to trust"
        )
