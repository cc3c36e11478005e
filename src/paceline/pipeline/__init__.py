"""Jobs in order, one execution, alerts and lineage events."""
