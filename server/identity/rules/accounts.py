def normal_email(email: str) -> str:
    """The one form that an address is known by."""
    return email.strip().lower()
