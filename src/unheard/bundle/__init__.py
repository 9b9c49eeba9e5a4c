"""Bundles: a trained model as a folder that predicts with onnxruntime and numpy alone, and says what it is.

``runtime.load`` verifies and opens one; docs/bundles.md is the format. All of this room needs the core packages
only; what writes a bundle is in ``unheard.exporting``.
"""
