"""Why a worker must let go of a job: not errors of the work, so no part of the tree of errors."""


class Stop(Exception):
    """Leave the job as it is: whoever raised this knows what happens to it next."""


class Lost(Stop):
    """Another worker has the job by now; whatever this one would write is thrown away."""


class Cancelled(Stop):
    """Somebody cancelled the job."""


class HandBack(Stop):
    """The worker is being stopped; the job goes back into the line."""
