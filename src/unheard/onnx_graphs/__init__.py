"""The one place that writes, cuts and opens ONNX graphs."""
