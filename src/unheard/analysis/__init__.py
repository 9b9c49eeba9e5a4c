"""Questions asked of runs and encoders in addition to their scores: layers, stored results."""
