"""The answers of webhooks that are kept for repeated requests; none of them holds a secret or a body."""

from server.frame.answers import AnswerKind
from server.webhooks.rules.endpoints import Rotation
from storage.webhooks.records import Delivery, Endpoint

ENDPOINT = AnswerKind("webhooks.endpoint", Endpoint)
ROTATION = AnswerKind("webhooks.rotation", Rotation)
DELIVERY = AnswerKind("webhooks.delivery", Delivery)
