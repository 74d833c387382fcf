"""The systems whose evaluation of flags is compared: each answers the bench's people as flagd's library does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from bench.flags import configuration, people
from bench.measurements.flag_sides import Evaluator, echoed_flags, expect, our_flags, usual_flags
from bench.peers.serving import usual
from bench.peers.usual.issuing import TokenIssuer
from bench.setting import Bench
from load.order_requests import Unexpected
from storage.embedded import temporary_postgres
from storage.url import sibling

pytestmark = pytest.mark.proof

FLAGS, CALLERS = 3, 20


@pytest.fixture
async def client(postgres: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of the usual stack who may evaluate flags."""
    name, issuer, path = f"usual_{uuid4().hex}", TokenIssuer(), tmp_path / "flags.json"
    path.write_text(configuration(FLAGS))
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            with usual(sibling(postgres, name), "orm", issuer.public_key, path) as served:
                token = issuer.token(uuid4(), ["flags.evaluate"])
                async with httpx.AsyncClient(
                    base_url=f"http://{served.address}", headers={"Authorization": f"Bearer {token}"}, timeout=20
                ) as opened:
                    yield opened
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_people_pass_all_three_rules_and_get_both_variants() -> None:
    """Of the third rule, a share of them; each flag has its turn, and shares are independent of one another."""
    found = people(FLAGS, 3000)
    by_share = [each for each in found if each.context["plan"] == "free"]
    assert {each.flag_key for each in found} == {"checkout-0", "checkout-1", "checkout-2"}
    assert all(each.value for each in found if each.context["plan"] == "enterprise")
    early = [each for each in found if each.context["plan"] == "team" and each.context["country"] in ("DE", "FR")]
    assert early
    assert not any(each.value for each in early)
    assert 0.25 < sum(each.value for each in by_share) / len(by_share) < 0.35


def test_an_answer_other_than_the_librarys_is_not_taken() -> None:
    """The value and the variant have to be right."""
    (person, *_) = people(1, 1)
    expect(person, person.value, "on")
    for value, variant in ((not person.value, "on"), (person.value, "off"), (not person.value, "off")):
        with pytest.raises(Unexpected, match="checkout-0"):
            expect(person, value, variant)


async def test_the_usual_stack_evaluates_and_refuses(client: httpx.AsyncClient) -> None:
    """With the variant and the reason; an unknown flag is 404, and who may not evaluate gets nothing."""
    who = {"context": {"targetingKey": "ada", "plan": "enterprise"}}
    found = await client.post("/flags/checkout-1/boolean", json=who)
    assert (found.status_code, found.json()) == (
        200,
        {"key": "checkout-1", "value": True, "variant": "on", "reason": "TARGETING_MATCH", "metadata": {}},
    )
    unknown = await client.post("/flags/nothing/boolean", json=who)
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "FLAG_NOT_FOUND")
    forged = {"Authorization": f"Bearer {TokenIssuer().token(uuid4(), ['flags.evaluate'])}"}
    assert (await client.post("/flags/checkout-1/boolean", json=who, headers=forged)).status_code == 401


async def test_each_compared_system_answers_the_benchs_people() -> None:
    """Every answer is checked by the call itself, on whichever connection its caller has."""
    with temporary_postgres() as url:
        bench = Bench(url, long=False, say=lambda _: None)
        async with (
            our_flags(bench, "ours", FLAGS) as ours,
            usual_flags(bench, "usual", FLAGS) as stack,
            echoed_flags(FLAGS) as echo,
        ):
            for evaluator in (ours, stack, echo):
                await _called(evaluator)


async def _called(evaluator: Evaluator) -> None:
    for _ in range(5):
        await asyncio.gather(*(evaluator.evaluate(caller) for caller in range(CALLERS)))
