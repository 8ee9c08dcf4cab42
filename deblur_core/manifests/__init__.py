"""What a run writes down: one row a frame, one row a video, in Parquet that any tool reads. Knows no video file."""
