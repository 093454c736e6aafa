"""One node: from what it says to a trained network in its folder."""
