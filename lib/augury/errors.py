"""One exception type for each kind of mistake a user can mend."""


class AuguryError(Exception):
    """Root of every error that augury raises on purpose; the message names the thing and the remedy."""


class DataError(AuguryError):
    """A data file is damaged, unverified or could not be fetched."""


class MissingDataError(DataError):
    """A data set is not at hand and could not be obtained; whatever needs it is reported as not run."""


class ParameterError(AuguryError, ValueError):
    """A parameter has an unknown name or a value outside its range."""


class ModelError(AuguryError, ValueError):
    """A model cannot answer what is asked of it: not fitted, singular, wrong shape."""


class GridError(AuguryError):
    """A grid of experiments could not be completed."""


class NotebookError(AuguryError):
    """A notebook cannot be run as asked, or ended without its artefacts."""
