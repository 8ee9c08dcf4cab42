"""The demonstration: an archive with known truth is rendered, restored by the real command, and judged.

Run it with `make demo` or `python -m flows.demo`. `photographs` names what is shown and who made it, `gallery` hangs it
on a wall and films it, `archive` blurs, encodes and keeps the truth, `judge` measures, `picture` shows. None of this is
used when a real archive is restored.
"""
