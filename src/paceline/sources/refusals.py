"""Why a record is refused before any rule of a contract is asked."""

REFUSAL = "_refusal"
"""In an image: why nothing else is in it."""

UNREADABLE = "unreadable"
ENCODING_UNKNOWN = "encoding_unknown"
FLATTENED_CHANGE = "flattened_change"
TABLE_TRUNCATED = "table_truncated"
ENVELOPE_UNKNOWN = "envelope_unknown"
LAYOUT_UNKNOWN = "layout_unknown"
CHANGE_TIME_AHEAD = "change_time_ahead"
END_NOT_AHEAD = "end_not_ahead"

REFUSALS = {
    UNREADABLE: "Not even the fields of the record can be told.",
    ENCODING_UNKNOWN: (
        "A value is there, but it cannot be read as what its field holds. Correct it at its "
        "source: ids are whole numbers, and a pace is 240 or 4:00. For change data set "
        "decimal.handling.mode=double and time.precision.mode=isostring, or send schemas with "
        "schemas.enable=true, which ids in NUMBER or NUMERIC need; __debezium_unavailable_value "
        "needs REPLICA IDENTITY FULL."
    ),
    FLATTENED_CHANGE: (
        "The change was flattened and no longer says what happened and when: give "
        "ExtractNewRecordState add.fields=op,table,connector,name,lsn,source.ts_ms and "
        "delete.tombstone.handling.mode=rewrite, or leave the transform away."
    ),
    TABLE_TRUNCATED: (
        "The table was truncated at the source, which names no activity: the published ones live "
        "on until they are deleted one by one, as by DELETE instead of TRUNCATE."
    ),
    ENVELOPE_UNKNOWN: (
        "The change is wrapped in a way that is not read: send JSON with the fields before, after, "
        "op and source, as with value.converter=org.apache.kafka.connect.json.JsonConverter, or "
        "CloudEvents with data.serializer.type=json and extension.attributes.enable=true."
    ),
    LAYOUT_UNKNOWN: (
        "Neither the header, nor the number of columns and the record, tells what the columns of "
        "the export hold: add the headers of its language to export_headers of paceline.yml."
    ),
    CHANGE_TIME_AHEAD: (
        "The record claims to be from more than a day after it was received, and would win for "
        "ever, so it is left out for good: mend the clock, and deliver it with its right time."
    ),
    END_NOT_AHEAD: (
        "The activity would end more than two days after it was received: mend its elapsed or "
        "moving time at the source, and deliver it again."
    ),
}
"""By name, what is wrong and what to do."""

WITHOUT_FIELDS = (
    *(UNREADABLE, FLATTENED_CHANGE, TABLE_TRUNCATED, ENVELOPE_UNKNOWN, LAYOUT_UNKNOWN),
)
"""Those of records of which not even the fields are known."""

OF_ACTIVITIES = tuple(name for name in REFUSALS if name != UNREADABLE)
OF_SETTINGS = (ENCODING_UNKNOWN, CHANGE_TIME_AHEAD)
"""Those besides `unreadable` that can happen to records of a kind."""
