"""Settings under which nobody is limited, for tests that ask more in a minute than anybody may."""

from infra.http.rate_limiting import RouteClass
from infra.settings import Settings

NEVER = "99999999 per 60 s"


def unlimited(settings: Settings) -> Settings:
    """The same settings without limits of rates."""
    names = [f"rate_{each}{of}" for each in RouteClass for of in ("", "_address")]
    return settings.model_copy(update=dict.fromkeys(names, NEVER))
