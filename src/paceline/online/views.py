"""What Feast knows of the feature tables: an entity, and views made from the contracts.

`athlete_rolling` is the newest rolling row of an athlete, for models. `last_activity` is the newest
activity, for display only: training knows an activity when its day is over, so that a model that
was served it would see more than it has learnt from. An activity that has just ended may be pushed
into that view, until the pipeline has it.

Two features need a value that only the request knows, and are computed when they are asked for, by
the functions that training uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paceline.contract import Contract, load_all
from paceline.errors import UsageError
from paceline.online.on_request import views_on_request
from paceline.settings import conf_directory, load_settings
from paceline.store.warehouse import catalog_of, schema_names
from paceline.tables.names import ACTIVITY_FEATURES, ROLLING_FEATURES

if TYPE_CHECKING:
    from feast import FeatureView

ATHLETE = "athlete_id"
EVENT_TIME = "event_timestamp"
WAREHOUSE, CATALOG, SCHEMA, CONF = (
    *("PACELINE_WAREHOUSE", "PACELINE_CATALOG", "PACELINE_SCHEMA"),
    "PACELINE_CONF",
)


@dataclass(frozen=True)
class Served:
    """Which rows of a gold table a view serves: of each athlete the greatest.

    Attributes:
        view: its name.
        table_name: the gold table.
        order: columns by which rows of an athlete are compared; unique together.
        condition: of the rows that count, in SQL that Spark and DataFusion both know.
        never_null: a feature that every row has, by which a row is told from none.
    """

    view: str
    table_name: str
    order: tuple[str, ...]
    condition: str
    never_null: str


ROLLING = Served("athlete_rolling", ROLLING_FEATURES, (EVENT_TIME,), "TRUE", "history_days")
LAST_ACTIVITY = Served(
    *("last_activity", ACTIVITY_FEATURES),
    (EVENT_TIME, "activity_id"),
    "NOT is_duplicate_recording",
    "activity_id",
)
SERVED = (ROLLING, LAST_ACTIVITY)
PUSHABLE = LAST_ACTIVITY
PUSH_SOURCE = "ended_activity"


def definitions(environment: Mapping[str, str]) -> dict[str, Any]:
    """Everything that Feast is to register, by name.

    Args:
        environment: where the tables are and what they promise: `PACELINE_WAREHOUSE`,
            `PACELINE_CATALOG`, `PACELINE_SCHEMA` (such as `feature_store=dev`, several by commas)
            and `PACELINE_CONF`, which mean what the options of the same names mean.

    Raises:
        UsageError: when the settings or contracts cannot be used.
    """
    from feast import Entity, FeatureService, FeatureView, PushSource, ValueType

    directory = conf_directory(environment.get(CONF) or None)
    contracts = load_all(directory / "contracts")
    athlete = Entity(
        name="athlete",
        join_keys=[ATHLETE],
        value_type=ValueType.INT64,
        description="An athlete, as Strava numbers them.",
    )
    views = {}
    for served in SERVED:
        contract = contracts[served.table_name]
        source = _source(served, environment, directory)
        if served is PUSHABLE:
            source = PushSource(
                name=PUSH_SOURCE,
                batch_source=source,
                description="Activities that have ended and are not in gold yet: use paceline "
                "online push, because Feast's own push makes the store differ from gold for good.",
            )
        views[served.view] = FeatureView(
            name=served.view,
            entities=[athlete],
            ttl=timedelta(0),  # a dormant athlete's last row stays
            schema=_schema(contract),
            source=source,
            description=contract.description,
            tags={"table": contract.name, "contract_version": contract.version},
            owner=contract.owner,
        )
    model = FeatureService(
        name="train_time_v1",
        features=[views[ROLLING.view]],
        description="What the model of running times is served.",
    )
    on_request = {view.name: view for view in views_on_request(views[ROLLING.view])}
    return {"athlete": athlete, **views, **on_request, model.name: model}


def _schema(contract: Contract) -> list[Any]:
    """The columns of a contract that are features, with what it says of them."""
    from feast import Field
    from feast.types import Bool, Float64, Int32, Int64, String, UnixTimestamp

    types = {
        "BIGINT": Int64,
        "INT": Int32,
        "DOUBLE": Float64,
        "BOOLEAN": Bool,
        "STRING": String,
        "DATE": UnixTimestamp,  # midnight UTC of the day
        "TIMESTAMP": UnixTimestamp,
    }
    return [
        Field(
            name=column.name,
            dtype=types[column.type],
            description=column.description,
            tags=_tags(unit=column.unit, classification=column.classification),
        )
        for column in contract.columns
        if column.name != EVENT_TIME
    ]


def _tags(**given: str | None) -> dict[str, str]:
    return {name: text for name, text in given.items() if text}


def _source(served: Served, asked: Mapping[str, str], directory: Path) -> Any:
    """The gold table as Feast reads it offline: by path, or by name in a catalog."""
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.table_format import DeltaFormat

    settings = load_settings(directory)
    layer, name = served.table_name.split(".")
    common: dict[str, Any] = {"name": name, "timestamp_field": EVENT_TIME}
    if catalog := catalog_of(asked.get(CATALOG) or settings.catalog):
        given = [text for text in asked.get(SCHEMA, "").split(",") if text]
        schema = schema_names(given).get(layer, layer)
        return SparkSource(table=f"{catalog}.{schema}.{name}", **common)
    root = Path(asked.get(WAREHOUSE) or settings.warehouse).resolve()
    return SparkSource(path=str(root / layer / name), table_format=DeltaFormat(), **common)


def refuse_other_place(view: FeatureView, table: str) -> None:
    """Refuses to fill a view from another table than the registry says.

    Args:
        view: as it is registered.
        table: the path or the name of the gold table that is meant.

    Raises:
        UsageError: when they differ.
    """
    source: Any = view.batch_source
    registered = source.table or source.path
    if registered != table:
        raise UsageError(
            f"The view {view.name} is registered for {registered}, not for {table}: name that "
            "place, or run `paceline online apply` for the other one."
        )
