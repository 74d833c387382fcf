from typing import Any


def audit_anchor(request: Any) -> Any:
    raise NotImplementedError


def audit_event(event: Any) -> Any:
    raise NotImplementedError


def audit_filter(request: Any) -> Any:
    raise NotImplementedError


def audit_limit(request: Any) -> int:
    raise NotImplementedError


def audit_verification(found: Any) -> Any:
    raise NotImplementedError
