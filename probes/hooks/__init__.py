"""BPF programs at the kernel's hooks: which there are, compiled, cached, loaded, attached."""
