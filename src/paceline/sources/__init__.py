"""Where records come from: one module per kind of source, each turning bytes into records."""
