"""Why the seven steps come in their order: a model of them, small enough to try everything.

Two runs of one table, each a sequence of commits and reads, are interleaved in every way. The
source may move on at any moment, a notebook may write into the table, and a run may die before any
step or be told that a commit has failed which has not. Plain Python that shares nothing with the
product.

`states.py` says what there is, `steps.py` what each step does, `explore.py` looks for the shortest
way to a state that must not be. `tests/unit/test_publish_model.py` asks the questions: that no such
state can be reached, and that each change of the protocol makes one reachable.

What the order is good for:

- RECORD before PUBLISH: readers never see a row before the verdict that allows it is durable.
- SEAL last: the cursor speaks of what has been published, so a run that dies earlier has moved
  nothing, and the next one finds the same changes again.
- A run that has published and died before SEAL needs no comparison of all rows: RECORD has made
  durable what SEAL would have said (AUDITED), and the commit of PUBLISH bears the mark of that
  attempt. CLAIM seals for it when the commit after the version that the audit built on is that one,
  and that version is the sealed one. By the version alone, the rows of a notebook would be taken
  for those of the run.
- The cursor is what CLAIM pinned: what came later has not been looked at.
- QUARANTINE is keyed by content, and PUBLISH changes only rows that are as they were read: both can
  be repeated, by the same run or by another.
- SEAL names the version that PUBLISH makes when nobody else writes, the one after the pinned.
  Every write by somebody else leaves the target at a later version, and the next run that sees a
  version other than the sealed one trusts no cursor and compares all rows. This alone notices a
  late write that the comparison of contents lets through, because a row has returned to what it
  was; and for its sake it does not matter in which order two runs seal.

Two things need one run at a time: appending to an empty target without looking for the keys, and a
quarantine that is exact even after a late run has died.

Left out: windows, several inputs, maintenance of the target, and the events of the ledger that no
run decides by.
"""
