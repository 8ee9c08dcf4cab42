"""Blurred frames with their truth, as sets are published, and how much a restorer gains on them. Knows no training."""
