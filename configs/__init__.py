"""Data shipped with camx: tables, protocols and the miniature's weights."""
