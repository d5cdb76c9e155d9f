"""How the handle lane's commands answer."""

from pydantic import BaseModel, ConfigDict

from commands.handling import Outcome


class Recorded(BaseModel):
    """What a command did. `events` is empty when it was so already."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "019aa3c2-7d1e-7c3a-9a52-0c2f3f1f6f10", "version": 1, "events": ["TitlePublished"]},
            ]
        }
    )

    id: str
    version: int
    events: list[str]

    @classmethod
    def of(cls, outcome: Outcome) -> "Recorded":
        """The reply for an outcome."""
        return cls(id=outcome.subject, version=outcome.version, events=list(outcome.recorded))


class Accepted(BaseModel):
    """A request that was taken, and how it ends is told elsewhere: the same for everybody, so that it tells nothing."""

    detail: str = "what happens next is in the mail"
