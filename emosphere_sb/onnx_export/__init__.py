"""Export models to ONNX and run them without PyTorch."""
