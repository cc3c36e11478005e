"""What is in the wheel of the bundle. That it is all that the job files need, the end-to-end test
shows: it runs them with the wheel, outside the source tree (tests/pipeline/test_end_to_end.py).
"""

import zipfile
from email.parser import Parser

import pytest

from tests.bundle.wheel import ROOT, build

pytestmark = pytest.mark.slow

PLATFORM = {"pyspark", "delta-spark", "pandas"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_requires_nothing_that_the_platform_brings(wheel, names):
    (path,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(path).decode())
    required = metadata.get_all("Requires-Dist")
    core = {text.split("==")[0] for text in required if "extra ==" not in text}
    of_extra = {text.split("==")[0] for text in required if "extra == 'spark'" in text}
    assert {"click", "great-expectations", "pyyaml"} <= core
    assert not core & PLATFORM
    assert of_extra == PLATFORM
    assert metadata["Name"] == "paceline"


def test_the_wheel_holds_the_package_and_its_conf_and_nothing_else(wheel, names):
    conf = [ROOT / "conf" / "paceline.yml", *(ROOT / "conf" / "contracts").iterdir()]
    with zipfile.ZipFile(wheel) as archive:
        for path in conf:
            inside = f"paceline/{path.relative_to(ROOT).as_posix()}"
            assert archive.read(inside) == path.read_bytes()
    code = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert code <= set(names)
    strange = [name for name in names if not name.startswith(("paceline/", "paceline-"))]
    assert strange == []
