"""The tables of the data selection studies: encoded, split into pools, sampled, and standardised by the training rows.

Chhabra, Li, Mohapatra and Liu (ICLR 2024), whose preparation the influence measure paper takes over (Appendix D.1).
"""

from augury.tabular.samples import Parts, Points, parts, pools
from augury.tabular.tables import PREPARATIONS, SOURCES, settings

__all__ = ["PREPARATIONS", "SOURCES", "Parts", "Points", "parts", "pools", "settings"]
