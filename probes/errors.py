"""What a user is told when the probes cannot do what was asked."""


class ProbeError(Exception):
    """Something the probes need is missing, or answered wrongly.

    message: what is wrong and where, in one sentence.
    cure: what to do about it, a command where there is one.
    """

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(f"{message}\n{cure}")
        self.message = message
        self.cure = cure


class CannotRunHereError(ProbeError):
    """This box, kernel or Python lacks what tracing needs (exit code 4)."""
