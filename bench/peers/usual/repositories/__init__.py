"""The store, twice: with the ORM and with Core, behind one interface."""
