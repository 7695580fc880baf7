"""Tables of text, aligned: for terminals and as Markdown."""


def aligned(cells, right=()):
    """Aligns a table for a terminal.

    Args:
        cells: Rows of strings, all of the same length, the header among them.
        right: Numbers of the columns that are aligned to the right, as figures are.

    Returns:
        One string per row, columns two spaces apart, without spaces at the end.
    """
    return ["  ".join(row).rstrip() for row in _padded(cells, right)]


def markdown(cells):
    """Makes a Markdown table that can be read as it is, too.

    Args:
        cells: Rows of strings, all of the same length, the header first.

    Returns:
        One string per line.
    """
    lines = ["| " + " | ".join(row) + " |" for row in _padded(cells)]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in _widths(cells)) + "|")
    return lines


def _widths(cells):
    return [max(map(len, column)) for column in zip(*cells, strict=True)]


def _padded(cells, right=()):
    widths = _widths(cells)
    for row in cells:
        yield [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
