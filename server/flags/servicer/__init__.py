"""The services of flags: message in, message out, no decisions."""

from server.flags.servicer.flag_sets import FlagSetServicer
from server.flags.servicer.flags import FlagServicer
from server.flags.servicer.proposals import ProposalServicer

__all__ = ["FlagServicer", "FlagSetServicer", "ProposalServicer"]
