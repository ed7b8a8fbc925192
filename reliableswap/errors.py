"""The package's errors: each message is one line that says what was wrong, with what input, and what to do."""


class ReliableSwapError(ValueError):
    """Anything the caller can put right; the command line prints it without a traceback."""


class PictureError(ReliableSwapError):
    """A file or array that can't be read or written as a picture."""


class NoFaceError(ReliableSwapError):
    """A picture without the face that was asked for."""


class WeightsError(ReliableSwapError):
    """Weights that are missing, do not fit, or do not belong together."""
