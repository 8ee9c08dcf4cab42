"""Training: clips in memory, samples made from them, the loops that fit the networks. Knows no cluster."""
