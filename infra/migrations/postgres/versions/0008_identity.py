"""The secrets of the identity context: what no event holds, written in the same transaction as the events (ADR 9)."""

from infra.migrations.sql import run_script

revision = "0008"
down_revision = "0007"

SECRETS = """
-- A person's key, wrapped by the master key; null once it is destroyed, which erases all that it sealed.
create table person_key (
    person_id    text primary key,  -- an account id
    wrapped      bytea,
    created_at   timestamptz not null,
    destroyed_at timestamptz
);

-- Who may sign in. email_digest: a keyed digest of the normalised address. roles: as the account's stream has them.
create table identity_credentials (
    account_id    text primary key,
    email_digest  bytea not null unique,
    password_hash text not null,
    roles         text[] not null default '{}',
    changed_at    timestamptz not null
);

-- What a token needs to know of a profile, and the hash of its PIN.
create table identity_profile_access (
    profile_id     text primary key,
    account_id     text not null references identity_credentials on delete cascade,
    maturity_limit int,
    pin_hash       text
);
create index identity_profile_access_account on identity_profile_access (account_id);

-- A sign-in that lasts: its refresh tokens are numbered, and only the newest is taken.
create table identity_grants (
    sign_in_id text primary key,
    account_id text not null references identity_credentials on delete cascade,
    device_id  text not null,
    profile_id text references identity_profile_access on delete set null,
    generation int  not null default 1,
    granted_at timestamptz not null,
    rotated_at timestamptz not null,
    expires_at timestamptz not null
);
create index identity_grants_account on identity_grants (account_id);
create index identity_grants_expires on identity_grants (expires_at);

-- Registrations, new addresses and password resets that wait for a link to be followed. sealed: under the master key.
create table identity_one_time_tokens (
    digest     bytea primary key,
    purpose    text not null,
    account_id text references identity_credentials on delete cascade,
    sealed     bytea,
    expires_at timestamptz not null
);
create index identity_one_time_tokens_expires on identity_one_time_tokens (expires_at);

-- Mail on its way, sealed under the master key, and gone when it is sent.
create table identity_mail (
    mail_id    bigint generated always as identity primary key,
    sealed     bytea not null,
    due_at     timestamptz not null,
    tries      int not null default 0,
    created_at timestamptz not null
);
create index identity_mail_due on identity_mail (due_at);

-- Televisions that wait for somebody to enter their code elsewhere (RFC 8628).
create table identity_device_codes (
    digest      bytea primary key,
    user_digest bytea not null unique,
    device      bytea not null,  -- JSON, sealed under the master key
    interval_s  int not null,
    polled_at   timestamptz,
    expires_at  timestamptz not null,
    account_id  text references identity_credentials on delete cascade,  -- who allowed it
    profile_id  text references identity_profile_access on delete set null,
    denied      boolean not null default false
);
create index identity_device_codes_expires on identity_device_codes (expires_at);

-- Keys of servers and dashboards. digest: SHA-256 of the key, which is random and so needs no slow hash.
create table identity_api_key_secrets (
    api_key_id   text primary key,
    digest       bytea not null unique,
    name         text not null,
    scopes       text[] not null,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
"""


def upgrade() -> None:
    """Create the tables."""
    run_script(SECRETS)
