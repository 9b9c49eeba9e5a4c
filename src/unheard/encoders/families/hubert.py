"""HuBERT (Hsu et al. 2021): base, large, xlarge."""

from functools import partial

from unheard.encoders.transformer.family import Options, load_family

__all__ = ["VERSION", "Options", "load"]

VERSION = 1
load = partial(load_family, "hubert")
