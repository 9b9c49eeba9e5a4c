"""The installed version."""

from importlib import metadata

try:
    __version__ = metadata.version("unheard")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
