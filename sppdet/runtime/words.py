"""Numbers in messages: a count with its noun and its verb, and a size."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun in the singular or the plural, which ends in ``s`` by default.

    Examples:
        >>> counted(1, "image"), counted(2, "image"), counted(0, "class", "classes")
        ('1 image', '2 images', '0 classes')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def verb(number: int, one: str = "is", many: str = "are") -> str:
    """The verb of a number of things.

    Examples:
        >>> verb(1), verb(0), verb(1, "has", "have")
        ('is', 'are', 'has')
    """
    return one if number == 1 else many


def megabytes(size: int) -> str:
    """A number of bytes as messages and documents give it: a megabyte is 1,000,000 bytes.

    Examples:
        >>> megabytes(64_000_000), megabytes(1_500_000), megabytes(999)
        ('64 MB', '1.5 MB', '999 bytes')
    """
    if size < 1_000_000:
        return counted(size, "byte")
    return f"{size / 1e6:,.1f}".removesuffix(".0") + " MB"
