"""AML scenarios: what an analyst should look at, and why."""
