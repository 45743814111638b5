"""Storage: the objects of a lake and its Delta tables. The only code that touches storage."""
