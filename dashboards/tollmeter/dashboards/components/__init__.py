"""Pieces of the page: the one card, the one graph, the one grid, tiles and notices."""
