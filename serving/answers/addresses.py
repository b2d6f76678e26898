"""Addresses that others send, taken apart: what is none is None, never an error of ours."""

from urllib.parse import SplitResult, urlsplit


def parts_of(address: str) -> SplitResult | None:
    """Return the parts of an address; None for what is none, such as ``//[``, or can't be written in UTF-8."""
    try:
        address.encode()
        return urlsplit(address)
    except ValueError:
        return None
