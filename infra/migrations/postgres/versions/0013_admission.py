"""What StartPlayback decides from: windows, subscriptions and purchases, read in the commands' role (ADR 15)."""

from infra.migrations.privileges import grant
from infra.migrations.sql import run_script

revision = "0013"
down_revision = "0012"

COMMANDS = "playhead_commands"
READ = "select"

# What an account owns is found by what it is of.
SCRIPT = f"""
drop index subscription_purchases_of_account;
create index subscription_purchases_of_account on subscription_purchases (account_id, purchase_id) include (title_id);

create policy subscription_purchases_of_commands on subscription_purchases for select to {COMMANDS} using (true);
"""


def upgrade() -> None:
    """Apply it."""
    grant(COMMANDS, {"catalog_windows": READ, "subscription_purchases": READ, "projection_checkpoint": READ})
    run_script(SCRIPT)
