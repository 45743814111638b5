"""Imported, it readies numba to load and compile kernels, which is done once a process and takes about a second; no thread is started."""

from numba.core.registry import cpu_target

cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
