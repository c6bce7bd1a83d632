"""What can go wrong through no fault of nstyle's: every message is one line that names the cause and the way out.

Anything else that is raised is a bug of nstyle's, and shows its traceback.
"""


class NStyleError(Exception):
    """Base of all errors that a user can cause and mend."""


class OptionError(NStyleError, ValueError):
    """A setting has a value that makes no sense. The command exits with 2."""


class ImageError(NStyleError):
    """A picture cannot be read or is unfit to be painted."""


class WeightsError(NStyleError):
    """A file of network weights cannot be read, or does not hold a VGG-19."""


class DeviceError(NStyleError):
    """The chosen device is not there, or has too little memory."""


class ClusterError(NStyleError):
    """There is nobody to send pictures to."""


class OutputError(NStyleError):
    """A result cannot be written."""


class RecordError(NStyleError):
    """A folder holds no run that could be looked at."""


class DivergenceError(NStyleError):
    """The descent left the range of pictures: its numbers are no longer finite, or absurdly large."""


class RecipeError(NStyleError):
    """A recipe, or the saved state of an earlier run, is missing, damaged, or not of this run."""
