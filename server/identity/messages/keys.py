from datetime import datetime

from backroom.identity.v1 import access_service_pb2


def expire_time(request: access_service_pb2.CreateKeyRequest) -> datetime | None:
    """When a key is to end; None for one that does not end by itself."""
    raise NotImplementedError
