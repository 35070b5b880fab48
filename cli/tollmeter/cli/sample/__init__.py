"""The sample service, its loopback upstream, and the traces that drive them."""
