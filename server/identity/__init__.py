"""Identity: nobody gets in who does not belong."""
