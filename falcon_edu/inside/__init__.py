"""Looking inside: record, heads, interventions, patterns."""
