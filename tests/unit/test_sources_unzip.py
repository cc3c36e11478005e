"""Which file of a zip archive is read, and what becomes of hostile archives."""

import io
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Mapping

import pytest

from paceline.sources.gunzip import Damaged
from paceline.sources.limits import Limits
from paceline.sources.record import lines
from paceline.sources.unzip import UnusableZip, unzipped

NAME = "activities.csv"
TEXT = b"Activity ID,x\n1,a\n2,b\n"
DAMAGED = "is a damaged or incomplete zip archive: fetch it again"


def archive(
    members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", method) as packed:
        packed.comment = comment
        for name, content in members.items():
            packed.writestr(name, content)
    return stored.getvalue()


def content_of(packed: bytes, limits: Limits | None = None) -> bytes:
    stream = unzipped(io.BytesIO(packed), NAME, limits or Limits())
    return b"".join(iter(lambda: stream.read(1), b""))


def refusal(packed: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(UnusableZip) as refused:
        unzipped(io.BytesIO(packed), NAME, limits or Limits())
    return str(refused.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "members",
    [
        {NAME: TEXT},
        {"export_5/activities.csv": TEXT, "export_5/bikes.csv": b"x"},
        # The one that is nearest to the root, wherever it stands.
        {"old/activities.csv": b"x", NAME: TEXT, "a/b/activities.csv": b"y"},
        {"__MACOSX/activities.csv": b"x", ".hidden/activities.csv": b"y", "a/b/c/" + NAME: TEXT},
        {
            "my activities.csv": b"x",
            "activities.csv/": b"",
            "ACTIVITIES.CSV": b"y",
            "é/" + NAME: TEXT,
        },
        {"export_5\\activities.csv": TEXT},
        # Nothing is written, so that no path can do harm.
        {"/activities.csv": TEXT, "/etc/activities.csv": b"x"},
        {"./activities.csv": TEXT, "../activities.csv": b"x"},
    ],
)
def test_the_nearest_file_of_the_name_is_read(members: dict[str, bytes], method: int):
    assert content_of(archive(members, method)) == TEXT


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "holds no activities.csv: "),
        ({"export_5.zip": archive({NAME: TEXT})}, "holds no activities.csv: "),
        ({"activities.csv.gz": b"x", "activities.csv/a.csv": b"y"}, "holds no activities.csv: "),
        ({"../../activities.csv": TEXT}, "holds no activities.csv: "),
        ({f"export_{n}/activities.csv": TEXT for n in (5, 6)}, "holds 2 files activities.csv in "),
        (
            {"a/" + NAME: TEXT, "b/" + NAME: TEXT, "c/" + NAME: TEXT, "c/d/" + NAME: TEXT},
            "holds 3 f",
        ),
    ],
)
def test_an_archive_without_the_file_or_with_several_is_refused(
    members: dict[str, bytes], expected: str
):
    assert refusal(archive(members)).startswith(expected)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (zipfile.ZIP_BZIP2, "holds activities.csv compressed by method 12, which is not read: "),
        (zipfile.ZIP_LZMA, "holds activities.csv compressed by method 14, which is not read: "),
    ],
)
def test_other_compressions_are_refused(method: int, expected: str):
    assert refusal(archive({NAME: TEXT}, method)).startswith(expected)


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_an_encrypted_file_is_refused(flag: int):
    packed = bytearray(archive({NAME: TEXT}))
    entry = packed.index(b"PK\x01\x02")
    struct.pack_into("<H", packed, entry + 8, flag)
    assert refusal(bytes(packed)).startswith("holds an encrypted activities.csv: ")


def test_members_are_counted():
    packed = archive({**{f"media/{n}.jpg": b"" for n in range(9)}, NAME: TEXT})
    assert content_of(packed, Limits(max_zip_members=10)) == TEXT
    told = refusal(packed, Limits(max_zip_members=9))
    assert told.startswith("has more than the 9 files of landing_limits, and nothing of it is read")


@pytest.mark.parametrize(
    ("limits", "most"),
    [(Limits(max_expanded_bytes=100), 100), (Limits(max_zip_ratio=2), None)],
)
def test_a_bomb_is_read_to_the_limit(limits: Limits, most: int | None):
    packed = archive({NAME: TEXT + b"0" * 1_000_000})
    if most is None:
        most = 2 * zipfile.ZipFile(io.BytesIO(packed)).getinfo(NAME).compress_size
    *kept, fault = lines(unzipped(io.BytesIO(packed), NAME, limits))
    assert [line.raw for line in kept] == [b"Activity ID,x", b"1,a", b"2,b"]
    assert fault == (4, f"zip member of more than {most} bytes".encode(), False)


def test_a_bomb_is_read_in_bounded_memory():
    packed = archive({NAME: b"0" * 200_000_000})
    tracemalloc.start()
    try:
        for line in lines(unzipped(io.BytesIO(packed), NAME, Limits(max_zip_ratio=10_000))):
            assert not line.is_whole
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000_000


def test_a_directory_of_many_long_names_takes_no_memory():
    packed = archive({f"{n:0100}": b"" for n in range(20_000)} | {NAME: TEXT})
    tracemalloc.start()
    try:
        assert content_of(packed) == TEXT
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(packed) + 1_000_000


