"""The conformance page says what is so."""

import pytest

from tests.conformance.markers import ROOT, defined_names, marked_tests
from tests.conformance.page import PAGE, make_page
from tests.conformance.requirements import DRIVER, REQUIREMENTS, SECTIONS

IDS = [row.id for row in REQUIREMENTS]


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == make_page(), "run: make docs"


def test_every_marker_names_a_requirement():
    unknown = {one: tests for one, tests in marked_tests().items() if one not in IDS}
    assert unknown == {}


def test_ids_are_unique_and_of_a_section_that_the_page_has():
    assert len(set(IDS)) == len(IDS)
    sections = {row.section for row in REQUIREMENTS}
    assert {one if one in SECTIONS else one.partition(".")[0] for one in sections} == set(SECTIONS)


def test_every_place_is_there():
    for row in REQUIREMENTS:
        assert row.level in ("must", "should", "may"), row.id
        assert row.place or row.missing, row.id
        if row.place and row.place != DRIVER:
            file, _, name = row.place.partition(": ")
            assert name in defined_names(ROOT / file), (row.id, row.place)


def test_marks_are_found_and_only_as_text(tmp_path):
    test = tmp_path / "test_one.py"
    test.write_text('@pytest.mark.rfc2661("4.1-length", "5.8-zlb")\ndef test_it():\n    pass\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.conformance.markers.ROOT", tmp_path)
        found = marked_tests(tmp_path)
        assert found == {
            "4.1-length": ["test_one.py::test_it"],
            "5.8-zlb": ["test_one.py::test_it"],
        }
        test.write_text("@pytest.mark.rfc2661(ID)\ndef test_it():\n    pass\n")
        with pytest.raises(ValueError, match="plain text"):
            marked_tests(tmp_path)
