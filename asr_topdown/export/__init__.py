"""Trained networks as ONNX files, written node by node, without PyTorch's exporters."""
