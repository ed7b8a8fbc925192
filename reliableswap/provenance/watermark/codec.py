"""The 64-bit message and its error correction: payload to 192 signs, and noisy values of the signs to payload.

The message is, from the most significant bit: magic (12), version (4), payload (32), checksum (16, CRC-16/CCITT-FALSE
of the 48 bits before it). A tail-biting convolutional code of rate 1/3 and memory 8 turns it into 192 signs.
"""

from __future__ import annotations

import functools

import numpy as np

MAGIC = 0xA5C
VERSION = 1
PAYLOAD_BITS = 32
MESSAGE_BITS = 64
POLYNOMIALS = (0o557, 0o663, 0o711)
SYMBOLS = MESSAGE_BITS * len(POLYNOMIALS)
CHECK_BITS = 32  # bits of the message that are not payload: a chance message passes once in 2**32

_MEMORY = 8
_STATES = 1 << _MEMORY
_LEAD = 48  # steps after which decisions no longer depend on where decoding began or ended
_HEAD = MAGIC << 4 | VERSION


def encode(payload: int) -> np.ndarray:
    """(192,) float32 signs of the message with this payload; bit 0 is +1, bit 1 is -1."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError(f"the watermark carries {PAYLOAD_BITS} bits, and payload {payload} does not fit")
    head = _HEAD << PAYLOAD_BITS | payload
    message = head << 16 | _checksum(head)
    return _convolve([message >> shift & 1 for shift in reversed(range(MESSAGE_BITS))])


def decode(values: np.ndarray) -> tuple[int, float] | None:
    """Payload and confidence of (192,) noisy signs, or None if the likeliest message is not a valid one."""
    bits = _viterbi(values)
    message = int("".join(map(str, bits)), 2)
    head = message >> 16
    if _checksum(head) != message & 0xFFFF or head >> PAYLOAD_BITS != _HEAD:
        return None
    agreement = values @ _convolve(bits) / np.sqrt(SYMBOLS * (values @ values))
    return head & (1 << PAYLOAD_BITS) - 1, float(agreement)


def _checksum(head: int) -> int:
    """CRC-16/CCITT-FALSE of a 48-bit number, most significant bit first."""
    crc = 0xFFFF
    for shift in reversed(range(48)):
        feedback = (crc >> 15 ^ head >> shift) & 1
        crc = (crc << 1 & 0xFFFF) ^ 0x1021 * feedback
    return crc


@functools.cache
def _outputs() -> np.ndarray:
    """(512,3) float32: the three signs for each register; its lowest bit is the newest."""
    registers = range(2 * _STATES)
    signs = [[1 - 2 * ((r & p).bit_count() & 1) for p in POLYNOMIALS] for r in registers]
    return np.array(signs, np.float32)


def _convolve(bits: list[int]) -> np.ndarray:
    state = int("".join(map(str, bits[-_MEMORY:])), 2)  # begin in the state in which the message ends
    signs = []
    for bit in bits:
        register = state << 1 | bit
        signs.append(_outputs()[register])
        state = register & _STATES - 1
    return np.concatenate(signs)


def _viterbi(values: np.ndarray) -> list[int]:
    """Viterbi decoding: go round the tail-biting trellis, with a lead before and after, and keep the bits between."""
    steps = values.reshape(MESSAGE_BITS, len(POLYNOMIALS)).astype(np.float32)
    state = np.arange(_STATES)
    # A state's two predecessors differ in the bit that leaves the register.
    registers = np.stack([state, state | _STATES])
    before = registers >> 1
    gains = (steps @ _outputs().T)[:, registers]
    total = np.zeros(_STATES, np.float32)
    length = MESSAGE_BITS + 2 * _LEAD
    choices = np.empty((length, _STATES), bool)
    for step in range(length):
        low, high = total[before] + gains[(step - _LEAD) % MESSAGE_BITS]
        choices[step] = high > low
        total = np.maximum(low, high)
    at = int(np.argmax(total))
    bits = [0] * length
    for step in reversed(range(length)):
        bits[step] = at & 1
        at = int(before[int(choices[step, at]), at])
    return bits[_LEAD : _LEAD + MESSAGE_BITS]
