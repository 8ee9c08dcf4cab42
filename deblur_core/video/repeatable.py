"""Options with which libx264 gives equal bytes for equal frames, on every machine."""

import platform

X264_PARAMS = {"asm": "SSE2"} if platform.machine() in ("x86_64", "AMD64") else {}
"""x264's macroblock tree for AVX-512 reads memory that nobody wrote, so that encodes differ now and then, and for AVX
it rounds otherwise. Its SSE2 code gives the same bits as its C code, for a tenth of the encoder's time more."""
