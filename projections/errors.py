"""What can go wrong around a fold, as the engine tells it apart: wait, isolate, place anew, or end the process."""


class ProjectionError(Exception):
    """Base of what projections raise themselves."""


class StoreUnavailable(ProjectionError):
    """The store, or Kafka, cannot be reached or cannot answer now: the same work is tried again until it can."""


class RecordRefused(ProjectionError):
    """The store refuses the data of some record in a batch: the batch is divided until that record is alone.

    `view`: the one whose row it refused.
    """

    def __init__(self, view: str, detail: str) -> None:
        super().__init__(f"{view}: {detail}")
        self.view = view
        self.detail = detail


class StoreEmptied(ProjectionError):
    """Checkpoints that were there are gone: the store was emptied, and the views begin anew."""


class LogBehindStore(ProjectionError):
    """Kafka ends before what the store has applied: it lost records, or is another Kafka. Ends the process, since
    whatever it holds at those offsets now would be taken for applied.
    """
