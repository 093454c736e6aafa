"""Running one node: from its description to a trained network in its folder."""
