"""What a rebuild folds into: the store of its view, under the name and the checkpoints of the version."""

from collections.abc import Callable
from typing import Any, Final

from infra.settings import Settings
from projections.store import Store
from projections.stores.cassandra import CassandraStore
from projections.stores.postgres import PostgresStore
from projections.stores.redis import RedisStore
from projections.versions.following import FollowsVersion
from projections.versions.groups import PROJECTION, Group
from projections.versions.keeping import KeptByRebuild
from projections.versions.registry import Version

OTHERS: Final[dict[str, Callable[..., Store[Any]]]] = {"redis": RedisStore, "cassandra": CassandraStore}


def store_of(settings: Settings, group: Group, version: Version) -> Store[Any]:
    """The store of one version."""
    if group.store == PROJECTION:
        return PostgresStore(settings, group.views, KeptByRebuild(version))
    following = FollowsVersion(group.store, group.name, version.version)
    return OTHERS[group.store](settings, group.views, following)


def projection_of_store(settings: Settings, store: str) -> Store[Any] | None:
    """Who says how far the projection is; None: Postgres is asked as for everything else."""
    return None if store == PROJECTION else OTHERS[store](settings, ())
