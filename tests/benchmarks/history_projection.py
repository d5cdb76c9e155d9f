"""Playhead's projection process with one view, a row an event: `python -m tests.benchmarks.history_projection`."""

from infra.settings import settings
from projections.stores.postgres import PostgresStore
from projections.subscription.subscription_history import SubscriptionHistory
from projections.worker import Worker, run_worker

if __name__ == "__main__":
    views = (SubscriptionHistory(),)
    run_worker(lambda: Worker(PostgresStore(settings(), views), views, settings()), settings())
