"""Landing to gold on Ray Data, and the command line."""
