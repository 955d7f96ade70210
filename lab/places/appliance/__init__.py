"""The appliance: a stock Debian kernel with a small Debian userland in QEMU, without root."""
