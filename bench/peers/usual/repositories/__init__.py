"""The store, twice: by the ORM and by Core, behind one port."""
