"""What a published video says of itself: the record beside it, and the proof that the record is true. Knows no run."""
