"""What the licences of sources forbid, apart from how they are read: features need only this."""

# Models may neither be trained on the data nor operated with it.
NO_MODEL_TRAINING = "no_model_training"

# By the name of a source; one that is not named has no tags.
TAGS: dict[str, tuple[str, ...]] = {
    # https://www.strava.com/legal/api
    "strava_api": (NO_MODEL_TRAINING,),
}


def tagged(tag: str) -> list[str]:
    """The names of the sources that have a tag."""
    return [name for name, tags in TAGS.items() if tag in tags]
