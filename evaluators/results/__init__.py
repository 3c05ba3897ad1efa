"""Numbers from records: measures, tables, comparisons and claims. Nothing here runs a network."""
