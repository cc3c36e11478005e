"""What an operator does between runs: verify, dry run, maintenance, erase."""
