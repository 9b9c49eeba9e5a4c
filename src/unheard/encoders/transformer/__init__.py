"""Convolutional frontend and transformer over raw waveforms: wav2vec 2.0, HuBERT and WavLM."""
