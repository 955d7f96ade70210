"""Debian's mirror is the box's own one, or mmdebstrap's default."""

import pytest

from lab.places.appliance.mirror import find_mirrors, make_lines

MAIN = "http://mirror.example/debian/"
SECURITY = "http://mirror.example/debian-security/"

DEBIAN = [
    f"Debian\tDebian\tmain\tPackages\t{MAIN}",
    f"Debian\tDebian\tmain\tTranslations\t{MAIN}",
    "Debian\tDebian\tcontrib\tPackages\thttp://elsewhere.example/",
    f"Debian\tDebian-Security\tmain\tPackages\t{SECURITY}",
]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (DEBIAN, {"Debian": MAIN, "Debian-Security": SECURITY}),
        (DEBIAN[:1], {"Debian": MAIN}),
        (["Ubuntu\tUbuntu\tmain\tPackages\thttp://ubuntu.example/"], {}),
        (["garbage", ""], {}),
        ([], {}),
    ],
)
def test_the_mirror_is_found_among_apts_targets(
    targets: list[str], expected: dict[str, str]
) -> None:
    assert find_mirrors(targets) == expected


@pytest.mark.parametrize(
    ("suite", "mirrors", "expected"),
    [
        (
            "trixie",
            {"Debian": MAIN, "Debian-Security": SECURITY},
            [f"deb {MAIN} trixie main", f"deb {SECURITY} trixie-security main"],
        ),
        ("trixie", {"Debian": MAIN}, [f"deb {MAIN} trixie main"]),
        ("unstable", {"Debian": MAIN, "Debian-Security": SECURITY}, [f"deb {MAIN} unstable main"]),
        (
            "bookworm-backports",
            {"Debian": MAIN, "Debian-Security": SECURITY},
            [f"deb {MAIN} bookworm-backports main"],
        ),
        ("trixie", {}, []),
        ("trixie", {"Debian-Security": SECURITY}, []),
    ],
)
def test_each_archive_has_the_suite_under_its_own_name(
    suite: str, mirrors: dict[str, str], expected: list[str]
) -> None:
    assert make_lines(suite, mirrors) == expected
