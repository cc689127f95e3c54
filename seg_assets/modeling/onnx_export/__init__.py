"""SAM as ONNX graphs: what they compute, how they are written, checked and opened."""
