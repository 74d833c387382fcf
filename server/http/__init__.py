"""The small HTTP side: what probes, scrapers and verifiers of tokens ask for."""
