"""How old what a projection has not applied is: reads from Kafka one record of each partition that is asked for."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from aiokafka.structs import ConsumerRecord, TopicPartition

from infra.settings import Settings
from infra.view_lag import Ends

POLL_MS = 200


class Unapplied(Ends):
    """Ends of topics, and when Kafka got single records. Use as a context; one call at a time."""

    def __init__(self, settings: Settings, *, within_s: float) -> None:
        super().__init__(settings)
        self._within_s = within_s

    async def taken_at(self, offsets: Mapping[tuple[str, int], int]) -> Mapping[tuple[str, int], datetime]:
        """When Kafka got the first record at or after an offset, by topic and partition; those that it did not give
        in time are left out. Raises KafkaError.
        """
        places = {TopicPartition(*place): offset for place, offset in offsets.items()}
        found: dict[tuple[str, int], datetime] = {}
        if not places:
            return found
        self._consumer.assign(list(places))
        try:
            for place, offset in places.items():
                self._consumer.seek(place, offset)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._within_s):
                    while waiting := [place for place in places if place not in found]:
                        self._note(found, await self._consumer.getmany(*waiting, timeout_ms=POLL_MS))
        finally:
            self._consumer.unsubscribe()
        return found

    def _note(
        self,
        found: dict[tuple[str, int], datetime],
        fetched: Mapping[TopicPartition, list["ConsumerRecord[bytes, bytes]"]],
    ) -> None:
        for place, records in fetched.items():
            found[place] = datetime.fromtimestamp(records[0].timestamp / 1000, UTC)
            self._consumer.pause(place)
