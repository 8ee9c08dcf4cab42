"""Measures this program on the machine at hand: `python -m flows.measure stages` and `… held-out --data CORPUS`."""
