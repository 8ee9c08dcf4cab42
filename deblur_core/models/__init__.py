"""Networks, one file an architecture, and the registry that finds them by name. Knows no video file and no cluster."""
