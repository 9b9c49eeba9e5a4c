"""Questions asked of runs and encoders beside their scores: layers, stored results."""
