"""Where camx keeps what it can make again."""

import os
from pathlib import Path

import platformdirs


def cache() -> Path:
    """The user's cache folder for camx; the environment variable CAMX_HOME names another."""
    return Path(os.environ.get("CAMX_HOME") or platformdirs.user_cache_dir("camx"))
