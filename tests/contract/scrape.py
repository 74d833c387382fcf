"""The metrics as Prometheus reads them."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.fixtures.http import plain_client
from tests.fixtures.servers import Running


@dataclass(frozen=True)
class Scrape:
    """The samples of one GET /metrics."""

    samples: tuple[Sample, ...]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of a metric's values that have these labels."""
        return sum(each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items())

    def labels_of(self, label: str) -> set[str]:
        """All values of a label."""
        return {each.labels[label] for each in self.samples if label in each.labels}


async def scraped(server: Running) -> Scrape:
    await server.idle()
    async with plain_client() as client:
        answer = await client.get(f"{server.http}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return Scrape(tuple(sample for family in families for sample in family.samples))
