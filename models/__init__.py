"""Models: they know no Ray."""
