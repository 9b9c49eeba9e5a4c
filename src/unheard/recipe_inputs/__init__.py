"""The inputs of a recipe for a table's clips: computed or found, and listed for the processes that fit folds."""
