"""How activities arrive: weekly pulls of the API, details, edits, bulk exports, settings."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from json import JSONEncoder
from zoneinfo import ZoneInfo

from paceline.generate.activities import RUNS, Record
from paceline.generate.athletes import Athlete, Draw, between, pick, settings_of, whole
from paceline.generate.details import detailed
from paceline.generate.export import MORE_VARIANTS, VARIANTS, export_csv
from paceline.generate.faults import (
    EDITS,
    SENSOR_FAULTS,
    TRANSPORT_FAULTS,
    move_day,
    rename,
    with_fault,
)
from paceline.generate.oddities import FIRST_ODD_ATHLETE, TRANSPORT_ODDITIES, activities_of

WEEKS_A_BLOCK = 4
WEEKS_A_SETTINGS_FILE = 13
IN_OWN_FOLDER = 2
"""The index of the athlete whose records leave it to the folder to say whose they are."""
RECORDS_OF_BROKEN_DELIVERY = 25

encode_json = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class File:
    """A finished file: when it was written, what it holds, and how many records that is."""

    written: datetime
    content: bytes
    records: int


@dataclass
class Outbox:
    """Everything on its way to the landing zone.

    `times` are the instants of the pulls; `batches` are lines by folder and time of extraction,
    `files` whole files by path; `kinds` counts what is special or wrong, by name.
    """

    times: list[datetime]
    batches: defaultdict[tuple[str, datetime], list[bytes]] = field(
        default_factory=lambda: defaultdict(list)
    )
    files: dict[str, File] = field(default_factory=dict)
    activities: int = 0
    settings: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


def pull_times(first_day: date, days: int) -> list[datetime]:
    """When the API is asked: weekly at 06:00 UTC, and at the very end of the last day."""
    start = datetime.combine(first_day, time(6), UTC)
    end = datetime.combine(first_day + timedelta(days=days), time(0), UTC)
    return [*(start + timedelta(days=day) for day in range(7, days, 7)), end]


def pull_folder(pulled: datetime) -> str:
    """Folder of the pulls of all athletes at an instant."""
    return f"strava_api/{pulled.year}"


def stamp(instant: datetime) -> str:
    """Write an instant as file names do: 2024-06-01T06-00-00."""
    return instant.isoformat()[:19].replace(":", "-")


def deliver(
    athlete: Athlete, first_day: date, days: int, draw: Draw, odd: Draw, outbox: Outbox
) -> None:
    """Put everything of one athlete into the outbox: activities, edits, details, settings.

    What is uploaded after the last pull is not delivered. The history of every fourth athlete
    comes as a bulk export up to the middle of the days, and by the API from two weeks before.
    `odd` is the luck of what is odd.
    """
    times = outbox.times
    cut = len(times) // 2 if athlete.index % 4 == 1 else 0
    exported: list[Record] = []
    pulled: list[Record] = []
    for uploaded, oddity, clean in activities_of(athlete, first_day, days, draw, odd):
        pull = bisect_left(times, uploaded)
        if pull == len(times):
            continue
        record, fault = with_fault(clean, () if oddity else SENSOR_FAULTS, draw)
        outbox.activities += 1
        outbox.kinds.update(_traits(athlete, record, uploaded, times[-1]))
        outbox.kinds.update(kind for kind in (oddity, fault) if kind)
        if pull < cut:
            exported.append(record)
        if pull >= cut - 2:
            _deliver_by_api(athlete, record, clean, pull, (draw, odd), outbox)
            pulled.append(record)
            if athlete.index % 40 == 11 and len(pulled) == RECORDS_OF_BROKEN_DELIVERY:
                _deliver_broken(pulled, times[pull], outbox)
    if exported:
        _deliver_export(athlete, exported, times[cut - 1], (draw, odd), outbox)
    for day, kind, settings in settings_of(athlete, first_day, days, draw):
        if day < days:
            at = times[_block_end(day // 7, WEEKS_A_SETTINGS_FILE, len(times))]
            outbox.batches["athlete_settings", at].append(encode_json(settings).encode())
            outbox.settings += 1
            outbox.kinds.update([kind] if kind else [])


def _block_end(pull: int, size: int, pulls: int) -> int:
    """The last pull of the block of so many pulls to which this one belongs."""
    return min(pull - pull % size + size, pulls) - 1


def _traits(
    athlete: Athlete, record: Record, uploaded: datetime, last_pull: datetime
) -> Iterator[str]:
    """Name what is special about an activity without being wrong."""
    local_day = record["start_date_local"][:10]
    zone = record["timezone"].split()[-1]
    traits = {
        "race": record.get("workout_type") in {1, 11},
        "treadmill_without_distance": record["trainer"] and not record["distance"],
        "no_heartrate": "average_heartrate" not in record,
        "manual": record["manual"],
        "travel": zone != athlete.home,
        "dst_day": _clock_changes(local_day, zone),
        "other_day_in_utc": local_day != record["start_date"][:10],
        "future_day": local_day >= last_pull.isoformat()[:10],
        "late_upload": uploaded - _instant(record["start_date"]) > timedelta(days=30),
        "elapsed_over_a_day": record["elapsed_time"] > 86_400,
        "id_beyond_32_bits": record["id"] > 2**31,
    }
    return (name for name, holds in traits.items() if holds)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def _clock_changes(day: str, zone: str) -> bool:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()


def _deliver_by_api(
    athlete: Athlete,
    record: Record,
    clean: Record,
    pull: int,
    luck: tuple[Draw, Draw],
    outbox: Outbox,
) -> None:
    """Deliver an activity by the API: its summary, sometimes again, its detail and its edit.

    An edit comes after all versions before it, and starts from the clean record, so that it also
    corrects what a sensor got wrong.
    """
    times, (draw, odd) = outbox.times, luck
    sent, fault = with_fault(record, TRANSPORT_FAULTS, draw)
    if not fault and athlete.index >= FIRST_ODD_ATHLETE:
        sent, fault = with_fault(sent, TRANSPORT_ODDITIES, odd)
    outbox.kinds.update([fault] if fault else [])
    _put(athlete, sent, pull, outbox)
    newest = pull
    if draw() < 0.025 and pull + 1 < len(times):
        _put(athlete, sent, pull + 1, outbox)
        outbox.kinds["delivered_twice"] += 1
        newest = pull + 1
    can_split = clean["sport_type"] in RUNS and clean["distance"] >= 1 and not clean["manual"]
    has_detail = can_split and record is clean and draw() < 0.12
    if has_detail:
        _put_detail(athlete, record, pull, draw, outbox)
    if has_detail or athlete.index == IN_OWN_FOLDER:
        newest = max(newest, _block_end(newest, WEEKS_A_BLOCK, len(times)))
    if draw() < (0.03 if record is clean else 0.5):
        at = newest + whole(draw, 1, 16)
        # Splits stay as they are, so that a run that has them keeps its distance.
        edit = rename if has_detail else pick(draw, EDITS)
        edited = edit(clean, draw)
        if edited is None or at >= len(times):
            return
        if draw() < 0.5:
            changed = times[at - 1] + between(draw, 0.05, 0.95) * (times[at] - times[at - 1])
            edited |= {"updated_at": changed.isoformat()[:19] + "Z"}
        _put(athlete, edited, at, outbox)
        outbox.kinds.update(["edit", "moved_day"] if edit is move_day else ["edit"])


def _put(athlete: Athlete, record: Record, pull: int, outbox: Outbox) -> None:
    """Put a record into its pull, with the athlete where this athlete's records have it."""
    at, folder = outbox.times[pull], pull_folder(outbox.times[pull])
    if athlete.index == IN_OWN_FOLDER:
        record = {key: value for key, value in record.items() if key != "athlete"}
        at = outbox.times[_block_end(pull, WEEKS_A_BLOCK, len(outbox.times))]
        folder = f"strava_api/athlete_id={athlete.athlete_id}"
        outbox.kinds["athlete_in_folder"] += 1
    elif athlete.index % 40 == 6:
        record = {key: value for key, value in record.items() if key != "athlete"}
        record |= {"athlete_id": athlete.athlete_id}
        outbox.kinds["flat_athlete_id"] += 1
    outbox.batches[folder, at].append(encode_json(record).encode())


