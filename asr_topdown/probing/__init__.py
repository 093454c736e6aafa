"""What the layers of a trained network hold: probes of labels, and the likeness of two networks' layers."""
