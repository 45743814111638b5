"""Lists that other bodies keep: currencies, countries, IBAN structures."""
