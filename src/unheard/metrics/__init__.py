"""Predictions to numbers: scores of classes and probabilities, their spread over speakers, comparisons."""
