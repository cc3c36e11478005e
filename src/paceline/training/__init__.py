"""Training sets: labels, each with the features that were known at its instant.

**What is known when.** A row of a feature table counts from its `event_timestamp` on, but not
before its local day is over everywhere on earth, which is 12:00 UTC of the day after. A label's own
local day is therefore never in its features, in whatever time zone it is. Of the rows that count,
the one with the greatest `event_timestamp` is taken, of equal ones the one with the greatest key,
as a whole: a NULL in it stays NULL.

**A label about an activity.** A label with an `activity_id` is taken as asked for before the end of
that activity, and before its local day is over, however late its own instant is. So neither the
activity nor its day is ever in its features.
"""

from paceline.training.manifest import Manifest
from paceline.training.reader import TrainingSet, training_set

__all__ = ["Manifest", "TrainingSet", "training_set"]
