"""What Feast registers: views that paceline makes from the contracts. Add your own beside them."""

import os

from paceline.online.views import definitions

globals().update(definitions(os.environ))
