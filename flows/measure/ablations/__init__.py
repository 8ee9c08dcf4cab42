"""The ablations of the papers, made again here: what each part of a system is worth on the material at hand."""
