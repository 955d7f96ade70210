"""Where a lab runs: this kernel, or a stock kernel in an appliance."""
