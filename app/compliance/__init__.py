"""Evidence: control totals and the certificates that chain them."""
