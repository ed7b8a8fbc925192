"""Pillow's settings, which are global to the process: ours while reading, the host's afterwards."""

from __future__ import annotations

import threading

import pytest
from PIL import Image, ImageFile
from support.picture_files import JPEG, SIZE, encoded, rgb

from reliableswap.errors import PictureError
from reliableswap.media import read_picture


def test_pillows_settings_are_ours_while_reading_and_the_hosts_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    content = encoded(rgb(), "PNG")
    assert read_picture(content).width == SIZE[0]
    with pytest.raises(PictureError, match="incomplete"):
        read_picture(encoded(rgb(), "JPEG", **JPEG)[:-300])
    assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == (True, 10)


def test_threads_read_side_by_side() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    whole = encoded(rgb(), "JPEG", **JPEG)
    outcomes: list[str] = []

    def work(content: bytes, limit: int) -> None:
        for _ in range(20):
            try:
                outcomes.append(str(read_picture(content, max_pixels=limit).width))
            except PictureError as error:
                outcomes.append("limit" if "limit" in str(error) else "incomplete")

    jobs = [(whole, 10**6), (whole, 100), (whole[:-300], 10**6)]
    threads = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {o: outcomes.count(o) for o in outcomes} == {str(SIZE[0]): 20, "limit": 20, "incomplete": 20}
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
