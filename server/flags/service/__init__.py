"""The use cases of flags; each public method is one transaction, or none where it asks what is in memory."""

from server.flags.service.changing import Changing
from server.flags.service.proposals import Proposals
from server.flags.service.purging import Purging
from server.flags.service.reading import Flags
from server.flags.service.scheduling import Schedules
from server.flags.service.trying import Trying

__all__ = ["Changing", "Flags", "Proposals", "Purging", "Schedules", "Trying"]
