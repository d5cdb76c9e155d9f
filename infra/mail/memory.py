"""Mail that stays in this process, for tests."""

from infra.mail.mailer import Letter, MailNotSent


class MemoryMailer:
    """Keeps letters by their id. `trouble`: raised instead, by as many sends as there are entries."""

    def __init__(self) -> None:
        self.sent: dict[str, Letter] = {}
        self.times_sent = 0
        self.trouble: list[MailNotSent] = []

    async def send(self, letter: Letter, *, letter_id: str) -> None:
        """Raises the next trouble."""
        if self.trouble:
            raise self.trouble.pop(0)
        self.sent[letter_id] = letter
        self.times_sent += 1
