"""Why a webhook is refused, besides what infra/payments says of its signature and shape."""

from events.refusals import Refusal


class PaymentNotRecorded(Refusal):
    """The news was understood and could not be recorded: the provider keeps it and sends it again."""
