"""What a rebuild folds into: the store of its view, under the name and the checkpoints of the version."""

from typing import Any

from infra.settings import Settings
from projections.store import Store
from projections.stores.postgres import PostgresStore
from projections.stores.redis import RedisStore
from projections.versions.following import FollowsVersion
from projections.versions.groups import PROJECTION, Group
from projections.versions.keeping import KeptByRebuild
from projections.versions.registry import Version


def store_of(settings: Settings, group: Group, version: Version) -> Store[Any]:
    """The store of one version."""
    if group.store == PROJECTION:
        return PostgresStore(settings, group.views, KeptByRebuild(version))
    return RedisStore(settings, group.views, FollowsVersion(group.store, group.name, version.version))


def projection_of_store(settings: Settings, store: str) -> Store[Any] | None:
    """Who says how far the projection is; None: Postgres is asked as for everything else."""
    return None if store == PROJECTION else RedisStore(settings, ())
