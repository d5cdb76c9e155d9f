"""Mail by SMTP (RFC 5321), encrypted by STARTTLS unless the settings say otherwise."""

from typing import Final

import aiosmtplib

from infra.mail.mailer import Letter, MailNotSent, MailRefused, message_of
from infra.settings import Settings

FOR_GOOD: Final = range(500, 600)
IMPLICIT_TLS_PORT: Final = 465
"""RFC 8314: there TLS comes first."""
ENHANCED_AUTHENTICATION: Final = (530, 534, 535, 538)
"""RFC 4954: ours to mend, so the letter waits."""


class SmtpMailer:
    """Hands letters to a mail server, a connection each."""

    def __init__(self, settings: Settings) -> None:
        assert settings.smtp_host is not None
        self._host = settings.smtp_host
        self._settings = settings

    async def send(self, letter: Letter, *, letter_id: str) -> None:
        """Raises MailNotSent, MailRefused."""
        settings = self._settings
        implicit = settings.smtp_port == IMPLICIT_TLS_PORT
        try:
            await aiosmtplib.send(
                message_of(letter, letter_id=letter_id, sender=settings.mail_from),
                hostname=self._host,
                port=settings.smtp_port,
                use_tls=implicit,
                start_tls=settings.smtp_starttls and not implicit,
                cert_bundle=str(settings.smtp_ca_file) if settings.smtp_ca_file else None,
                username=settings.smtp_username,
                password=self._password(),
                timeout=settings.mail_timeout_s,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _unsent(max(refused.code for refused in error.recipients)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _unsent(error.code) from None
        except ValueError as error:  # a header that cannot be written, or an address that the server cannot read
            raise MailRefused(f"the letter cannot be written as mail: {type(error).__name__}") from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailNotSent(f"the mail server does not answer: {type(error).__name__}") from None

    def _password(self) -> str | None:
        file = self._settings.smtp_password_file
        return file.read_text().strip() if file else None


def _unsent(code: int) -> MailNotSent:
    # What servers say is left out: they like to repeat the address.
    if code in FOR_GOOD and code not in ENHANCED_AUTHENTICATION:
        return MailRefused(f"the mail server refused the letter with {code}")
    return MailNotSent(f"the mail server answered {code}")
