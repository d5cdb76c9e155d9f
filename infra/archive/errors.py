"""What can be wrong with an archive."""


class ArchiveAway(OSError):
    """The store of the archive does not answer, or takes nothing now: to be tried again."""


class ArchiveDamaged(Exception):
    """A file is not what the manifest says of it. The message names the file and what is wrong."""

    def __init__(self, path: str, wrong: str) -> None:
        super().__init__(f"{path}: {wrong}")
        self.path = path
        self.wrong = wrong
