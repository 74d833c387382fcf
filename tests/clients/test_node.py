"""TypeScript by Connect, and JavaScript by proto-loader: each places an order and reads a refusal."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import contract, said
from tests.commerce.goods import stocked
from tests.fixtures.servers import Api, Running

pytestmark = pytest.mark.clients

WRONG_ID = "order_id: must be a valid UUID"


async def ran(node: Path, *program: str, server: Running, api: Api, **environment: str) -> Any:
    address = server.address
    settings = {"BACKROOM_URL": f"http://{address}", "BACKROOM_ADDRESS": address, "BACKROOM_TOKEN": api.token or ""}
    return json.loads(await said(shutil.which("node") or "node", *program, cwd=node, **settings, **environment))


async def test_typescript_is_generated_type_checked_and_places_orders(
    server: Running, service: Api, clone: Path, node: Path
) -> None:
    """With the example's own buf.gen.yaml, from the image alone."""
    await stocked(service, "TEA", 10)
    template = clone / "proto" / "examples" / "buf.gen.typescript.yaml"
    path = f"{node / 'node_modules' / '.bin'}:{Path(shutil.which('node') or 'node').parent}"
    with contract.buf() as buf:
        image = clone / "dist" / "backroom.binpb"
        await said(buf, "generate", image, "--template", template, cwd=node, PATH=path)
    await said(node / "node_modules" / ".bin" / "tsc", cwd=node)
    answer = await ran(node, "built/connect.js", server=server, api=service)
    assert answer == {
        "reference": "connect",
        "state": "PENDING",
        "units": "5",
        "outcomes": ["order", "refusal"],
        "refused": {"code": "InvalidArgument", "message": WRONG_ID, "reason": "FIELD_INVALID"},
    }


async def test_proto_loader_places_orders_from_the_sources_and_from_the_image(
    server: Running, service: Api, clone: Path, node: Path
) -> None:
    """Without generated code."""
    await stocked(service, "TEA", 10)
    places = {"BACKROOM_PROTO": str(clone / "proto"), "BACKROOM_IMAGE": str(clone / "dist" / "backroom.binpb")}
    answers = await ran(node, "proto_loader.cjs", server=server, api=service, **places)
    refused = {"code": "INVALID_ARGUMENT", "message": WRONG_ID}
    assert answers == [
        {"reference": each, "state": "ORDER_STATE_PENDING", "units": "5", "refused": refused}
        for each in ("sources", "image")
    ]
