"""Which files of the landing zone are new, as frames of records."""
