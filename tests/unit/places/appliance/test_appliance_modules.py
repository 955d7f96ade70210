"""The modules that a lab needs stay, with what they need, in an order that loads."""

import lzma
from pathlib import Path

import pytest

from lab.errors import CannotRun
from lab.places.appliance import modules

DEP = """\
kernel/net/l2tp/l2tp_ppp.ko.xz: kernel/net/l2tp/l2tp_core.ko.xz kernel/drivers/net/odd/helper.ko.xz
kernel/net/l2tp/l2tp_core.ko.xz:
kernel/drivers/net/odd/helper.ko.xz:
kernel/drivers/net/odd/other.ko.xz:
kernel/drivers/gpu/drm/drm.ko.xz:
kernel/drivers/net/veth.ko.xz:
kernel/drivers/block/virtio_blk.ko.xz:
kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/lib/crc16.ko.xz:
"""


def test_the_chosen_modules_and_what_they_need_are_kept() -> None:
    names = {modules.module_name(p) for p in modules.select(modules.read_dependencies(DEP))}
    assert {"l2tp_ppp", "l2tp_core", "helper", "veth", "ext4", "jbd2"} <= names
    assert not {"drm", "other"} & names


def test_each_boot_module_comes_after_what_it_needs() -> None:
    order = [modules.module_name(p) for p in modules.boot_order(modules.read_dependencies(DEP))]
    assert order == ["virtio_blk", "crc16", "jbd2", "ext4"]


def test_trimming_removes_the_rest_and_unpacks_what_stays(tmp_path: Path) -> None:
    for name in ("kept", "dropped"):
        (tmp_path / f"{name}.ko.xz").write_bytes(lzma.compress(name.encode()))
    (tmp_path / "build").symlink_to("/nowhere")
    modules.trim(tmp_path, {"kept.ko.xz"})
    assert [path.name for path in tmp_path.iterdir()] == ["kept.ko"]
    assert (tmp_path / "kept.ko").read_bytes() == b"kept"


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "module.ko.lz4"
    path.touch()
    with pytest.raises(CannotRun, match=r"\.lz4"):
        modules.unpack(path)
