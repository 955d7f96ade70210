"""Single packets followed from hop to hop through the kernel."""
