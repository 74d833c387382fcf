"""All that flagd's clients call, as the services of this module."""

from collections.abc import Sequence
from dataclasses import replace

from flagd.evaluation.v1 import evaluation_service_pb2 as v1
from flagd.evaluation.v1 import evaluation_service_pb2_grpc as v1_grpc
from flagd.evaluation.v2 import evaluation_service_pb2 as v2
from flagd.evaluation.v2 import evaluation_service_pb2_grpc as v2_grpc
from flagd.sync.v1 import sync_service_pb2, sync_service_pb2_grpc
from server.flags.service.changes import Changes
from server.flags.service.counting import Counting
from server.flags.service.evaluations import Evaluations
from server.flags.service.following import CurrentFlags
from server.flags.service.syncing import FlagSetTexts
from server.flags.servicer.evaluation import EvaluationServicer, EvaluationV1Servicer
from server.flags.servicer.sync import SyncServicer
from server.frame.addresses import Network
from server.frame.module import Clock, Service


def flagd_services(
    current: CurrentFlags, counting: Counting, now: Clock, open_to: tuple[Network, ...]
) -> Sequence[Service]:
    """They answer whenever there is a snapshot, and to these networks without a token."""
    evaluations, changes = Evaluations(current, counting), Changes(current, now)
    services = (
        Service(v2, v2_grpc, EvaluationServicer(evaluations, changes)),
        Service(v1, v1_grpc, EvaluationV1Servicer(evaluations, changes)),
        Service(sync_service_pb2, sync_service_pb2_grpc, SyncServicer(FlagSetTexts(current))),
    )
    return [replace(each, open_to=open_to, goes_on=lambda: current.loaded) for each in services]
