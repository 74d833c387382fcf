from fastapi import APIRouter

from bench.peers.usual.dependencies import FlagEvaluator, Flags
from bench.peers.usual.schemas import BooleanOut, EvaluationIn

router = APIRouter(prefix="/flags", tags=["flags"])


@router.post("/{key}/boolean")
async def evaluate_boolean(key: str, asked: EvaluationIn, _caller: FlagEvaluator, flags: Flags) -> BooleanOut:
    return flags.boolean(key, asked)
