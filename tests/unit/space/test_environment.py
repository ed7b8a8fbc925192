"""Paths in environment variables are checked when the page starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliableswap.bundled import WEIGHTS
from reliableswap.errors import ReliableSwapError
from reliableswap.space.environment import check_environment


@pytest.mark.parametrize("place", ["", "owner/model", str(WEIGHTS / "unified")])
def test_a_model_may_be_a_folder_or_a_hub_id(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIABLESWAP_UNIFIED", place)
    check_environment()


def test_a_folder_without_a_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIABLESWAP_UNIFIED", str(tmp_path))
    with pytest.raises(ReliableSwapError, match=r"has no model_index\.json"):
        check_environment()


def test_a_certificate_without_its_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIABLESWAP_CERT", str(tmp_path / "cert.pem"))
    with pytest.raises(ReliableSwapError, match="only one was given"):
        check_environment()


def test_a_file_without_certificates_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trust.pem").write_text("nothing")
    monkeypatch.setenv("RELIABLESWAP_TRUST", str(tmp_path / "trust.pem"))
    with pytest.raises(ReliableSwapError, match=r"RELIABLESWAP_TRUST: .* holds no PEM certificate"):
        check_environment()
