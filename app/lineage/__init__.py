"""Where each column comes from and where it goes: a graph, questions to it, and drawings of it."""
