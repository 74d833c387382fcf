from datetime import datetime

from backroom.identity.v1 import access_service_pb2
from server.frame.wire import time_of


def expire_time(request: access_service_pb2.CreateKeyRequest) -> datetime | None:
    """When a key is to end; None for one that does not end by itself. Raises FieldInvalid."""
    return time_of(request.expire_time, "expire_time") if request.HasField("expire_time") else None
