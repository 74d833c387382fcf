"""Thumbnails of good images, and of hostile ones."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO

import pytest
from PIL import Image

from server.files.thumbnails import NoThumbnail, ThumbnailMaker
from server.files.thumbnails.work import Ending
from tests.files.images import HOSTILE, drawn, turned


@asynccontextmanager
async def making() -> AsyncIterator[ThumbnailMaker]:
    opened = ThumbnailMaker()
    try:
        yield opened
    finally:
        await opened.processes.close()


@pytest.fixture(scope="module")
async def thumbnails() -> AsyncIterator[ThumbnailMaker]:
    """Of several tests: to start a process costs much more than to make a thumbnail."""
    async with making() as opened:
        yield opened


@pytest.fixture
async def new_thumbnails() -> AsyncIterator[ThumbnailMaker]:
    """Whose processes are the test's own."""
    async with making() as opened:
        yield opened


def given(content: bytes) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return content

    return read


async def ending(thumbnails: ThumbnailMaker, content: bytes, edge: int = 32) -> Ending:
    """How an image ends; a thumbnail is checked to be one."""
    try:
        made = await thumbnails.make(given(content), edge)
    except NoThumbnail as nothing:
        return nothing.why
    with Image.open(BytesIO(made.webp)) as image:
        assert (image.format, image.size) == ("WEBP", (made.width, made.height))
        assert max(image.size) <= edge
    return Ending.MADE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("edge", [16, 40, 4096])
async def test_an_image_becomes_a_webp_that_is_no_larger(thumbnails: ThumbnailMaker, kind: str, edge: int) -> None:
    made = await thumbnails.make(given(drawn(kind, 64, 48)), edge)
    longest = min(edge, 64)
    assert (made.width, made.height) == (longest, longest * 3 // 4)
    with Image.open(BytesIO(made.webp)) as image:
        red, green, blue = image.convert("RGB").getpixel((2, longest // 3))  # type: ignore[misc]  # three colors
        assert red > 200, (red, green, blue)
        assert max(green, blue) < 60, (red, green, blue)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK", "LA"])
async def test_every_kind_of_color_is_shown(thumbnails: ThumbnailMaker, mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert await ending(thumbnails, drawn(kind, 300, 200, mode=mode)) is Ending.MADE


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_an_image_is_upright_and_says_nothing_of_where_it_was_taken(
    thumbnails: ThumbnailMaker, orientation: int
) -> None:
    made = await thumbnails.make(given(turned(orientation)), 32)
    assert (made.width < made.height) == (orientation >= 5)
    with Image.open(BytesIO(made.webp)) as image:
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp"} & {*image.info}
        # Which side is red says how it was turned.
        places = {"left": (2, 12), "right": (29, 12)} if orientation < 5 else {"top": (12, 2), "bottom": (12, 29)}
        red = [name for name, place in places.items() if image.convert("RGB").getpixel(place)[0] > 128]  # type: ignore[index]
    assert red == [
        {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}[orientation]
    ]
    assert b"photographer" not in made.webp


def test_there_are_fifty_hostile_images() -> None:
    assert len({name for name, _, _ in HOSTILE}) == len(HOSTILE) >= 50


@pytest.mark.slow
@pytest.mark.long
async def test_each_hostile_image_ends_as_it_is_said_to_and_the_process_lives(new_thumbnails: ThumbnailMaker) -> None:
    """One process takes them all, but where it must be ended; a good image is shown after each."""
    good = drawn("PNG")
    wrong = []
    for name, draw, expected in HOSTILE:
        found = await ending(new_thumbnails, draw())
        if found is not expected:
            wrong.append((name, found))
        assert await ending(new_thumbnails, good) is Ending.MADE, name
    assert not wrong


async def test_few_images_are_in_memory_however_many_wait(thumbnails: ThumbnailMaker) -> None:
    """Each may have 32 MiB: one is read once a process is free for it."""
    image, held, most = drawn("PNG", 300, 200), 0, 0

    async def shown() -> None:
        nonlocal held

        async def read() -> bytes:
            nonlocal held, most
            held += 1
            most = max(most, held)
            return image

        await thumbnails.make(read, 32)
        held -= 1

    await asyncio.gather(*(shown() for _ in range(20)))
    assert (held, most) == (0, 2)


async def test_a_process_that_is_killed_is_replaced(new_thumbnails: ThumbnailMaker) -> None:
    good = drawn("PNG")
    assert await ending(new_thumbnails, good) is Ending.MADE
    (idle,) = new_thumbnails.processes._idle
    os.kill(idle.pid, signal.SIGKILL)
    assert await ending(new_thumbnails, good) is Ending.MADE
    assert [each.pid for each in new_thumbnails.processes._idle] != [idle.pid]


async def test_many_at_once_wait_for_two_processes(new_thumbnails: ThumbnailMaker) -> None:
    made = await asyncio.gather(*(ending(new_thumbnails, drawn("JPEG", 400, 300)) for _ in range(20)))
    assert {*made} == {Ending.MADE}
    assert len(new_thumbnails.processes._idle) <= 2
