"""The methods of TaskService: message in, use case, message out."""

from backroom.tasks.v1 import task_service_pb2_grpc
from server.tasks.servicer.base import UseCases
from server.tasks.servicer.following import FollowingMethods
from server.tasks.servicer.notes import NoteMethods
from server.tasks.servicer.own import OwnMethods
from server.tasks.servicer.projects import ProjectMethods
from server.tasks.servicer.tasks import TaskMethods

__all__ = ["TaskServicer", "UseCases"]


class TaskServicer(
    ProjectMethods, TaskMethods, FollowingMethods, NoteMethods, OwnMethods, task_service_pb2_grpc.TaskServiceServicer
):
    """All methods of the service."""
