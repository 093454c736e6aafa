"""Which networks to train next: nodes, the searches and controls that ask for them; standard library only."""
