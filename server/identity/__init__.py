"""Identity: nobody gets in who does not belong; every change is recorded with its author."""
