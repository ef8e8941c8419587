import pytest

from tracer.sources.live.btf import VMLINUX
from tracer.sources.live.drop_reasons import drop_reason_name


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF")
def test_reasons_of_this_kernel_have_names() -> None:
    assert drop_reason_name(2) == "NOT_SPECIFIED"
    assert "NETFILTER_DROP" in {drop_reason_name(n) for n in range(3, 40)}


def test_what_has_no_name_is_a_number() -> None:
    assert drop_reason_name(65_000) == "65000"
    assert drop_reason_name(99 << 16 | 4) == str(99 << 16 | 4)
