"""From a recipe, a table and a protocol to a run folder: features, folds, predictions, scores."""
