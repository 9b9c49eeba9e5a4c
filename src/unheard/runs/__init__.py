"""From a recipe, a table and a protocol to a run folder: folds fitted in processes, predictions and scores."""