def _put_detail(athlete: Athlete, record: Record, pull: int, draw: Draw, outbox: Outbox) -> None:
    """Put the DetailedActivity half an hour behind the pull that closes the block."""
    detail = detailed(record, draw)
    if len(detail["splits_metric"]) > 1 and draw() < 0.02:
        detail["splits_metric"] = detail["splits_metric"][:1]
        outbox.kinds["splits_do_not_sum"] += 1
    pulled = outbox.times[_block_end(pull, WEEKS_A_BLOCK, len(outbox.times))]
    at = pulled + timedelta(minutes=30)
    line = encode_json(detail).encode()
    outbox.kinds["detail"] += 1
    if athlete.index < 10 and draw() < 0.03:
        path = f"strava_api/details/activity_{record['id']}_{stamp(at)}.json"
        outbox.files[path] = File(at, line, 1)
        outbox.kinds["single_object"] += 1
    else:
        outbox.batches["strava_api/details", at].append(line)


def _deliver_broken(records: list[Record], pulled: datetime, outbox: Outbox) -> None:
    """Deliver records again an hour behind a pull, most of them without their times.

    It is what a client with a fault writes; the versions before are sound.
    """
    at = pulled + timedelta(hours=1)
    lost = {"moving_time": None, "elapsed_time": None}
    lines = [
        encode_json(record if number % 5 == 0 else record | lost).encode()
        for number, record in enumerate(records)
    ]
    path = f"{pull_folder(pulled)}/activities_{stamp(at)}_retry.jsonl"
    outbox.files[path] = File(at, b"\n".join(lines) + b"\n", len(lines))
    outbox.kinds["broken_delivery"] += 1


def _deliver_export(
    athlete: Athlete,
    records: list[Record],
    at: datetime,
    luck: tuple[Draw, Draw],
    outbox: Outbox,
) -> None:
    variants = VARIANTS if athlete.index % 8 == 1 else MORE_VARIANTS
    variant = variants[athlete.index // 8 % len(variants)]
    content, kinds = export_csv(records, variant, *luck)
    folder = f"strava_export/athlete_id={athlete.athlete_id}/export_{at:%Y-%m-%d}"
    outbox.files[f"{folder}/activities.csv"] = File(at, content, len(records))
    outbox.kinds.update(kinds)
    outbox.kinds.update(["export", f"export_{variant}"])
    outbox.kinds["export_row"] += len(records)
