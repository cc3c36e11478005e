"""What `paceline explain` shows: lines for people, or data for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from paceline.explain.calculation import Part, Value
from paceline.explain.explanation import Detail, Explained, Explanation
from paceline.explain.history import DELETED, INSERTED, Commit
from paceline.explain.reading import ROLLING, SILVER, SILVER_SHOWN, Origin, Record
from paceline.explain.reasons import Reason
from paceline.sources.files import escaped

SAME = "equal, bit for bit"


def lines(found: Explanation) -> Iterator[str]:
    """The lines that explain a row, or a feature of it; the verdict comes last."""
    return _row_lines(found) if found.detail is None else _feature_lines(found, found.detail)


def as_data(found: Explanation) -> dict[str, Any]:
    """The same in dicts, lists and plain values."""
    row = {
        "athlete_id": found.athlete_id,
        "as_of_date": found.day,
        "table": ROLLING,
        "version": found.version,
        "event_timestamp": found.known[0].isoformat(),
        "published": None if found.published is None else _made(found.published),
    }
    if found.detail is None:
        return row | {"features": [_feature_data(one) for one in found.features]}
    return row | _detail_data(found.detail)


def _row_lines(found: Explanation) -> Iterator[str]:
    known, why = found.known
    yield f"athlete {found.athlete_id}, {found.day}: a row of {ROLLING}"
    yield f"published {_publisher(found)}"
    yield f"may be used from {known:%Y-%m-%d %H:%M:%S.%f} UTC on: {why}"
    yield ""
    rows = [
        (
            one.column.name,
            _text(one.value),
            one.column.unit or "",
            "the same" if one.is_equal else f"DIFFERS: {_text(one.calculation.value)}",
        )
        for one in found.features
    ]
    yield from _grid(("feature", "value", "unit", "worked out again"), rows)
    yield ""
    yield "Add --feature with a name for its activities, their records and its history."
    differing = len(found.differing)
    verdict = f"{differing} of them DIFFER" if differing else f"all {SAME}"
    yield f"{len(found.features)} values worked out again from the activities: {verdict}."


def _feature_lines(found: Explanation, detail: Detail) -> Iterator[str]:
    one = detail.explained
    column, calculation = one.column, one.calculation
    unit = f" {column.unit}" if column.unit and one.value is not None else ""
    yield f"athlete {found.athlete_id}, {found.day}: {column.name} = {_text(one.value)}{unit}"
    yield ""
    yield f"formula    {column.description}"
    yield f"published  {_publisher(found)}"
    yield ""
    yield from _activity_lines(detail)
    yield ""
    yield "history of the value, the newest first"
    for commit, reasons in reversed(detail.commits):
        yield from _commit_lines(commit, reasons, column.name)
    yield f"  {_reach(detail)}"
    yield ""
    yield "worked out by hand"
    for step in calculation.steps:
        yield f"  {step}"
    verdict = SAME if one.is_equal else "they DIFFER"
    yield f"worked out {_text(calculation.value)}, published {_text(one.value)}: {verdict}."


def _activity_lines(detail: Detail) -> Iterator[str]:
    calculation = detail.explained.calculation
    count = len(detail.listed) + detail.unlisted
    since = f" from {calculation.since} on" if calculation.since else ", of all of the history"
    yield f"{count} {'activity counts' if count == 1 else 'activities count'}{since}"
    if not count:
        return
    heads = ("day", "activity", "sport", calculation.measure, "weight", "adds", "share")
    yield from _grid(heads, map(_part_cells, detail.listed))
    if detail.unlisted:
        yield f"  and {detail.unlisted} that add less: see --activities"
    yield ""
    yield f"they come from these rows of {SILVER}, made from these records"
    origins = [detail.origins[part.activity.activity_id] for part in detail.listed]
    ids = [part.activity.activity_id for part in detail.listed]
    yield from _grid((*SILVER_SHOWN, "record"), map(_origin_cells, ids, origins))


def _part_cells(part: Part) -> tuple[str, ...]:
    return (
        str(part.activity.local_day),
        str(part.activity.activity_id),
        part.activity.sport_family,
        _text(part.amount),
        "" if part.weight is None else f"{part.weight:.6f}",
        "" if part.weight is None else f"{part.adds:.6g}",
        "" if part.share is None else f"{100 * part.share:.2f} %",
    )


def _origin_cells(activity_id: int, origin: Origin) -> tuple[str, ...]:
    silver = origin.silver or {"activity_id": activity_id}
    record = "not known: the rules have changed since"
    if origin.source_path is not None:
        record = f"{escaped(origin.source_path)} line {origin.line_number}"
    cells = ("" if (cell := silver.get(name)) is None else str(cell) for name in SILVER_SHOWN)
    return (*map(escaped, cells), record)


def _commit_lines(commit: Commit, reasons: Sequence[Reason], name: str) -> Iterator[str]:
    old, new = map(_text, commit.values(name))
    change = {INSERTED: f"row inserted, {new}", DELETED: f"row deleted, {old} before"}
    yield f"  {_by(commit)}: {change.get(commit.kind, f'{old} -> {new}')}"
    for reason in reasons:
        yield f"    {reason.text}"
        for record in reason.records:
            yield f"      {_record(record)}"


def _record(record: Record) -> str:
    run = f"run {record.run_id}" if record.run_id else "a run that ops.deliveries does not name"
    return f"{escaped(record.source_path)} line {record.line_number}, taken in by {run}"


def _reach(detail: Detail) -> str:
    if detail.first_version == 0:
        return "complete: the change feed reaches back to the creation of the table"
    return (
        f"CUT: the change feed begins at version {detail.first_version} of the table; what was "
        "before is not known"
    )


def _publisher(found: Explanation) -> str:
    if found.published is None:
        return "not known: the change feed does not reach back to it"
    return _by(found.published)


def _by(commit: Commit) -> str:
    run = commit.run
    if run is None:
        return f"version {commit.version}, by no sealed run"
    at = f"{run.finished_at:%Y-%m-%d %H:%M} UTC"
    return f"version {commit.version}, by {run.job} {run.run_id}, sealed {at}"


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of cells in columns; a column without any text is left out."""
    listed = list(rows)
    wanted = [number for number in range(len(heads)) if any(row[number] for row in listed)]
    table = [[row[number] for number in wanted] for row in (heads, *listed)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _text(value: Value) -> str:
    """A value in full."""
    return "NULL" if value is None else repr(value)


def _feature_data(one: Explained) -> dict[str, Any]:
    return {
        "feature": one.column.name,
        "value": one.value,
        "unit": one.column.unit,
        "worked_out": one.calculation.value,
        "is_equal": one.is_equal,
    }


def _detail_data(detail: Detail) -> dict[str, Any]:
    one = detail.explained
    return _feature_data(one) | {
        "formula": one.column.description,
        "since": one.calculation.since,
        "measure": one.calculation.measure,
        "activities": [
            _part_data(part, detail.origins[part.activity.activity_id]) for part in detail.listed
        ],
        "unlisted_activities": detail.unlisted,
        "history": [
            _made(commit)
            | {"kind": commit.kind}
            | dict(zip(("before", "after"), commit.values(one.column.name), strict=True))
            | {"reasons": [_reason_data(reason) for reason in reasons]}
            for commit, reasons in reversed(detail.commits)
        ],
        "history_since_version": detail.first_version,
        "steps": list(one.calculation.steps),
    }


def _part_data(part: Part, origin: Origin) -> dict[str, Any]:
    return {
        "activity_id": part.activity.activity_id,
        **part.activity.shown,
        "amount": part.amount,
        "weight": part.weight,
        "adds": part.adds,
        "share": part.share,
        "silver": origin.silver,
        "source_path": origin.source_path,
        "line_number": origin.line_number,
    }


def _made(commit: Commit) -> dict[str, Any]:
    run = commit.run
    return {
        "version": commit.version,
        "run_id": run.run_id if run else None,
        "job": run.job if run else None,
        "sealed_at": run.finished_at if run else None,
    }


def _reason_data(reason: Reason) -> dict[str, Any]:
    records = [
        {"source_path": one.source_path, "line_number": one.line_number, "run_id": one.run_id}
        for one in reason.records
    ]
    return {"reason": reason.text, "records": records}
