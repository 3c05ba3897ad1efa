"""What a number means: samples, scores, records, statistics and tables."""
