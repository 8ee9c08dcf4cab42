"""Restorers adapted to unlabelled videos (Reblur2Deblur, Chen et al. 2018): what they restore must reblur to what was
recorded, and pairs made from the videos' own sharp frames keep them from drifting. Knows no file and no cluster.
"""
