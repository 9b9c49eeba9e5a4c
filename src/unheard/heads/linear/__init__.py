"""Heads that are solved and not trained step by step: linear in one row a clip, with C chosen over inner folds."""
