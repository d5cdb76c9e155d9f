"""Which adapter an installation sends by."""

from infra.mail.files import FileMailer
from infra.mail.mailer import Mailer
from infra.mail.smtp import SmtpMailer
from infra.settings import Settings


def mailer_of(settings: Settings) -> Mailer:
    """SMTP where a server is configured, else files."""
    return SmtpMailer(settings) if settings.smtp_host else FileMailer(settings)
