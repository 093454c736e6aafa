"""Many nodes: from a configuration to searches, driven over an engine."""
