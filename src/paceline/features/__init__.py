"""Feature definitions: row-wise functions, rolling declarations, and the daily fold."""
