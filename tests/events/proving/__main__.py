"""Sends events while the server is killed, and prints whether those that were acknowledged are stored, each once.

It exits with code 1 where they are not.
"""

import argparse
import asyncio
import sys
import time

import migrations
from storage.embedded import temporary_postgres
from tests.events.proving.sending import send_and_kill, stored


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.events.proving", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", action="store_true", help="serve with the defect that must be found")
    given = parser.parse_args()
    program = "tests.events.proving.planted" if given.planted else "server"
    began = time.monotonic()
    with temporary_postgres(durable=True) as url:
        migrations.upgrade(url)
        book = asyncio.run(send_and_kill(url, given.events, given.kills, seed=given.seed, program=program))
        rows = stored(url)
        problems = book.problems(rows)
    print(
        f"{given.events:,} events sent, {len(book.known):,} of them different, {len(rows):,} stored,"
        f" {given.kills} kills, {time.monotonic() - began:.0f} s: {len(problems):,} problems"
    )
    for problem in problems[:20]:
        print(f"  {problem}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
