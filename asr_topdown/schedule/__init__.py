"""Which networks to train next: nodes, and the searches and controls that request them."""
