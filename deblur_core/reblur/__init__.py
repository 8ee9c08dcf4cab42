"""Blur put back onto restored frames from the motion between them (Reblur2Deblur, Chen et al. 2018). Knows no network.

Flows here are those of the paper's Eq. 3 and 4, on the grid of a *neighbour*: `F(neighbour → target)`, so that pixel p
of the neighbour shows what the target shows at p + F(p). While the shutter is open, pixel p collects the target along
the straight line from p to p + τ F(p).
"""
