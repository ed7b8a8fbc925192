"""The signing key and certificate: made once, private, replaced when they expire, or given by settings."""

from __future__ import annotations

import logging
import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from reliableswap.errors import ReliableSwapError
from reliableswap.provenance.credentials import config_folder, credentials, local_credentials
from reliableswap.provenance.local_pair import make_pair


def test_the_local_pair_is_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "reliableswap"
    first = local_credentials(folder)
    assert local_credentials(folder) == first
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert first.key not in repr(first).encode()


def test_threads_that_start_together_share_one_pair(tmp_path: Path) -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(local_credentials(tmp_path / "k"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({one.key for one in found}) == 1
    assert len(list((tmp_path / "k").iterdir())) == 1


def test_the_local_pair_names_nobody(tmp_path: Path) -> None:
    chain = x509.load_pem_x509_certificates(local_credentials(tmp_path).certificates)
    for one in chain:
        text = one.subject.rfc4514_string()
        assert "ReliableSwap local" in text
        assert os.uname().nodename not in text
    assert len(chain) == 2, "C2PA refuses a certificate that signed itself"


def test_permissions_that_are_too_wide_are_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    local_credentials(tmp_path)
    file = tmp_path / "signing.pem"
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        local_credentials(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "could be read by other users" in caplog.text


def test_an_expired_pair_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reliableswap.provenance.local_pair.YEARS", 0)
    (tmp_path / "signing.pem").write_bytes(old := make_pair())
    monkeypatch.undo()
    assert local_credentials(tmp_path).certificates not in old
    assert (tmp_path / "signing.expired.pem").read_bytes() == old


def test_a_folder_that_can_not_be_written_gives_a_temporary_pair(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        first = local_credentials(tmp_path / "file" / "config")
    assert first == local_credentials(tmp_path / "file" / "config")
    assert "RELIABLESWAP_CONFIG" in caplog.text


def test_settings_come_before_the_local_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = tmp_path / "mine.pem", tmp_path / "theirs.pem"
    mine.write_bytes(make_pair())
    theirs.write_bytes(make_pair())
    monkeypatch.setenv("RELIABLESWAP_CERT", str(mine))
    monkeypatch.setenv("RELIABLESWAP_KEY", str(mine))
    assert credentials().key in mine.read_bytes()
    assert credentials(theirs, theirs).key in theirs.read_bytes()
    monkeypatch.delenv("RELIABLESWAP_KEY")
    with pytest.raises(ReliableSwapError, match="only one was given"):
        credentials()


def test_keys_that_can_not_sign_are_clear_errors(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pem", tmp_path / "two.pem"
    one.write_bytes(make_pair())
    two.write_bytes(make_pair())
    secret = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "locked.pem").write_bytes(secret)
    (tmp_path / "text.pem").write_text("nothing")
    odd = ec.generate_private_key(ec.SECP256K1())
    (tmp_path / "odd.pem").write_bytes(odd.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for cert, key, message in (
        (one, two, "is not the key of the first certificate"),
        (one, tmp_path / "locked.pem", "is encrypted"),
        (one, tmp_path / "text.pem", "holds no PEM private key"),
        (tmp_path / "text.pem", one, "holds no PEM certificate"),
        (tmp_path / "missing.pem", one, r"certificate .*missing\.pem can't be read"),
        (one, tmp_path / "odd.pem", "is not the key"),
    ):
        with pytest.raises(ReliableSwapError, match=message):
            credentials(cert, key)


def test_the_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RELIABLESWAP_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", "roaming")
    places = {}
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr("sys.platform", platform)
        places[platform] = config_folder()
    assert places["linux"] == tmp_path / "reliableswap"
    assert places["darwin"].parts[-3:] == ("Library", "Application Support", "ReliableSwap")
    assert places["win32"] == Path("roaming") / "ReliableSwap"
