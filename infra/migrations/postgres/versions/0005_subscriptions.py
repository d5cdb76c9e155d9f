"""The views of the subscription context: plans, subscriptions, what falls due, money, purchases, history."""

from infra.migrations.sql import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply it."""
    run_script("""
        create table subscription_plans (
            plan_id    text        primary key,
            version    bigint      not null,
            name       text        not null,
            prices     jsonb       not null,  -- [{period, price: {amount_minor, currency}}]
            trial_days bigint      not null,
            limits     jsonb       not null,  -- {streams, max_resolution, profiles, downloads, ads}
            on_sale    boolean     not null,
            defined_at timestamptz not null,
            revised_at timestamptz not null
        );

        create table subscriptions (
            account_id       text        primary key,
            subscription_id  text        not null,
            status           text        not null,  -- what the last event said; what it is now depends on the time
            terms            jsonb       not null,  -- the plan as it was signed up to
            scheduled_terms  jsonb       not null,  -- the plan from the next period on, or null
            time_zone        text        not null,
            started_at       timestamptz not null,
            pending_until    timestamptz,
            period_number    bigint,
            period_starts_at timestamptz,
            paid_through     timestamptz,
            grace_until      timestamptz,
            expires_at       timestamptz,
            paused_at        timestamptz,
            resumes_at       timestamptz,
            ends_at          timestamptz,           -- of a canceled one
            coupon           jsonb       not null,
            ended_reason     text,
            updated_at       timestamptz not null
        );

        -- The earliest of a stream's timers; few streams have one that is due, so the index stays small.
        create table subscription_due (
            stream_id text        primary key,
            due_at    timestamptz,
            what      text,
            timers    jsonb       not null
        ) with (fillfactor = 70);
        create index subscription_due_at on subscription_due (due_at, stream_id) where due_at is not null;

        create table subscription_invoices (
            invoice_id       text        primary key,
            account_id       text        not null,
            purchase_id      text,
            reason           text        not null,  -- first | renewal | plan_change | purchase
            status           text        not null,  -- open | paid | void
            lines            jsonb       not null,
            currency         text        not null,
            total_minor      bigint      not null,
            carried_minor    bigint      not null,
            paid_minor       bigint      not null,
            refunded_minor   bigint      not null,
            payments         jsonb       not null,  -- {charge_id: minor units}
            refunds          jsonb       not null,
            period_starts_at timestamptz,
            period_ends_at   timestamptz,
            issued_at        timestamptz not null,
            due_at           timestamptz not null,
            attempts         bigint      not null,
            retry_at         timestamptz,
            failure_code     text,
            settled_at       timestamptz,
            void_reason      text
        );
        create index subscription_invoices_of_account
            on subscription_invoices (account_id, issued_at desc, invoice_id desc);

        create table subscription_transactions (
            transaction_id text        primary key,
            account_id     text        not null,
            invoice_id     text        not null,
            kind           text        not null,  -- charge | refund
            status         text        not null,  -- pending | succeeded | failed
            currency       text,
            amount_minor   bigint,
            charge_id      text,
            code           text,
            reason         text,
            at             timestamptz not null,
            settled_at     timestamptz
        );
        create index subscription_transactions_of_account
            on subscription_transactions (account_id, at desc, transaction_id desc);

        create table subscription_purchases (
            purchase_id    text        primary key,
            account_id     text        not null,
            offer_id       text        not null,
            kind           text        not null,  -- rental | purchase | pay_per_view
            title_id       text        not null,
            title_name     text        not null,
            currency       text        not null,
            price_minor    bigint      not null,
            status         text        not null,  -- pending | granted | revoked
            purchased_at   timestamptz not null,
            access_from    timestamptz,
            start_by       timestamptz,
            started_at     timestamptz,
            access_until   timestamptz,
            revoked_reason text
        );
        create index subscription_purchases_of_account on subscription_purchases (account_id, purchase_id);

        create table subscription_history (
            event_id   text        primary key,
            account_id text        not null,
            version    bigint      not null,
            type       text        not null,
            at         timestamptz not null,
            principal  text,
            data       text        not null
        );
        create index subscription_history_of_account on subscription_history (account_id, version desc);
    """)
