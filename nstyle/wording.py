"""Words of messages that several folders need."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an "s" unless the number is 1: "1 epoch", "2 epochs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
