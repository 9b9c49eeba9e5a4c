"""wav2vec 2.0 (Baevski et al. 2020), XLSR and XLS-R: base, large, in one language or many."""

from functools import partial

from unheard.encoders.transformer.family import Options, load_family

__all__ = ["VERSION", "Options", "load"]

VERSION = 1
load = partial(load_family, "wav2vec2")