def test_an_archive_with_a_long_comment_or_from_a_stream_is_read():
    assert content_of(archive({NAME: TEXT}, comment=b"c" * 65_535)) == TEXT
    # The letters that begin the end of an archive may be in its comment.
    assert content_of(archive({NAME: TEXT}, comment=b"PK\x05\x06 and PK\x05\x06")) == TEXT
    assert content_of(archive({NAME: TEXT}, comment=b"x" * 40 + b"PK\x05\x06" * 9)) == TEXT

    class Unseekable(io.BytesIO):
        def seek(self, *arguments: int) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    # Its sizes stand after the content, and in the directory.
    stored = Unseekable()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(NAME, TEXT)
    assert content_of(stored.getvalue()) == TEXT


def zip64(packed: bytes) -> bytes:
    """The same archive as one of more than 4 GB has its numbers: all of them in zip64's places."""
    entry, end = packed.index(b"PK\x01\x02"), packed.rindex(b"PK\x05\x06")
    head = bytearray(packed[entry:end])
    stored_size, size = struct.unpack_from("<2L", head, 20)
    struct.pack_into("<2L", head, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<L", head, 42, 0xFFFFFFFF)
    # One field of another kind before it.
    extra = struct.pack("<2H2x2H3Q", 0x7777, 2, 1, 24, size, stored_size, 0)
    struct.pack_into("<H", head, 30, len(extra))
    directory = bytes(head) + extra
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(directory), entry)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, entry + len(directory), 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    return packed[:entry] + directory + end_64 + locator + last


def test_zip64_is_read():
    packed = zip64(archive({NAME: TEXT}))
    assert zipfile.ZipFile(io.BytesIO(packed)).read(NAME) == TEXT
    assert content_of(packed) == TEXT
    # It says that the numbers are elsewhere, and they are not.
    at = packed.index(struct.pack("<2H", 1, 24))
    assert refusal(packed[:at] + b"\x02" + packed[at + 1 :]) == DAMAGED


def at(packed: bytes, offset: int, new: bytes) -> bytes:
    """The archive with other bytes from there on, counted from the start of its directory."""
    place = packed.index(b"PK\x01\x02") + offset
    return packed[:place] + new + packed[place + len(new) :]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"PK",
        b"Activity ID\n1\n",
        archive({NAME: TEXT})[:-10],
        archive({NAME: TEXT})[10:],
        at(archive({NAME: TEXT}), 0, b"PKxx"),
        # Name, offset and content that would lie elsewhere.
        at(archive({NAME: TEXT}), 28, b"\xff\xff"),
        at(archive({NAME: TEXT}), 42, b"\x01"),
        at(archive({NAME: TEXT}), 42, b"\xfe\xff\xff\xff"),
        at(archive({NAME: TEXT}), 20, b"\xfe\xff\xff\xff"),
        archive({NAME: TEXT}).replace(b"PK\x03\x04", b"PK\x03\x05"),
        # A directory that would begin behind its end, or the other end of zip64.
        archive({})[:12] + b"\xff" * 8 + b"\0\0",
        zip64(archive({NAME: TEXT})).replace(b"PK\x06\x06", b"PK\x06\x08"),
        struct.pack("<4sLQL", b"PK\x06\x07", 0, 2**64 - 1, 1) + archive({}),
    ],
)
def test_a_damaged_archive_is_refused(packed: bytes):
    assert refusal(packed) == DAMAGED


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_corrupt_content_keeps_what_comes_before(method: int):
    text = b"".join(b"%d,%d\n" % (n, n**9) for n in range(2_000))
    packed = archive({NAME: text}, method)
    middle = len(packed) // 2
    broken = packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1 :]
    *kept, fault = lines(unzipped(io.BytesIO(broken), NAME))
    assert fault[1:] == (b"corrupt zip member", False)
    assert len(kept) > 500
    assert kept[100].raw == b"100,%d" % 100**9


def test_a_checksum_that_is_wrong_is_corrupt():
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        *kept, fault = lines(
            unzipped(io.BytesIO(at(archive({NAME: TEXT}, method), 16, b"\0\0\0\0")), NAME)
        )
        assert [line.raw for line in kept] == [b"Activity ID,x", b"1,a", b"2,b"]
        assert fault == (4, b"corrupt zip member", False)


def test_no_damage_is_an_error_of_another_kind():
    whole = [archive({NAME: TEXT, "bikes.csv": b"x" * 50}), zip64(archive({NAME: TEXT}))]
    dice = random.Random(19)
    outcomes = set()
    for _ in range(5_000):
        broken = bytearray(dice.choice(whole))
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.choice((0, 1, 0x7F, dice.randrange(256)))
        if dice.random() < 0.1:
            del broken[dice.randrange(len(broken)) :]
        try:
            content_of(bytes(broken))
            outcomes.add("read")
        except (UnusableZip, Damaged) as outcome:
            outcomes.add(type(outcome).__name__)
    assert outcomes == {"read", "UnusableZip", "Damaged"}
