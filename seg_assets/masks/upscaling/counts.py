"""Places where columns enter and leave a mask, written as COCO's compressed counts, in Numba."""

from numba import njit


@njit(nogil=True)
def _write_counts(ends, out, at):
    """Write runs, given by their ends, as COCO does; returns where the text ends.

    From the fourth on, a run is the difference to the run of the same kind before it. Numbers have
    5 bits a character, lowest first; the sixth says that more follow.
    """
    for i in range(len(ends)):
        value = ends[i] - ends[i - 1] if i > 0 else ends[0]
        if i > 2:
            value -= ends[i - 2] - (ends[i - 3] if i > 3 else ends[0])
        more = True
        while more:
            digit = value & 31
            value >>= 5
            more = value != (-1 if digit & 16 else 0)
            out[at] = digit + (32 if more else 0) + 48
            at += 1
    return at


@njit(nogil=True)
def write_run_lengths(work, left, right, height, width, row_offset, column_offset, out, at):
    """Write a traced mask's run lengths as COCO's compressed counts.

    Args:
        work: Buffers with the toggles.
        left: First column with toggles, as `trace` returns it.
        right: Last column with toggles.
        height: Rows of the image.
        width: Columns of the image.
        row_offset: Row of the image in which the traced frame begins.
        column_offset: Column of the image in which it begins.
        out: Where to write, uint8; needs 7 bytes per toggle and 14 more.
        at: Where in it to begin.

    Returns:
        Where in `out` the counts end, and first and last column and row of the mask in the image.
    """
    x0, y0, x1, y1 = width, height, 0, 0  # in the traced frame
    places = work.places
    count = begin = 0
    for x in range(left, right + 1):
        stop = work.starts[x]
        for i in range(begin, stop):
            place = (x + column_offset) * height + work.sorted_rows[i] + row_offset
            if count > 0 and places[count - 1] == place:
                count -= 1  # one column ends in the mask and the next one begins in it
            else:
                places[count] = place
                count += 1
        if stop > begin:
            x0, x1 = min(x0, x), x
            y0, y1 = min(y0, work.sorted_rows[begin]), max(y1, work.sorted_rows[stop - 1] - 1)
        begin = stop
    if count == 0 or places[count - 1] < width * height:
        places[count] = width * height
        count += 1
    at = _write_counts(places[:count], out, at)
    return at, x0 + column_offset, y0 + row_offset, x1 + column_offset, y1 + row_offset
