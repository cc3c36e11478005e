"""The sport types of Strava, by which a file in another language is noticed."""

from paceline.sources.record import Remark

# SportType of the API (https://developers.strava.com/docs/reference/#api-models-SportType), then
# what exports write in another way.
_TYPES = """
AlpineSki BackcountrySki Badminton Canoeing Crossfit EBikeRide EMountainBikeRide Elliptical Golf
GravelRide Handcycle HighIntensityIntervalTraining Hike IceSkate InlineSkate Kayaking Kitesurf
MountainBikeRide NordicSki Pickleball Pilates Racquetball Ride RockClimbing RollerSki Rowing Run
Sail Skateboard Snowboard Snowshoe Soccer Squash StairStepper StandUpPaddling Surfing Swim
TableTennis Tennis TrailRun Velomobile VirtualRide VirtualRow VirtualRun Walk WeightTraining
Wheelchair Windsurf Workout Yoga
Basketball Canoe Cricket Dance Football(Soccer) HIIT Kayak Padel PhysicalTherapy RockClimb
VirtualRowing Volleyball
"""


# How many unknown types a remark names, and how much of each.
_MOST, _LONGEST = 5, 40


def compact(sport: str) -> str:
    """Return a type as types compare: without blanks and hyphens, in lower case."""
    return sport.replace(" ", "").replace("-", "").lower()


SPORT_TYPES = frozenset(map(compact, _TYPES.split()))


class Sports:
    """Whether any type of sport in a file is known."""

    def __init__(self) -> None:
        self._unknown: dict[str, None] = {}
        self._is_known = False

    def note(self, sport: str, english: str) -> None:
        """Look at the type of one more record, as it stands there and translated.

        Once one is known, nothing is looked at.
        """
        if sport and not self._is_known:
            self._is_known = compact(english) in SPORT_TYPES
            if len(self._unknown) < _MOST:
                self._unknown[sport[:_LONGEST]] = None

    def remark(self) -> Remark | None:
        """Return what to do when there are types and none is known, else None."""
        if self._is_known or not self._unknown:
            return None
        return Remark(
            f"holds no known type of sport (but {', '.join(self._unknown)}), so that all count as "
            "sport family other: translate its types in export_headers of paceline.yml"
        )
