"""Video files as this program needs them: indexed, cut into segments, decoded, encoded and rebuilt, through PyAV.

Nothing here knows what blur is, where files are stored or who asks: sources are paths or seekable binary files.
"""
