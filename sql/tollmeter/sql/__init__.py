"""Named queries in the Redshift dialect, and the engines that run them."""
