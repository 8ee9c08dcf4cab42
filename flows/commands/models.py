"""`restore-archive models`: the selectors and restorers there are, with their sizes and scores."""

from rich.console import Console
from rich.table import Table

from deblur_core.models.registry import RESTORERS, SELECTORS, weights_bytes
from deblur_core.models.weights_file import WEIGHTS_FOLDER, released_scores


def models() -> int:
    """Prints the table. Returns the exit code."""
    table = Table("kind", "name", "what it is", "parameters", "GMAC at 256²", "MiB", "scores on held-out clips")
    for restorer in RESTORERS.values():
        table.add_row(
            "restorer",
            restorer.name,
            restorer.summary,
            f"{restorer.parameters / 1e6:.2f} M",
            f"{restorer.gmac_256:.2f}",
            f"{weights_bytes(restorer.weights) / 2**20:.1f}",
            released_scores(restorer.weights),
        )
    for selector in SELECTORS.values():
        size = f"{weights_bytes(selector.weights) / 2**20:.2f}"
        table.add_row("selector", selector.name, selector.summary, "", "", size, released_scores(selector.weights))
    console = Console()
    console.print(table)
    console.print(f"Model cards: {WEIGHTS_FOLDER}")
    return 0
