"""WavLM (Chen et al. 2022): base, base+, large; attention with a gated relative position bias."""

from functools import partial

from unheard.encoders.transformer.family import Options, load_family

__all__ = ["VERSION", "Options", "load"]

VERSION = 1
load = partial(load_family, "wavlm")
