"""The static site of `paceline docs`: what each table promises, and how its batches were judged."""
