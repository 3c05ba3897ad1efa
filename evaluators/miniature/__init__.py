"""The embedded miniature: drawn data sets in the real data sets' layouts.

Every part is a pure function of ``(VERSION, seed)``; a change of any pixel must raise `VERSION`.
"""

VERSION = 1
SEED = 20
