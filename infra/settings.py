"""Every setting of every process: the only place that reads the environment.

Each is PLAYHEAD_<NAME> in the environment, else in <state_dir>/servers.env (written by `playhead up`), else the
default here. Names end in their unit; every queue, batch, retry, body and page has its bound here.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from events.territories import TERRITORIES
from infra.server_access import ServerAccess

KIB = 1024
MIB = 1024 * KIB
PREFIX = "PLAYHEAD_"
ORIGIN = r"^https?://[^/*\s]+$"
QUOTA = r"^[1-9][0-9]{0,8} per [1-9][0-9]{0,4} s$"
SERVERS = ("KAFKA_BOOTSTRAP", "POSTGRES_DSN", "CASSANDRA_HOST", "CASSANDRA_PORT", "REDIS_URL")


class Settings(ServerAccess):
    """What can be configured, with its unit, default and bounds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    # Where things are; the servers: infra/server_access.py
    state_dir: Path = Path(".playhead")
    cache_dir: Path = Path.home() / ".cache" / "playhead"
    keys_dir: Path | None = Field(default=None, description="signing keys; default: <state_dir>/keys")
    java_home: Path | None = Field(default=None, description="a JDK 17, when the default java is another")

    # Fixed ports for `playhead up`; None takes a free one and remembers it
    local_kafka_port: int | None = None
    local_cassandra_port: int | None = None
    local_postgres_port: int | None = None
    local_redis_port: int | None = None

    # Where processes listen
    host: str = "127.0.0.1"
    commands_port: int = 8000
    query_port: int = 8001
    audits_port: int = 8002
    probe_port: int = Field(default=0, description="/health, /ready, /metrics of relay and projections; 0: off")

    # Logs
    log_level: str = "INFO"
    log_json: bool = True

    # Topics, fixed when they are created
    log_partitions: int = Field(default=16, ge=1, le=256)
    playback_partitions: int = Field(default=8, ge=1, le=1024)
    replication_factor: int = Field(default=1, ge=1)
    min_insync_replicas: int = Field(default=1, ge=1)

    # Cassandra, fixed when the keyspace is created
    cassandra_replication: str = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"

    # Requests
    request_max_bytes: int = Field(default=1 * MIB, ge=KIB)
    report_max_events: int = Field(default=500, ge=1)
    event_max_bytes: int = Field(default=32 * KIB, ge=KIB)
    http_max_concurrency: int = Field(default=1_000, ge=1, description="connections and requests of one API process")
    http_keep_alive_s: int = Field(default=30, ge=1, description="how long an idle connection is kept")
    shutdown_grace_s: float = 10.0
    retry_after_s: int = Field(default=2, description="what a 503 tells clients to wait")
    idempotency_kept_hours: int = Field(default=48, ge=24)
    audit_change_max_bytes: int = Field(
        default=16 * KIB, ge=KIB, le=256 * KIB, description="what a staff command changed, in its event; else digests"
    )
    snapshot_every_events: int = Field(default=200, ge=1, description="events read before a stream's state is kept")
    idempotency_forget_interval_s: float = Field(default=3600.0, description="how often old replies are dropped")
    idempotency_forget_rows: int = Field(default=10_000, ge=1, description="old replies dropped in one statement")

    # The perimeter of both APIs
    trusted_proxies: tuple[str, ...] = Field(default=(), description="networks whose X-Forwarded-For is believed")
    cors_origins: tuple[Annotated[str, Field(pattern=ORIGIN)], ...] = Field(
        default=(), description='exact: ["https://www.example.com"]; none by default'
    )
    http_tls_certificate_file: Path | None = Field(default=None, description="PEM, with its chain; both: serve TLS")
    http_tls_key_file: Path | None = None
    http_backlog: int = Field(default=2048, ge=1, description="connections that wait to be accepted")
    http_headers_max: int = Field(default=100, ge=20)
    http_headers_max_bytes: int = Field(default=32 * KIB, ge=KIB, description="of a request, its query included")
    http_headers_timeout_s: float = Field(default=10.0, gt=0, description="for a connection to send a request's head")
    request_body_timeout_s: float = Field(default=20.0, gt=0, description="for a body to arrive wholly")
    request_timeout_s: float = Field(default=30.0, gt=0, description="for a request to be answered")
    ingest_inflight_max_bytes: int = Field(
        default=64 * MIB, ge=MIB, description="of all bodies that one API process holds; more: 503"
    )
    ingest_inflight_key_max_bytes: int = Field(
        default=8 * MIB, ge=MIB, description="of one session, principal or address; more: 429"
    )

    # Where viewers are; docs/operations.md
    territory_header: str | None = Field(
        default=None, pattern="^[A-Za-z0-9-]+$", description="in which a trusted proxy says it: CF-IPCountry"
    )
    default_territory: str | None = Field(default=None, description="ISO 3166-1 alpha-2: of whom nothing says it")

    # Rate limits: of a principal or a playback session, and of a client address; docs/security.md
    rate_sign_in: str = Field(default="60 per 60 s", pattern=QUOTA)
    rate_sign_in_address: str = Field(default="600 per 60 s", pattern=QUOTA, description="refreshes too")
    rate_account: str = Field(default="120 per 60 s", pattern=QUOTA)
    rate_account_address: str = Field(default="600 per 60 s", pattern=QUOTA)
    rate_ingest: str = Field(default="600 per 60 s", pattern=QUOTA, description="reports of a session: 10 a second")
    rate_ingest_address: str = Field(default="12000 per 60 s", pattern=QUOTA)
    rate_cmcd: str = Field(default="3000 per 60 s", pattern=QUOTA, description="a player that resends: 27 a second")
    rate_cmcd_address: str = Field(default="30000 per 60 s", pattern=QUOTA)
    rate_command: str = Field(default="3000 per 60 s", pattern=QUOTA)
    rate_command_address: str = Field(default="6000 per 60 s", pattern=QUOTA)
    rate_query: str = Field(default="3000 per 60 s", pattern=QUOTA)
    rate_query_address: str = Field(default="12000 per 60 s", pattern=QUOTA)
    rate_free_networks: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"), description="addresses not counted: tools, and proxies not yet trusted"
    )
    rate_keys_max: int = Field(default=100_000, ge=1, description="counted in a process; the least used are forgotten")
    rate_share_interval_s: float = Field(default=0.25, gt=0, description="how often processes tell each other")
    rate_share_batch_keys: int = Field(default=1_000, ge=1, description="keys in one pipeline to Redis")

    # Playback
    heartbeat_interval_s: int = Field(default=10, ge=1)
    playback_token_ttl_s: int = Field(default=24 * 3600, ge=60)
    clock_skew_future_s: int = Field(default=300, description="how far after our clock a corrected time may be")
    cmcd_max_lines: int = Field(default=500, ge=1, description="CMCD records in a request")
    cmcd_line_max_bytes: int = Field(default=8 * KIB, ge=KIB, le=8 * KIB, description="of a CMCD record; seen: 415")
    cmcd_max_members: int = Field(default=96, ge=64, description="keys of a CMCD record; seen: 28")
    cmcd_max_items: int = Field(default=64, ge=1, description="of one list in a CMCD record")
    cmcd_text_max_characters: int = Field(default=2_048, ge=64, description="of one text in a CMCD record")
    cmcd_clock_slack_s: int = Field(default=300, ge=0, description="how far off a CMCD player's clock is believed")
    clock_skew_past_s: int = Field(default=24 * 3600, ge=0, description="how far before its session's start it may be")
    position_slack_ms: int = Field(default=5_000, description="how far past its duration a player may report")

    # Sessions that nobody ends (source: domain rules, "Player reports"), and who watches now
    session_silent_s: float = Field(default=600.0, gt=0, description="a session without an event for so long expires")
    session_standing_s: float = Field(default=1800.0, gt=0, description="and one whose playhead stands for so long")
    reaper_poll_interval_s: float = Field(default=5.0, gt=0)
    reaper_batch_rows: int = Field(default=500, ge=1, description="sessions expired at a time")
    reaper_remembered_max: int = Field(default=100_000, ge=1, description="expired, and not seen so in the view yet")
    stream_shown_leases: int = Field(default=2, ge=1, description="how long after its last event a stream is running")
    viewers_ttl_days: int = Field(default=30, ge=1, description="how long viewers per minute are kept")
    viewers_default_minutes: int = Field(default=60, ge=1)
    viewers_max_minutes: int = Field(default=360, ge=1, description="the longest range of one request")
    viewers_read_max_concurrency: int = Field(default=16, ge=1, description="partitions read at a time for a request")

    # Audience: docs/measures.md
    audience_default_days: int = Field(default=7, ge=1, description="the range of a request that names none")
    audience_max_days: int = Field(default=366, ge=1, description="the longest range of one request")
    audience_max_buckets: int = Field(default=750, ge=1, description="hours or days in a reply: a month of hours")
    popular_default_hours: int = Field(default=24, ge=1)
    popular_max_hours: int = Field(default=168, ge=1, description="how far back popular titles are counted at most")
    trending_min_starts: int = Field(default=20, ge=1, description="in 24 hours, below which nothing is rising")

    # Downloads and backfill
    download_token_ttl_days: int = Field(default=30, ge=1, description="how late a download may report")
    backfill_max_events: int = Field(default=100_000, ge=1, description="lines of a request")
    backfill_max_bytes: int = Field(default=512 * MIB, ge=MIB, description="of a request, inflated")
    backfill_timeout_s: float = Field(default=900.0, gt=0, description="for a request to be answered to its end")
    backfill_idle_s: float = Field(default=30.0, gt=0, description="for more of a body to arrive, or to be sent")
    backfill_max_concurrency: int = Field(default=4, ge=1, description="requests of one process at a time")
    backfill_batch_lines: int = Field(default=1_000, ge=1, description="lines that Kafka acknowledges together")
    backfill_batch_max_bytes: int = Field(default=1 * MIB, ge=KIB, description="of their events")
    backfill_produce_max_tries: int = Field(default=5, ge=1, description="of a batch; then the rest is to be repeated")
    backfill_oldest_days: int = Field(default=3_660, ge=1, description="an imported event from before is refused")
    backfill_forget_rows: int = Field(default=100, ge=1, description="expired progress dropped before a request")
    backfill_retention_days: int = Field(default=7, ge=1, description="of playback.backfill, once archived")
    backfill_max_events_per_s: int = Field(default=2_000, ge=10, description="moved to playback.events by one process")
    backfill_pause_lag_records: int = Field(default=250, ge=1, description="further behind, live views come first")
    backfill_lag_poll_s: float = Field(default=0.05, gt=0, description="how often it is asked how far they are")

    # Stream leases (source: domain rules, "Concurrent streams")
    paused_slot_s: int = Field(default=1_800, ge=1, description="a session paused for longer takes no place")
    leases_per_account_max: int = Field(default=64, ge=8, description="kept of an account; the oldest go first")
    seqs_remembered_max: int = Field(default=65_536, ge=0, le=2**24, description="of a session, a bit each")
    lease_timeout_s: float = Field(default=1.0, gt=0, description="one pipeline to Redis; then it goes on without")
    lease_retry_s: float = Field(default=0.5, ge=0, description="how long Redis is left alone after it failed")

    # Tokens
    token_issuer: str = Field(default="playhead", description="`iss` of our tokens; a URL where others verify them")
    access_token_ttl_s: int = Field(default=600, ge=60, description="how long what it says may be out of date")
    access_token_max_bytes: int = Field(default=4 * KIB, ge=KIB)
    refresh_token_ttl_days: int = Field(default=60, ge=1, description="a sign-in not used for this long ends")
    refresh_retry_s: int = Field(default=30, ge=0, description="how long a refresh that got no reply may be repeated")
    verified_tokens_kept: int = Field(default=16_384, description="per process, some 2 kB each: verified once")
    token_leeway_s: int = Field(default=30, ge=0, description="how far ahead the clock that issued a token may be")
    master_keys_dir: Path | None = Field(default=None, description="the ring that wraps persons' keys; as keys_dir")
    rewrap_batch_rows: int = Field(default=500, ge=1, le=10_000, description="persons' keys in one statement")
    personal_keys_kept: int = Field(default=10_000, ge=1, description="persons' keys that a process keeps unwrapped")
    device_name_timeout_s: float = Field(default=0.5, gt=0, description="for the name in the reply to an ended session")
    keys_reload_s: float = Field(default=5.0, gt=0, description="how often a process looks for rotated keys at most")
    keys_announced_s: int = Field(default=60, ge=0, description="how long a new key is known before it signs")
    trusted_issuers_file: Path | None = Field(default=None, description="JSON: whose tokens are taken beside our own")
    issuer_keys_refresh_s: float = Field(default=300.0, gt=0, description="how often an issuer's JWKS is read again")
    issuer_keys_pause_s: float = Field(default=5.0, gt=0, description="between readings, whatever kids tokens name")
    issuer_timeout_s: float = Field(default=5.0, gt=0, description="one reading of an issuer's JWKS")
    issuer_keys_max_bytes: int = Field(default=256 * KIB, ge=KIB)
    oauth_url: str = Field(default="http://127.0.0.1:8000", description="where clients reach the commands API")
    revocations_poll_s: float = Field(default=1.0, gt=0, description="how long a token of an ended sign-in is taken")
    revocations_max: int = Field(default=20_000, ge=1, description="ended sign-ins and devices kept; oldest forgotten")
    api_key_kept_s: float = Field(default=5.0, gt=0, description="how long a revoked API key may still be taken")
    api_keys_kept: int = Field(default=1_024, ge=1, description="per process")
    api_key_used_interval_s: float = Field(default=60.0, gt=0, description="how exact last_used_at is")

    # Accounts
    password_min_chars: int = Field(default=8, ge=8, description="NIST SP 800-63B")
    password_max_chars: int = Field(default=256, ge=64)
    password_hash_memory_kib: int = Field(default=19 * 1024, ge=8, description="argon2id; OWASP's least")
    password_hash_passes: int = Field(default=2, ge=1)
    password_hash_max_concurrency: int = Field(default=2, ge=1, description="hashes computed at a time")
    password_hash_max_waiting: int = Field(default=64, ge=1, description="waiting for it; more are refused with 503")
    one_time_token_ttl_s: int = Field(default=3600, ge=60, description="links in mail")
    sign_in_failures_max: int = Field(default=5, ge=1, description="from an address, for an account, in the window")
    sign_in_address_failures_max: int = Field(default=50, ge=1, description="from an address, for any account")
    sign_in_account_failures_max: int = Field(default=100, ge=1, description="from devices that the account never had")
    sign_in_window_s: int = Field(default=900, ge=1)
    throttle_entries_max: int = Field(default=100_000, ge=1, description="counted in a process while Redis is away")
    mails_per_address_max: int = Field(default=5, ge=1, description="of a kind, asked for by one client in an hour")
    mails_per_address_of_all_max: int = Field(default=20, ge=1, description="of a kind, by all clients in an hour")
    profiles_max: int = Field(default=5, ge=1, description="whatever the plan says")
    profiles_without_plan: int = Field(default=1, ge=1)
    devices_without_plan: int = Field(default=3, ge=1)
    pin_failures_max: int = Field(default=5, ge=1, description="of one profile in the window")
    pin_window_s: int = Field(default=900, ge=1)
    unlock_ttl_s: int = Field(default=900, ge=60, description="how long a PIN opens titles above the limit")
    device_code_ttl_s: int = Field(default=600, ge=60)
    device_code_interval_s: int = Field(default=5, ge=1, description="between a television's questions (RFC 8628)")
    device_code_url: str = Field(default="http://127.0.0.1:8000/device", description="what a television shows")
    device_code_failures_max: int = Field(default=10, ge=1, description="codes guessed by one viewer in the window")
    device_code_window_s: int = Field(default=900, ge=1)

    # Mail
    mail_dir: Path | None = Field(default=None, description="where mail is put as files; default: <state_dir>/mail")
    mail_from: str = "Playhead <no-reply@playhead.invalid>"
    mail_link_base: str = Field(default="http://127.0.0.1:8000", description="what links in mail begin with")
    smtp_host: str | None = Field(default=None, description="send by SMTP instead of into mail_dir")
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password_file: Path | None = None
    smtp_starttls: bool = True
    smtp_ca_file: Path | None = Field(
        default=None, description="PEM: who vouches for the mail server; default: the system's"
    )
    mail_poll_interval_s: float = Field(default=1.0, gt=0)
    mail_batch_rows: int = Field(default=20, ge=1)
    mail_max_tries: int = Field(default=8, ge=1)
    mail_timeout_s: float = Field(default=10.0, gt=0)
    mail_failed_kept_days: int = Field(default=7, ge=1, description="sealed mail that could not be sent")
    secrets_clean_interval_s: float = Field(default=60.0, gt=0, description="how often what has expired is dropped")
    secrets_clean_rows: int = Field(default=1_000, ge=1, description="expired rows of a table dropped at a time")

    # Payments
    payments_url: str = Field(default="http://127.0.0.1:8090", description="the provider; by default the fake one")
    payments_api_key_file: Path | None = Field(default=None, description="default: <keys_dir>/payments.api_key")
    payments_webhook_secrets_file: Path | None = Field(
        default=None, description="one secret a line, the newest first; default: <keys_dir>/payments.webhook_secrets"
    )
    payments_timeout_s: float = Field(default=10.0, gt=0, description="one try of one request to the provider")
    payments_max_tries: int = Field(default=4, ge=1, le=20, description="tries of one request, under the same key")
    payments_retry_base_s: float = Field(default=0.2, ge=0, description="the pause after the first try; it doubles")
    payments_retry_max_s: float = Field(default=5.0, ge=0, description="the longest pause, Retry-After included")
    payments_reply_max_bytes: int = Field(default=256 * KIB, ge=KIB)
    payments_max_connections: int = Field(default=20, ge=1)
    payments_webhook_max_bytes: int = Field(default=64 * KIB, ge=KIB)
    payments_webhook_tolerance_s: int = Field(default=300, ge=1, description="how far a signature's time may be off")
    payments_webhook_timeout_s: float = Field(default=10.0, gt=0, description="recorded by then, or sent again")

    # The fake payment provider
    fake_payments_port: int = Field(default=8090, ge=0, le=65535)
    fake_payments_max_charges: int = Field(default=100_000, ge=1, description="charges, and as many refunds")
    fake_payments_max_deliveries: int = Field(default=10_000, ge=1, description="webhooks not yet delivered")
    fake_payments_delivery_max_tries: int = Field(default=12, ge=1)
    fake_payments_delivery_retry_max_s: float = Field(default=5.0, gt=0)

    # Kafka producer
    produce_timeout_s: float = Field(default=5.0, description="an event not acknowledged by then is refused with 503")
    produce_linger_ms: int = 2
    produce_inflight_max_bytes: int = Field(default=64 * MIB, description="taken and not yet acknowledged by Kafka")
    produce_inflight_key_max_bytes: int = Field(default=4 * MIB, ge=KIB, description="of one profile; more: 429")
    produce_silent_s: float = Field(default=2.0, gt=0, description="Kafka owing an answer for so long is not ready")
    produce_given_up_after_s: float = Field(default=30.0, gt=0, description="then the producer is made anew")

    # Relay
    relay_batch_rows: int = Field(default=1_000, ge=1)
    relay_batch_max_bytes: int = Field(default=256 * KIB, ge=KIB, le=MIB // 2, description="before compression")
    relay_poll_interval_s: float = Field(default=0.02, gt=0, description="how often it looks when nobody rings")
    relay_round_min_s: float = Field(default=0.005, ge=0, description="from one round to the next, however often")
    relay_lease_s: float = Field(default=3.0, description="a dead relay's partitions are taken over after this")

    # Projections
    slab_max_records: int = Field(default=1_000, ge=1)
    slab_max_bytes: int = Field(default=2 * MIB, ge=KIB, description="of their bodies")
    batch_max_records: int = Field(default=5_000, ge=1, description="records in one store transaction")
    batch_max_bytes: int = Field(default=8 * MIB, ge=KIB, description="of their bodies; as much waits beside it")
    fetch_max_bytes: int = 4 * MIB
    partition_fetch_max_bytes: int = 1 * MIB
    store_retry_max_s: float = Field(default=5.0, description="longest pause between tries of an unreachable store")
    offsets_mirror_interval_s: float = 5.0
    stuck_after_s: float = Field(default=60.0, description="lag without progress for this long is not ready")
    minutes_kept_days: int = Field(
        default=35, ge=1, validate_default=True, description="rows of a minute in Postgres: quality"
    )
    hours_kept_days: int = Field(
        default=800, ge=40, validate_default=True, description="rows of an hour in Postgres: quality, audience, screens"
    )
    sweep_interval_s: float = Field(default=3600.0, gt=0, description="how often rows that are not kept are removed")
    sweep_batch_rows: int = Field(default=1_000, ge=1, description="removed in one transaction")
    sweep_pause_s: float = Field(default=0.2, ge=0, description="between two, so that live rows come first")
    timeline_ttl_days: int = Field(default=90, ge=1)
    history_ttl_days: int = Field(default=400, ge=1)
    history_remove_max_sessions: int = Field(default=500, ge=1, description="of a title, in one request")
    continue_watching_ttl_days: int = Field(default=400, ge=1)
    account_holdings_max: int = Field(default=1_000, ge=1, description="purchases kept of an account in Redis")
    account_holdings_ttl_days: int = Field(default=3_650, ge=1, description="of one to which nothing happens")
    withdrawn_titles_max: int = Field(
        default=20_000, ge=1, description="left out of continue watching; oldest forgotten"
    )
    continue_watching_max_rows: int = Field(default=200, ge=1, description="per profile; the oldest goes first")
    reorder_window_events: int = Field(
        default=200, ge=1, le=10_000, description="of a session, kept while one before them is missing"
    )

    # Versions of views: docs/operations.md
    rebuild_batch_records: int = Field(default=10_000, ge=1, description="in one transaction")
    rebuild_batch_max_bytes: int = Field(default=16 * MIB, ge=KIB, description="of their bodies")
    rebuild_fetch_max_bytes: int = Field(default=16 * MIB, ge=KIB, description="of a partition, and of a fetch")
    rebuild_pause_lag_records: int = Field(default=2_000, ge=1, description="further behind, live views come first")
    rebuild_lag_poll_s: float = Field(default=0.2, gt=0, description="how often it is asked how far they are")
    rebuild_sums_chunk_rows: int = Field(default=1_000, ge=1, description="read at once of what is added up")
    rebuild_sums_max_rows: int = Field(default=10_000, ge=1, description="of aggregates, held before they are written")
    rebuild_statement_timeout_s: float = Field(
        default=600.0, gt=0, description="one that reads or empties a whole view"
    )
    rebuild_note_interval_s: float = Field(default=0.5, gt=0, description="how often a rebuild says how far it is")
    rebuild_ready_records: int = Field(default=1_000, ge=1, description="as little behind the live one it is ready")
    rebuild_follow_poll_s: float = Field(default=0.02, gt=0, description="how often what follows looks for more")
    view_swap_max_tries: int = Field(default=40, ge=1, description="while reads are too long, or it cannot catch up")
    view_swap_locked_max_s: float = Field(default=2.0, gt=0, le=4, description="how long live writes may wait for it")
    view_swap_lock_timeout_s: float = Field(default=0.25, gt=0, lt=1, description="and reads, for longer ones to end")
    view_hand_back_quiet_s: float = Field(default=15.0, gt=0, description="no worker with the old fold for so long")
    view_live_kept_s: float = Field(
        default=0.5, gt=0, description="how long a process uses what it knows of which version of a view is live"
    )
    view_verify_page_rows: int = Field(default=1_000, ge=1, description="of Redis and Cassandra, read at a time")
    view_verify_again_max: int = Field(default=2_000, ge=1, description="rows that differed, compared once more")
    view_verify_again_tries: int = Field(default=3, ge=1, description="that bring none nearer; events come meanwhile")
    view_verify_samples: int = Field(default=20, ge=1, description="rows shown that differ")
    view_verify_timeout_s: float = Field(default=3600.0, gt=0, description="one statement that compares")
    view_requests_open_max: int = Field(default=20, ge=1, description="asked over HTTP of a view, and not done yet")
    view_request_max_tries: int = Field(default=50, ge=1, description="what is interrupted more often has failed")
    rebuilds_poll_interval_s: float = Field(default=0.5, gt=0, description="how often what was asked is looked for")
    rebuilds_mirror_interval_s: float = Field(default=10.0, gt=0, description="how often stores are asked what is live")
    rebuilds_followed_max: int = Field(default=8, ge=1, description="live views that `playhead rebuilds` keeps itself")

    # How far projections are: GET /v1/projections
    progress_kept_s: float = Field(default=1.0, ge=0, description="how long one look is shown to who asks")
    progress_pace_s: float = Field(default=30.0, gt=0, description="what a projection applies lately: in so long")
    progress_read_s: float = Field(default=1.0, gt=0, description="for Kafka to say how old what waits is")

    # History for audits: docs/audits.md
    audits_read_threads: int = Field(default=4, ge=1, le=64, description="that read the archive at a time")
    audits_source_timeout_s: float = Field(default=20.0, gt=0, description="silence after which a source is away")
    history_buffer_rows: int = Field(default=65_536, ge=256, description="held of all partitions, and read ahead again")
    history_batch_max_rows: int = Field(default=5_000, ge=16, description="of one partition at a time")
    history_fetch_max_bytes: int = Field(default=256 * KIB, ge=KIB, description="of a partition of Kafka, at a time")
    history_filter_values_max: int = Field(default=1_000, ge=1, description="named in one question")
    history_tree_max_events: int = Field(default=10_000, ge=1, description="of one tree of correlation and causation")
    as_of_max_rows: int = Field(
        default=1_000, ge=1, description="rows of a view as of a cut; more: name more of the key"
    )
    as_of_max_events: int = Field(default=1_000, ge=1, description="named with them: the newest that made them")
    as_of_timeout_s: float = Field(default=120.0, gt=0, description="of what is read in the log for one answer")
    as_of_clocks_apart_s: float = Field(
        default=300.0, ge=0, description="how far clocks may be apart: a cut is looked for in Kafka from so long before"
    )

    # Verifying, and checkpoints: docs/audits.md
    checkpoint_interval_s: float = Field(default=300.0, gt=0, description="how often what the archive got is signed")
    verify_batch_rows: int = Field(default=2_000, ge=100, description="of the log or of Kafka, read at a time")
    verify_findings_max: int = Field(default=1_000, ge=1, description="told of one run; all are counted")
    verify_jobs: int = Field(default=2, ge=1, le=64, description="processes that verify at a time")
    verify_note_interval_s: float = Field(default=2.0, gt=0, description="how often it is kept how far a run is")
    verify_timeout_s: float = Field(default=600.0, gt=0, description="for one answer of a store")

    # Audits over HTTP: docs/audits.md
    audits_max_concurrency: int = Field(default=4, ge=1, description="questions answered by one process at a time")
    audits_turn_wait_s: float = Field(default=5.0, gt=0, description="for one's turn; then 503")

    # SQL over the archive: docs/audits.md
    audit_query_memory_mb: int = Field(default=512, ge=32, description="of one query; nothing is put on disk")
    audit_query_threads: int = Field(default=2, ge=1, le=64)
    audit_query_timeout_s: float = Field(default=120.0, gt=0)
    audit_query_max_rows: int = Field(default=100_000, ge=1, description="of one answer; then it says so")
    audit_query_shown_rows: int = Field(default=200, ge=1, description="of a table on the terminal")

    # Replays: docs/audits.md
    replays_applied: bool = Field(default=False, description="views take replays as facts: where nobody is live, only")
    replay_inflight_max_events: int = Field(default=1_000, ge=1, description="sent, and not taken yet")
    replay_http_max_concurrency: int = Field(default=32, ge=1, description="requests of a replay at a time")
    replay_timeout_s: float = Field(default=10.0, gt=0, description="one try of one request")
    replay_max_tries: int = Field(default=8, ge=1, le=100, description="of an event; then the replay stops")
    replay_retry_base_s: float = Field(default=0.2, ge=0, description="the pause after the first try; it doubles")
    replay_retry_max_s: float = Field(default=10.0, ge=0, description="the longest pause, Retry-After included")
    replay_note_interval_s: float = Field(default=1.0, gt=0, description="how often it is noted how far a replay is")

    # Live dashboards: docs/live.md
    live_interval_s: float = Field(default=5.0, gt=0, description="a sample of each topic that somebody follows")
    live_samples_kept: int = Field(default=120, ge=2, description="for who comes back: so many intervals")
    live_behind_max_samples: int = Field(default=6, ge=1, description="of a client that reads slowly; then the newest")
    live_stall_s: float = Field(default=30.0, gt=0, description="a client that reads nothing for so long is hung up on")
    live_heartbeat_s: float = Field(default=15.0, gt=0, description="a comment, when there is nothing else to send")
    live_check_s: float = Field(default=5.0, gt=0, description="how long a stream outlives its token")
    live_stream_max_s: float = Field(default=3600.0, gt=0, description="then the client is to come back")
    live_retry_s: float = Field(default=2.0, gt=0, description="after one to two of it a client is to come back")
    live_linger_s: float = Field(default=60.0, ge=0, description="how long samples are taken after all have left")
    live_streams_max: int = Field(default=200, ge=1, description="of one process; more: 503")
    live_streams_caller_max: int = Field(default=10, ge=1, description="of one principal in a process; more: 429")
    live_quality_minutes: int = Field(default=5, ge=1, description="quality now: of what started in the last minutes")
    live_titles_shown: int = Field(default=20, ge=1, description="viewers by title: the most watched")
    live_titles_max: int = Field(default=1_000, ge=1, description="and those that may be asked for by name")

    # Backups: docs/operations.md
    backup_archive_wait_s: float = Field(default=900.0, gt=0, description="for the archive to have what Kafka has")
    backup_poll_s: float = Field(default=0.5, gt=0, description="how often it is asked how far something is")
    restore_max_concurrency: int = Field(default=4, ge=1, le=64, description="partitions filled at a time")
    restore_stuck_s: float = Field(default=120.0, gt=0, description="views that apply nothing for so long: given up")

    # The archive: docs/operations.md
    archive_url: str | None = Field(
        default=None,
        pattern=r"^(file:///|s3://[^/\s]+)",
        description="default: <state_dir>/archive; or s3://bucket/prefix",
    )
    archive_options: dict[str, str] = Field(
        default={}, description='of S3, as JSON: {"endpoint_url": "https://...", "region_name": "..."}'
    )
    archive_key_file: Path | None = Field(
        default=None, description='JSON {"key": ..., "secret": ...}; default: what the environment of S3 clients says'
    )
    archive_timeout_s: float = Field(default=20.0, gt=0, description="for S3 to answer")
    archive_topics: tuple[str, ...] = Field(default=(), description="those that this process archives; none: all")
    archive_file_max_records: int = Field(default=200_000, ge=1)
    archive_file_max_bytes: int = Field(default=64 * MIB, ge=KIB, description="of keys and values, before compression")
    archive_file_max_age_s: float = Field(default=300.0, gt=0, description="how long a record waits to be archived")
    archive_buffer_max_bytes: int = Field(
        default=16 * MIB, ge=KIB, description="held of all partitions; then the largest is written"
    )
    archive_fetch_records: int = Field(default=5_000, ge=1, description="taken from Kafka at a time")
    archive_row_group_records: int = Field(default=10_000, ge=1, description="what a filter passes over at once")
    archive_zstd_level: int = Field(default=1, ge=1, le=19, description="3 and 5 took more and saved nothing")
    archive_read_batch_records: int = Field(default=5_000, ge=1)
    archive_read_buffer_bytes: int = Field(default=1 * MIB, ge=KIB, description="of a file that is being read")
    archive_poll_s: float = Field(default=0.5, gt=0, description="how long Kafka is waited for when it has nothing new")
    archive_retry_max_s: float = Field(default=5.0, gt=0, description="longest pause while the store or Kafka is away")
    archive_partitions_interval_s: float = Field(default=30.0, gt=0, description="how often new ones are looked for")
    archive_compact_interval_s: float = Field(default=300.0, gt=0, description="how often small files are looked for")
    archive_compact_min_files: int = Field(default=48, ge=2, description="of a day that goes on; of a past day, two")
    archive_compact_max_records: int = Field(default=200_000, ge=1, description="of a compacted file")
    archive_compact_max_bytes: int = Field(default=32 * MIB, ge=KIB, description="the same, before compression")
    archive_superseded_kept_s: float = Field(
        default=24 * 3600.0, ge=60, description="how long files stay that a larger one took the place of, for who reads"
    )
    archive_retention_interval_s: float = Field(
        default=3600.0, gt=0, description="how often Kafka's records that are kept for days, and archived, are removed"
    )
    archive_entries_kept: int = Field(default=20_000, ge=1, description="of the manifest, in memory")

    # Continue watching (source: domain rules R4, R5)
    bookmark_min_watched_ms: int = 60_000
    bookmark_min_watched_ratio: float = 0.05
    complete_at_ratio: float = 0.9
    resumable_min_duration_ms: int = 300_000

    # Queries
    page_default_rows: int = Field(default=20, ge=1)
    page_max_rows: int = Field(default=100, ge=1)
    read_your_writes_wait_s: float = Field(default=2.0, description="how long a query waits for Playhead-Position")
    read_your_writes_poll_s: float = Field(default=0.02, description="how often a waiting query looks again")
    export_page_rows: int = Field(default=500, ge=1, description="of an export, read at a time")
    export_max_rows: int = Field(default=1_000_000, ge=1, description="of a table sent at once; then it says so")
    history_months_per_read: int = Field(default=4, ge=1, description="empty months skipped by one page of history")
    quality_max_intervals: int = Field(default=1_500, ge=1, description="of one request: a day of minutes")
    quality_default_intervals: int = Field(default=60, ge=1)
    quality_max_rows: int = Field(default=5_000, ge=1, description="intervals x groups of one reply; more: refused")
    quality_max_errors: int = Field(default=10, ge=0, description="codes of each row, the most frequent")
    cmcd_gaps_max_records: int = Field(default=20_000, ge=1, description="of a session, looked at for its gaps")
    cmcd_gaps_batch_rows: int = Field(default=2_000, ge=1, le=5_000, description="of them, read at a time")
    cmcd_gaps_max_ranges: int = Field(default=200, ge=1, description="gaps shown of a collector")
    withdrawn_titles_checked_s: float = Field(
        default=0.5, ge=0, description="how often it is asked whether their view moved"
    )
    playable_titles_kept: int = Field(default=50_000, ge=1, description="of the catalog, as continue watching needs it")
    playable_titles_checked_s: float = Field(
        default=0.5, ge=0, description="how often it is asked whether the catalog's views moved"
    )
    playable_titles_timeout_s: float = Field(default=0.5, gt=0, description="to read them; then it goes on without")
    playable_titles_retry_s: float = Field(default=2.0, ge=0, description="how long Postgres is left alone after it")
    playable_next_looked_at: int = Field(
        default=20, ge=1, description="episodes after one that cannot be played, of which the first that can is offered"
    )
    continue_watching_kept_max_bytes: int = Field(
        default=24 * MIB, ge=0, description="per process: replies, with what they were made of, for who asks again"
    )
    refill_checked_s: float = Field(default=0.5, gt=0, description="how often it is asked how full Redis is")
    refill_witness_s: float = Field(
        default=10.0, gt=0, description="what Postgres has had for so long, Redis is expected to have"
    )
    search_candidates: int = Field(default=100, ge=1, description="titles compared for each way to match a query")
    search_timeout_s: float = Field(default=1.0, gt=0, description="one statement of a search; Postgres ends it then")
    redis_pipeline_max_reads: int = Field(default=64, ge=1, description="reads of many requests in one round trip")
    store_connect_retry_s: float = Field(default=1.0, description="pause between tries of a store that is down")
    postgres_pool_max: int = Field(default=10, ge=1)
    query_timeout_s: float = 5.0

    # Replies of the query API: docs/querying.md
    reply_compress_min_bytes: int = Field(default=1 * KIB, ge=1, description="smaller ones are sent as they are")
    reply_compress_thread_bytes: int = Field(default=128 * KIB, ge=KIB, description="from it on: beside the event loop")
    reply_zstd_level: int = Field(default=3, ge=1, le=19)
    reply_br_level: int = Field(default=4, ge=0, le=11)
    reply_gzip_level: int = Field(default=4, ge=1, le=9)
    reply_cache: bool = Field(default=True, description="keep replies while the views that they are read from stand")
    reply_cache_max_bytes: int = Field(default=32 * MIB, ge=KIB, description="of all that a process keeps")
    reply_cache_max_replies: int = Field(default=5_000, ge=1)
    reply_cache_reply_max_bytes: int = Field(default=1 * MIB, ge=KIB, description="a larger one is not kept")
    reply_cache_key_max_bytes: int = Field(default=2 * KIB, ge=1, description="query and headers that decide a reply")
    reply_cache_position_age_s: float = Field(
        default=0.02, ge=0, description="how often it is asked whether views moved: so much older may a reply be"
    )
    reply_cache_playback_age_s: float = Field(
        default=0.25, ge=0, description="the same of replies about what is played, which moves all the time"
    )
    reply_cache_timeout_s: float = Field(default=0.5, gt=0, description="to ask it; then the route answers")
    reply_cache_turns_interval_s: float = Field(
        default=1.0, ge=0, description="how often it is asked at most when a window of the catalog opens next"
    )

    # Subscriptions (source: domain rules, "Subscriptions")
    grace_days: int = Field(default=7, ge=0, description="access after a period's end while its renewal is not paid")
    payment_retry_days: tuple[int, ...] = Field(default=(1, 3, 5), max_length=20, description="after the period's end")
    past_due_days: int = Field(default=30, ge=0, description="how long an overdue subscription can be recovered")
    pending_hours: int = Field(default=24, ge=1, description="how long a first payment is waited for")
    pause_max_days: int = Field(default=90, ge=1)
    rental_start_days: int = Field(default=30, ge=1)
    rental_play_hours: int = Field(default=48, ge=1)

    # What may be played
    subscription_required: bool = Field(default=True, description="false: billing is elsewhere; svod is for everyone")
    streams_without_plan: int = Field(default=1, ge=1, description="at a time, of what was bought or is free")
    downloads_without_plan: int = Field(default=0, ge=0)
    admission_unapplied_rows: int = Field(
        default=500, ge=1, description="of a log partition, looked through for a purchase that no view has applied yet"
    )

    # Renewal process
    billing_poll_interval_s: float = Field(default=1.0, gt=0)
    billing_batch_rows: int = Field(default=200, ge=1, description="streams with something due read at a time")
    billing_max_concurrency: int = Field(default=8, ge=1, description="streams billed at a time")
    billing_recheck_s: float = Field(default=60.0, gt=0, description="pause before an open answer is asked for again")

    @field_validator("default_territory")
    @classmethod
    def _is_territory(cls, given: str | None) -> str | None:
        if given is not None and given not in TERRITORIES:
            raise ValueError("ISO 3166-1 alpha-2 has no such territory")
        return given

    @field_validator("minutes_kept_days", "hours_kept_days")
    @classmethod
    def _is_kept_while_it_may_change(cls, given: int, info: ValidationInfo) -> int:
        if given <= (late := info.data.get("download_token_ttl_days", 0)):
            raise ValueError(f"players may report for {late} days (download_token_ttl_days): keep rows for longer")
        return given

    @field_validator("territory_header")
    @classmethod
    def _is_believed(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given is not None and not info.data.get("trusted_proxies"):
            raise ValueError("it is believed from trusted_proxies alone: name them")
        return given

    @property
    def keys_path(self) -> Path:
        """Where signing keys are kept."""
        return self.keys_dir or self.state_dir / "keys"

    @property
    def master_keys_path(self) -> Path:
        """Where the ring of master keys is, and the key of the blind index."""
        return self.master_keys_dir or self.keys_path

    @property
    def mail_path(self) -> Path:
        """Where mail is put as files."""
        return self.mail_dir or self.state_dir / "mail"

    @property
    def archive_location(self) -> str:
        """The URL of the archive."""
        return self.archive_url or (self.state_dir / "archive").absolute().as_uri()

    @property
    def payments_api_key_path(self) -> Path:
        """Where the key is that Playhead shows the payment provider."""
        return self.payments_api_key_file or self.keys_path / "payments.api_key"

    @property
    def payments_webhook_secrets_path(self) -> Path:
        """Where the secrets are that the payment provider signs its webhooks with."""
        return self.payments_webhook_secrets_file or self.keys_path / "payments.webhook_secrets"

    @property
    def lease_s(self) -> int:
        """A playback lease: three heartbeats (source: domain rules, "Concurrent streams")."""
        return 3 * self.heartbeat_interval_s


class SettingsRefused(Exception):
    """Settings that cannot work; the message says which, and never what they were."""


def load_settings() -> Settings:
    """The settings of this process, from the environment and the state directory's servers.env. Raises
    SettingsRefused.
    """
    state_dir = Path(os.environ.get("PLAYHEAD_STATE_DIR", Settings.model_fields["state_dir"].default))
    try:
        return Settings(_env_file=state_dir / "servers.env")
    except ValidationError as error:
        raise SettingsRefused("\n".join(map(_told, error.errors(include_input=False)))) from None


def _told(error: ErrorDetails) -> str:
    name = "".join(f"{PREFIX}{place}: ".upper() for place in error["loc"][:1])
    return name + error["msg"].removeprefix("Value error, ")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()


def servers_given() -> bool:
    """Whether the environment says where the servers are; then none are to be started here."""
    return any(PREFIX + name in os.environ for name in SERVERS)


def environment_of_child(**settings: object) -> dict[str, str]:
    """The environment of a child process: this process's own, with these settings instead."""
    return {**os.environ, **{PREFIX + name.upper(): str(value) for name, value in settings.items()}}
