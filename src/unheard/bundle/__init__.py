"""Bundles: a trained model as a folder that predicts with onnxruntime and numpy alone, and says what it is.

``export`` writes one, ``runtime.load`` verifies and opens one; docs/bundles.md is the format. What predicts
(``runtime`` and what it imports) needs the core packages only.
"""
