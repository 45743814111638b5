"""What each table and each reason code means: the one source of truth for schemas, units and classification."""
