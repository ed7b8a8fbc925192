"""The package's errors. Each message is one line: what was wrong, with what input, and what to do."""


class ReliableSwapError(ValueError):
    """An error that the caller can correct; the command line prints it without a traceback."""


class PictureError(ReliableSwapError):
    """A file or array that can't be read or written as a picture."""


class ClipError(ReliableSwapError):
    """A clip that can't be read, written or continued."""


class NoFaceError(ReliableSwapError):
    """A picture without the face that was asked for."""


class WeightsError(ReliableSwapError):
    """Weights that are missing, do not fit the network, or do not belong together."""


class RefusedError(ReliableSwapError):
    """A swap that the safeguards refuse, or that they could not check; docs/safety.md says what is refused."""
