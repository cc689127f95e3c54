"""What is wrong with a user's file, in words."""

from pydantic import ValidationError


def first_fault(error: ValidationError) -> str:
    """Word the first fault that pydantic found in a file: where it is and what is wrong."""
    found = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}" if place else found["msg"]
