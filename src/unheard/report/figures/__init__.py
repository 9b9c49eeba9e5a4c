"""One file a figure or a small family: a function that computes plain data, and one that draws them."""
