"""Predictions to numbers: scores of classes, distributions and dimensions, their spread, comparisons."""
