"""Networks of encoders as ONNX graphs, written node by node from their weights; one file a network."""
