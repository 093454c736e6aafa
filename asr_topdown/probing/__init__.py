"""Analysis of a trained network's layers: probes of labels, and similarity of two networks' layers."""
