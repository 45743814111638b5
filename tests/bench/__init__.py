"""Benchmarks: Leofric and its peers on the same work, in turn, as ratios."""
