"""The base of every domain exception: a refusal that its sender can act on."""

from collections.abc import Mapping


class Refusal(Exception):
    """A request refused: `detail` says what, where and what to do.

    `members` are extra members of the problem document that it becomes, `headers` go on the reply.
    """

    def __init__(
        self,
        detail: str,
        *,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = dict(members or {})
        self.headers = dict(headers or {})
