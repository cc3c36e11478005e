"""Measures paceline against other ways to do the same work: `make bench`, docs/performance.md."""
