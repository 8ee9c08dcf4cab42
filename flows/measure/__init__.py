"""Measures this program on the machine at hand: `python -m flows.measure --help` names what."""
