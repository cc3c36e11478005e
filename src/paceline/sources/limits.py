"""How much of a delivery is read: what lies beyond is taken for a fault or an attack."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`landing_limits` of `paceline.yml`; what is beyond one becomes an unreadable record.

    max_file_bytes: stored size of a file; a larger one is not opened.
    max_expanded_bytes: what a `.gz` file or a file of a zip archive may decompress to; the rest
        is not read.
    max_zip_members: files and folders in a zip archive; one with more is not read.
    max_zip_ratio: how many times its stored size a file of a zip archive may have.
    max_lines: lines of a file, or elements of a JSON document; the rest is not read.
    max_line_bytes: a longer line is cut, and so is a CSV record over several lines.
    max_document_bytes: a `.json` file, which is read whole; the rest is not read.
    max_header_bytes: the header line of a CSV file, which goes into each record.
    max_json_depth: objects and arrays inside each other in one record.
    """

    max_file_bytes: int = 4_000_000_000
    max_expanded_bytes: int = 4_000_000_000
    max_zip_members: int = 200_000
    max_zip_ratio: int = 250
    max_lines: int = 20_000_000
    max_line_bytes: int = 16_777_216
    max_document_bytes: int = 33_554_432
    max_header_bytes: int = 65_536
    max_json_depth: int = 100


DEFAULTS = Limits()
