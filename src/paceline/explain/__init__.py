"""Where a value of the rolling table comes from: activities, records, runs, and its arithmetic.

`calculation` works a value out again in plain Python, from the activities and the declarations of
`features.windows`; it shares no code with the fold that makes the table. `reading` finds the row,
the activities and the records of the deliveries; `history` says how the value became what it is.
Nothing is written.
"""
