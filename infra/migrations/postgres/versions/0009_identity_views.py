"""The views of the identity context, and what staff did in any context.

Beside these the query API reads of the private tables: person_key (person_id, wrapped), identity_grants (sign_in_id,
rotated_at, expires_at) and identity_api_key_secrets (api_key_id, last_used_at).
"""

from infra.migrations.sql import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply it."""
    run_script("""
        create table identity_accounts (
            account_id    text        primary key,
            email         text,                   -- sealed; null once the account is withdrawn
            roles         jsonb       not null,
            status        text        not null,  -- active | withdrawn
            registered_at timestamptz not null,
            updated_at    timestamptz not null
        );

        -- An account's profiles are written anew as a whole, and so are its devices: they go with the account.
        create table identity_profiles (
            record_id      bigint generated always as identity primary key,
            account_id     text        not null,
            profile_id     text        not null,
            name           text        not null,  -- sealed
            avatar         text,
            language       text        not null,
            kids           boolean     not null,
            maturity_limit bigint,
            has_pin        boolean     not null,
            preferences    jsonb       not null,
            created_at     timestamptz not null
        );
        create index identity_profiles_of_account on identity_profiles (account_id);

        create table identity_devices (
            record_id         bigint generated always as identity primary key,
            account_id        text        not null,
            device_id         text        not null,
            name              text        not null,  -- sealed
            type              text        not null,
            platform          text,
            model             text,
            registered_at     timestamptz not null,
            last_signed_in_at timestamptz
        );
        create index identity_devices_of_account on identity_devices (account_id);

        create table identity_sign_ins (
            sign_in_id   text        primary key,
            account_id   text        not null,
            device_id    text        not null,
            method       text        not null,  -- password | registration | device_code
            signed_in_at timestamptz not null,
            ended_at     timestamptz,
            end_reason   text
        );
        create index identity_sign_ins_of_account
            on identity_sign_ins (account_id, signed_in_at desc, sign_in_id desc);

        create table identity_api_keys (
            api_key_id text        primary key,
            name       text        not null,
            scopes     jsonb       not null,
            issued_at  timestamptz not null,
            issued_by  text,
            expires_at timestamptz,
            revoked_at timestamptz
        );
        create index identity_api_keys_by_age on identity_api_keys (issued_at desc, api_key_id desc);

        create table operations_staff_actions (
            event_id       text        primary key,
            at             timestamptz not null,
            principal      text        not null,
            client_address text        not null,
            type           text        not null,
            stream_id      text        not null,
            version        bigint      not null,
            correlation_id text,
            change         text,                  -- JSON {before, after}, on the last event of a command
            data           text        not null   -- JSON, as it stands in the log
        );
        create index operations_staff_actions_by_age on operations_staff_actions (at desc, event_id desc);
        create index operations_staff_actions_of_principal
            on operations_staff_actions (principal, at desc, event_id desc);
        create index operations_staff_actions_of_stream
            on operations_staff_actions (stream_id, at desc, event_id desc);
        create index operations_staff_actions_of_type on operations_staff_actions (type, at desc, event_id desc);
    """)
