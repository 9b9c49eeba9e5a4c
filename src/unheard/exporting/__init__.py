"""What writes a bundle: a run's model, retrained on everybody; its graphs, golden outputs, card and folder."""
