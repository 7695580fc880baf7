"""Measuring converted models: wall time here, modelled cycles of ARM cores under emulation.

The programs are `tools/benchmark.py`, `tools/modelled_cycles.py` and `tools/compare_lce.py`;
docs/performance.md says how to read their figures.
"""
