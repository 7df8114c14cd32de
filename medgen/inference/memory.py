"""How much memory inference may use."""

from __future__ import annotations

import os

import torch

from medgen import memory

GIB = 2**30
SHARE = 0.7  #: of the free memory that is used at most
LEAST = 3 * GIB  #: a run on the CPU may always hold so much, where it is free
TIMES = 2.4  #: and for large volumes, so many times the input and the output


def allowance(device: torch.device, held: int, cap: float | None) -> float:
    """Return the bytes that a forward pass may use beside `held` bytes of input and output.

    On a GPU a share of what is free there; on the CPU also no more than `LEAST`, or `TIMES` what is held in all, so that a
    large volume does not take the whole machine. `cap` (GiB) bounds the sum of both.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        allowed = SHARE * (free + unused)
    else:
        allowed = min(SHARE * free_memory(), max(LEAST, TIMES * held) - held)
    return allowed if cap is None else min(allowed, cap * GIB - held)


def free_memory() -> float:
    """Return the bytes of main memory that can be had; half of what there is where the system does not tell."""
    free = memory.free_memory()
    if free is not None:
        return float(free)
    return 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 4.0 * GIB


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out: PyTorch has no type of its own for it on the CPU."""
    text = str(error).lower()
    words = ("out of memory", "can't allocate memory", "not enough memory", "bad allocation", "bad_alloc")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in text for word in words)
