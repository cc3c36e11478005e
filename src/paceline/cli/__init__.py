"""The buttons: the `paceline` command and the entry of the jobs."""
