"""Real-time validation and scoring on Ray Serve."""
