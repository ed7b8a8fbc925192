"""Results in the order of their units."""

from __future__ import annotations

from collections.abc import Iterator

from reliableswap.jobs.order import in_order


def test_results_are_put_in_order_as_early_as_possible() -> None:
    seen: list[str] = []

    def made() -> Iterator[tuple[int, str]]:
        for unit in (3, 1, 2, 5):
            seen.append(f"made {unit}")
            yield unit, f"result {unit}"

    for result in in_order(made(), [1, 2, 3, 5]):
        seen.append(result)
    assert seen == ["made 3", "made 1", "result 1", "made 2", "result 2", "result 3", "made 5", "result 5"]
