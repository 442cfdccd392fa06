"""What can go wrong, in words for the person at the terminal.

A bad picture is no error: it is a row with a status (see ``schema.Reason``). These exceptions are for
what stops a command: a wrong setting, a broken dataset, a missing file.
"""


class OmokageError(Exception):
    """A failure that a person can act on; its text says what was wrong, where, and what to do."""


class ConfigError(OmokageError):
    """A setting that no worker could run with."""


class DatasetError(OmokageError):
    """A dataset that cannot be read, or not be written to by this command."""


class SourceError(OmokageError):
    """A source of pictures that is missing, empty, or misplaced."""


class StorageError(OmokageError):
    """Storage behind a URL that cannot be reached, or that refuses us."""


class WeightsError(OmokageError):
    """A model file that cannot be had, or is not the file that it claims to be."""


class WorkError(OmokageError):
    """Work that could not go on: a full disk, a lost machine."""


class SystemLibraryError(OmokageError):
    """A shared library of the operating system is missing."""
