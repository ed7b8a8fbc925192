"""Rendered heads, whose swaps have one known correct result: `python -m benchmarks.synthetic_heads --help`."""
