"""`restore-archive models`: the selectors and restorers there are, with their sizes and scores."""

from rich.console import Console
from rich.table import Column, Table

from deblur_core.models.registry import RESTORERS, SELECTORS, weights_bytes
from deblur_core.models.weights_file import WEIGHTS_FOLDER, released_scores


def models() -> int:
    """Prints the table. Returns the exit code."""
    table = Table(Column("name", no_wrap=True), title="restorers and selectors")
    for head in ("million\nparameters", "GMAC\nat 256²", "MiB"):
        table.add_column(head, justify="right")
    table.add_column("what it is, what it reached on held-out clips")
    for restorer in RESTORERS.values():
        table.add_row(
            restorer.name,
            f"{restorer.parameters / 1e6:.2f}",
            f"{restorer.gmac_256:.2f}",
            f"{weights_bytes(restorer.weights) / 2**20:.1f}",
            f"{restorer.summary}\n[dim]{released_scores(restorer.weights, restorer.name)}[/dim]",
        )
    table.add_section()
    for selector in SELECTORS.values():
        size = f"{weights_bytes(selector.weights) / 2**20:.2f}"
        words = f"{selector.summary}\n[dim]{released_scores(selector.weights, selector.name)}[/dim]"
        table.add_row(f"{selector.name} (selector)", "", "", size, words)
    console = Console()
    console.print(table)
    console.print("All restorers are scored on the same 32 blurred frames of six clips that no training saw.")
    console.print(f"Model cards: {WEIGHTS_FOLDER}")
    return 0
