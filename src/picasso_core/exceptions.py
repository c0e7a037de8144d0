"""What a processor may raise: each class says whose fault it is and who reads the message.

PicassoError
└── ProcessorError          do not raise directly
    ├── InvalidFile         the file is at fault: permanent, the uploader reads the message
    ├── Declined            nobody is at fault: this file is not for this processor after all
    ├── TemporaryFailure    the world is at fault: tried again later
    └── MissingDependency   this installation is at fault: the operator reads the message

Any other exception is a bug in the processor: the uploader is told that it crashed, the traceback goes to the operator.
"""


class PicassoError(Exception):
    """The root of every exception that Picasso defines."""


class ProcessorError(PicassoError):
    """An end of ``process()`` that the processor chose. Raise one of the subclasses."""

    code = "processor_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidFile(ProcessorError):
    """The file is damaged, encrypted or beyond a limit; ``message`` is shown to whoever uploaded it."""

    code = "invalid_file"


class Declined(ProcessorError):
    """The file turned out not to be this processor's business; counts neither for nor against the file."""

    code = "declined"


class TemporaryFailure(ProcessorError):
    """Something outside the file and the processor is away; Picasso tries again with growing pauses, up to a day."""

    code = "temporary_failure"


class MissingDependency(ProcessorError):
    """A program, model or library that the processor needs is not installed; its jobs wait until it is."""

    code = "missing_dependency"
