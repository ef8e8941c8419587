import ctypes
import struct

from tracer.sources.live.linker import (
    MAP_BASE,
    link,
    place_cast,
    place_maps,
    place_reads,
    read_functions,
)

EXIT = bytes.fromhex("9500000000000000")


def instruction(code: int, registers: int = 0, jump: int = 0, number: int = 0) -> bytes:
    return struct.pack("<BBhi", code, registers, jump, number)


def move(number: int) -> bytes:
    return instruction(0xB7, 0, 0, number)


def call(target: int) -> bytes:
    return instruction(0x85, 0x10, 0, target)


# A section as bcc leaves it. 0: `slow` itself; 2: calls 6; 6: ends with a jump back; 10: nobody's.
FUNCTIONS = [
    move(0) + EXIT,
    move(2) + call(6 - 3 - 1) + instruction(0x55, 0, 0, 0) + EXIT,
    move(6) + instruction(0x15, 0, 1) + EXIT + instruction(0x05, 0, -3),
    move(10) + EXIT,
]


def section() -> tuple[int, object]:
    memory = ctypes.create_string_buffer(b"".join(FUNCTIONS) + b"\xff" * 64)
    return ctypes.addressof(memory), memory


def test_a_program_gets_the_functions_that_it_reaches() -> None:
    address, keep = section()
    program = move(1) + call(2 - 1) + EXIT
    functions = read_functions(address, [program])
    assert functions == {2: FUNCTIONS[1], 6: FUNCTIONS[2]}
    linked = link(program, functions)
    assert len(linked) // 8 == 3 + 4 + 4
    # Call 1 goes to instruction 3, where function 2 begins; its own call to 7, where 6 begins.
    assert linked[8:16] == call(3 - 1 - 1)
    assert linked[24:32] == move(2)
    assert linked[32:40] == call(7 - 4 - 1)
    assert linked[56:64] == move(6)
    assert keep


def test_a_program_without_calls_stays_as_it_is() -> None:
    assert link(move(1) + EXIT, {2: FUNCTIONS[1]}) == move(1) + EXIT


def test_two_calls_of_one_function_share_it() -> None:
    program = call(10 - 1) + call(10 - 1) + EXIT
    linked = link(program, {10: FUNCTIONS[3]})
    assert linked == call(2) + call(1) + EXIT + FUNCTIONS[3]


def test_the_stand_in_for_a_cast_becomes_a_call_of_the_kernel_function() -> None:
    stand_in, other = b"\x85\0\0\0\0\0\1\0", b"\x85\0\0\0\5\0\0\0"  # helpers 0x10000 and 5
    assert place_cast(stand_in + other, 0x1234) == b"\x85\x20\0\0\x34\x12\0\0" + other


def test_memory_of_the_kernel_is_read_by_the_helper_for_it() -> None:
    read, other = b"\x85\0\0\0\4\0\0\0", b"\x85\x10\0\0\4\0\0\0"  # a helper, a function
    assert place_reads(read + other) == b"\x85\0\0\0\x71\0\0\0" + other


def test_maps_are_placed_by_their_number() -> None:
    wide = struct.Struct("<BBhiBBhi")
    stand_in = wide.pack(0x18, 0x11, 0, MAP_BASE + 1, 0, 0, 0, 7)
    constant = wide.pack(0x18, 0x01, 0, MAP_BASE, 0, 0, 0, 0)  # a number, no map
    placed = place_maps(stand_in + constant, [40, 41])
    assert placed == wide.pack(0x18, 0x11, 0, 41, 0, 0, 0, 7) + constant
